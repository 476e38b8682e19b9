"""Write a synthetic log: both splits, their true probabilities, and the report. Start here."""

import json
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from esmm_dist.errors import ConfigError
from esmm_dist.process.system_refusal import refusals_named
from esmm_dist.progress import NoProgress, Progress
from esmm_dist.schema.label_tree import LabelTree
from esmm_dist.schema.presets_folder import preset_text
from esmm_dist.storage.arrow_path import arrow_path
from esmm_dist.storage.whole_file import replace_durable
from preprocess.synthetic.best_auc import BinnedAuc
from preprocess.synthetic.block import Block, Generator
from preprocess.synthetic.config import SynthConfig
from preprocess.synthetic.report import SplitReport, SynthReport, settings_mapping

REPORT_NAME = "synth.json"
SCHEMA_NAME = "schema.yaml"
BLOCK_IMPRESSIONS = 32_768
"""Impressions drawn and written at a time, about 60 MB of memory. Changing it changes the bytes that a seed gives."""


def truth_schema(tree: LabelTree) -> pa.Schema:
    """Return the columns of the true probabilities: of each label given the one before it, and the labels."""
    given = [task.column for task in tree.tasks if task.given is not None or task.label == 0]
    columns = [(name, pa.float64()) for name in given] + [(name, pa.int8()) for name in tree.names]
    return pa.schema([("sample_id", pa.int64()), *columns])


class _Aucs:
    def __init__(self, tree: LabelTree) -> None:
        self._tree = tree
        self.tasks = {task: BinnedAuc() for task in tree.task_names}
        self.last_by_first = BinnedAuc()

    def add(self, block: Block) -> None:
        logs = [np.log(p[block.good]) for p in block.conditional]
        positive = block.labels[block.good] == 1
        of_products = self._tree.sums(logs)
        for task in self._tree.tasks:
            if task.given is None:
                self.tasks[task.name].add(of_products[task.label], positive[:, task.label])
            else:
                reached = positive[:, task.given]
                self.tasks[task.name].add(logs[task.label][reached], positive[reached, task.label])
        self.last_by_first.add(logs[0], positive[:, -1])


def synthesize(config: SynthConfig, progress: Progress | None = None) -> SynthReport:
    """Write a synthetic log.

    Files appear under their names only when all are complete; an earlier synthetic log in the folder stays until then.
    Memory does not grow with ``config.impressions`` (about 0.2 GB, and 0.5 GB with the real set's dimensions).

    Args:
        config: what to write
        progress: receives the number of impressions written

    Returns:
        Counts, and the best AUC that a model can reach.

    Raises:
        ConfigError: The folder holds a raw log that this program did not make.
        StorageError: The folder cannot be written: no space, no permission.
    """
    began = time.monotonic()
    listener = progress or NoProgress()
    _check_folder(config.out)
    try:
        with refusals_named(config.out):
            config.out.mkdir(parents=True, exist_ok=True)
            report = _write_all(config, listener, began)
    finally:
        for name in file_names():
            with suppress(OSError):  # the first error is the one to report
                _partial(config.out / name).unlink(missing_ok=True)
        listener.finish()
    return report


def file_names() -> list[str]:
    """Return the names of all files of a synthetic log, the report last."""
    splits = [
        name
        for split in ("train", "test")
        for name in (f"sample_skeleton_{split}.csv", f"common_features_{split}.csv", f"truth_{split}.parquet")
    ]
    return [*splits, SCHEMA_NAME, REPORT_NAME]


def schema_text(tree: LabelTree) -> str:
    """Return the schema of a log with these labels: the preset aliccp with them."""
    labels = ", ".join(
        name if parent == label - 1 else f"{name} after {tree.names[parent]}"
        for label, (name, parent) in enumerate(zip(tree.names, tree.parents, strict=True))
    )
    lines = preset_text("aliccp").splitlines()
    return "\n".join(f"labels: [{labels}]" if line.startswith("labels:") else line for line in lines) + "\n"


def _check_folder(out: Path) -> None:
    if (out / "impressions").is_dir():
        raise ConfigError(f"{out} holds a log of events. Choose another folder, or move it away.")
    if (out / REPORT_NAME).exists() or _partial(out / REPORT_NAME).exists():  # or killed while renaming
        return
    for name in file_names():
        if (out / name).exists():
            raise ConfigError(
                f"{out} already holds {name}, and no {REPORT_NAME} beside it says that it is synthetic. "
                "Choose another folder, or move the log away."
            )


