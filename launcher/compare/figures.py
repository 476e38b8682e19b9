"""The figures of a comparison: what each is called, and its value in each run."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from esmm_dist.schema.label_tree import LabelTask, LabelTree
from launcher.compare.data import CompareData
from launcher.compare.folder import RunFiles, read_json
from launcher.compare.truth import PARTS, measured_tasks

Better = Literal["higher", "lower", "near 1"]


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One figure of a run."""

    key: str
    """In ``comparison.json``: ``cvr.auc``, ``truth.cvr.calibration.all``."""
    title: str
    better: Better
    digits: int = 4
    by_truth: bool = False
    """Whether it is measured by true probabilities instead of labels."""
    table: str = ""
    """The table by the truth that it stands in: ``CVR calibration``."""
    column: str = ""
    """Its column there: ``not clicked``."""

    def compared(self, value: float) -> float:
        """Return the value that models are compared by: of a ratio that is best at 1, how far its logarithm is off."""
        if self.better != "near 1":
            return value
        return abs(math.log(value)) if value > 0 else math.nan

    def text(self, value: float, *, signed: bool = False) -> str:
        """Return a value as readers see it."""
        return "–" if math.isnan(value) else f"{value:{'+' if signed else ''}.{self.digits}f}"


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """What is known about a finished run."""

    model: str
    seed: int
    values: Mapping[str, float]
    """Figures by their key; nan where one could not be computed."""
    standard_errors: Mapping[str, float]
    """DeLong's of the AUCs by labels, by key: the luck of the split, which is the same for all models."""
    training: Mapping[str, Any]

    @property
    def cpu_s_per_million(self) -> float:
        """Processor seconds a million impressions of ``esmm train`` after its start-up.

        nan of a training in several parts, and of one that was over before it reported its first steps.
        """
        begun, share = self.training["begun_cpu_s"], self.training["begun_share"]
        if self.training["resumed"] or begun is None or share >= 1:
            return math.nan
        return float((self.training["cpu_s"] - begun) / ((1 - share) * self.training["impressions"]) * 1e6)

    @property
    def start_up_cpu_s(self) -> float:
        """Processor seconds of the start-up of ``esmm train``; nan as above."""
        begun, share = self.training["begun_cpu_s"], self.training["begun_share"]
        if math.isnan(self.cpu_s_per_million):
            return math.nan
        return float(begun - self.cpu_s_per_million * share * self.training["impressions"] / 1e6)


def figures_of(data: CompareData) -> list[Figure]:
    """Return the figures of a comparison, in the order of its tables."""
    tree = data.label_tree
    found = []
    for task in data.tasks:
        title = f"{task_title(task, tree)} AUC"
        if task.given is not None and len(tree.names) == 2:
            title += " on clicks" if tree.names[0] == "click" else f" on {tree.names[0]}"
        found.append(Figure(key=f"{task.name}.auc", title=title, better="higher"))
    if data.truth is None:
        return found
    tasks = measured_tasks(tree)
    for task in tasks:
        of_task = task_title(task, tree)
        found.append(_by_truth(f"{task.name}.auc.all", "AUC", of_task, title=f"{of_task} AUC, all impressions"))
    for task in tasks:
        if task.given is None:
            continue
        places = part_names(tree.names[task.given])
        for part in PARTS:
            table = f"{task_title(task, tree)} calibration"
            found.append(_by_truth(f"{task.name}.calibration.{part}", table, places[part], better="near 1", digits=3))
        for part in PARTS:
            table = f"{task_title(task, tree)} divergence"
            found.append(_by_truth(f"{task.name}.divergence.{part}", table, places[part], better="lower"))
    return found


def task_title(task: LabelTask, tree: LabelTree) -> str:
    """Return a task as readers see it: ``CVR`` of two labels, ``cart given click`` or ``cart`` of more."""
    if len(tree.names) == 2:
        return task.name.upper()
    label = tree.names[task.label]
    return label if task.given is None else f"{label} given {tree.names[task.given]}"


def part_names(label: str) -> dict[str, str]:
    """Return what readers see of ``PARTS``, by a label: ``clicked``, ``not clicked``; ``cart``, ``no cart``."""
    with_it, without = ("clicked", "not clicked") if label == "click" else (label, f"no {label}")
    return dict(zip(PARTS, ("all", with_it, without), strict=True))


def _by_truth(
    key: str, table: str, column: str, *, title: str | None = None, better: Better = "higher", digits: int = 4
) -> Figure:
    return Figure(
        key=f"truth.{key}",
        title=title or f"{table}, {column}",
        better=better,
        digits=digits,
        by_truth=True,
        table=table,
        column=column,
    )


def read_result(model: str, seed: int, files: RunFiles, data: CompareData) -> RunResult | None:
    """Return what a run has found on the split; None if it is not finished."""
    training, evaluation = read_json(files.training), read_json(files.evaluation(data.split))
    if training is None or evaluation is None:
        return None
    values = {f"{task.name}.auc": _number(evaluation[task.name]["auc"]) for task in data.tasks}
    errors = {f"{task.name}.auc": _number(evaluation[task.name]["auc_standard_error"]) for task in data.tasks}
    if data.truth is not None:
        by_truth = read_json(files.against_truth(data.split))
        if by_truth is None or by_truth["truth_crc32c"] != data.truth.crc32c:
            return None
        for task, parts in by_truth["tasks"].items():
            for part, found in parts.items():
                values |= {f"truth.{task}.{name}.{part}": _number(value) for name, value in found.items()}
    return RunResult(model=model, seed=seed, values=values, standard_errors=errors, training=training)


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)