def _write_all(config: SynthConfig, progress: Progress, began: float) -> SynthReport:
    progress.start("synth", config.impressions, "impressions")
    generator = Generator(config)
    tree = config.label_tree
    aucs = _Aucs(tree)
    splits = {}
    first_row = 0
    for number, (name, total) in enumerate(config.split_impressions.items()):
        split = _SplitPlan(name=name, number=number, total=total, first_row=first_row)
        split_aucs = aucs if name == "test" else None
        splits[name], first_row = _write_split(generator, config, split, split_aucs, progress)
    report = SynthReport(
        out=str(config.out),
        splits=splits,
        best_auc={task: auc.result()[0] for task, auc in aucs.tasks.items()},
        best_auc_standard_error={task: auc.result()[1] for task, auc in aucs.tasks.items()},
        last_auc_of_first=aucs.last_by_first.result()[0],
        rates=dict(zip(tree.names, config.rates, strict=True)),
        before={tree.names[label]: tree.names[parent] for label, parent in enumerate(tree.parents) if parent >= 0},
        field_sizes=generator.field_sizes,
        seconds=round(time.monotonic() - began, 3),
    )
    mapping = report.to_mapping()
    del mapping["seconds"], mapping["out"]  # the same settings give the same bytes
    text = json.dumps({"settings": settings_mapping(config), "report": mapping}, indent=1) + "\n"
    _partial(config.out / REPORT_NAME).write_text(text, encoding="utf-8")
    _partial(config.out / SCHEMA_NAME).write_text(schema_text(tree), encoding="utf-8")
    (config.out / REPORT_NAME).unlink(missing_ok=True)
    for name in file_names():  # the report, last of them, says that the log is whole
        replace_durable(_partial(config.out / name), config.out / name)
    return report


@dataclass(frozen=True, kw_only=True)
class _SplitPlan:
    """What one split is to hold."""

    name: str
    number: int
    total: int
    """Impressions of the split."""
    first_row: int
    """Common rows of the log before this split."""


def _write_split(
    generator: Generator, config: SynthConfig, split: _SplitPlan, aucs: _Aucs | None, progress: Progress
) -> tuple[SplitReport, int]:
    """Write the files of a split; return its report, and the common rows of the log up to its end."""
    out, tree = config.out, config.label_tree
    tally, first_row = _Tally(dict.fromkeys(tree.names, 0)), split.first_row
    with ExitStack() as stack:
        skeleton = stack.enter_context(_partial(out / f"sample_skeleton_{split.name}.csv").open("wb"))
        common = stack.enter_context(_partial(out / f"common_features_{split.name}.csv").open("wb"))
        truth_path = arrow_path(_partial(out / f"truth_{split.name}.parquet"))
        truth = stack.enter_context(pq.ParquetWriter(truth_path, truth_schema(tree)))
        for done in range(0, split.total, BLOCK_IMPRESSIONS):
            size = min(BLOCK_IMPRESSIONS, split.total - done)
            block = generator.block(split.number, done, size, split.total, first_row)
            first_row += block.common.users.size
            tally.add(block)
            _write_block(block, skeleton, common, truth, done)
            if aucs is not None:
                aucs.add(block)
            progress.advance(size, split.name)
        sizes = skeleton.tell(), common.tell()
    return tally.report(*sizes), first_row


def _write_block(block: Block, skeleton: BinaryIO, common: BinaryIO, truth: pq.ParquetWriter, done: int) -> None:
    skeleton.write(block.skeleton_text)
    common.write(block.common_text)
    good = block.good
    columns = [
        (np.arange(done + 1, done + 1 + good.size))[good],
        *(p[good] for p in block.conditional),
        *block.labels[good].astype(np.int8).T,
    ]
    truth.write_table(pa.table(columns, schema=truth.schema))


@dataclass
class _Tally:
    """Counts of a split, summed over its blocks."""

    label_counts: dict[str, int]
    sums: dict[str, int] = field(default_factory=dict)
    warts: dict[str, int] = field(default_factory=dict)
    ids: dict[str, int] = field(default_factory=dict)

    def add(self, block: Block) -> None:
        good = block.good
        counts = {
            "lines": good.size,
            "impressions": int(good.sum()),
            "common_rows": block.num_common_lines,
            "without_common_row": block.without_common_row,
        }
        warts = {kind: at.size for kind, at in block.warts.places.items()}
        labels = dict(zip(self.label_counts, block.labels[good].sum(axis=0).tolist(), strict=True))
        more_of = ((self.sums, counts), (self.warts, warts), (self.ids, block.ids), (self.label_counts, labels))
        for sums, more in more_of:
            for name, value in more.items():
                sums[name] = sums.get(name, 0) + int(value)

    def report(self, skeleton_bytes: int, common_bytes: int) -> SplitReport:
        return SplitReport(
            **self.sums,
            label_counts=self.label_counts,
            warts=self.warts,
            mean_ids={name: round(total / self.sums["lines"], 4) for name, total in sorted(self.ids.items())},
            skeleton_bytes=skeleton_bytes,
            common_bytes=common_bytes,
        )


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.partial")
