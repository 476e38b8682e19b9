"""Gather what the page of runs shows."""

import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from esmm_dist.checkpoint.choice import CheckpointChoice
from esmm_dist.checkpoint.reader import open_checkpoint
from esmm_dist.errors import CheckpointError, EsmmError, InputDataError, SchemaError, StorageError
from esmm_dist.progress import Progress
from esmm_dist.report.compare_runs.comparison import RunComparison, paired_differences
from esmm_dist.report.importance.field_importance import Importance
from esmm_dist.report.importance.stored import read_importance
from esmm_dist.report.run_history.read import read_course
from esmm_dist.report.run_history.row_norms import FieldsOfIds, RowNorms, row_norms
from esmm_dist.report.run_page.config import ReportConfig
from esmm_dist.report.run_page.page import ReportedRuns
from esmm_dist.report.run_page.scored_run import ScoredRun, ScoreMemory, scored_run
from esmm_dist.report.run_scores.scores import RunScores
from esmm_dist.storage.folder import Folder


@dataclass(frozen=True, kw_only=True)
class _Looked:
    scored: ScoredRun | None
    importance: Importance | None
    norms: Sequence[RowNorms] = ()
    notes: Sequence[str] = ()


def gather_report(config: ReportConfig, progress: Progress, memory: ScoreMemory | None = None) -> ReportedRuns:
    """Read the runs, and score their split unless that is not wanted.

    A run that cannot be scored is shown without, with the reason, unless a setting says what is scored.

    Args:
        config: the runs and what is scored
        progress: receives the number of impressions
        memory: what this process has scored before

    Raises:
        ConfigError: There is no such run.
        StorageError: The storage refuses.
        EsmmError: The checkpoint, data set or split that is named cannot be used.
    """
    choices = [CheckpointChoice.parse(each, None) for each in config.runs]
    labels = labels_of(config.runs)
    courses = [read_course(Folder.open(each.run), label) for each, label in zip(choices, labels, strict=True)]
    memory = {} if memory is None else memory
    found = [_look(each, config, progress, memory) for each in choices]
    comparisons, compared_notes = _compared(found, labels)
    return ReportedRuns(
        courses=courses,
        scores=[each.scored.scores if each.scored is not None else None for each in found],
        comparisons=comparisons,
        norms=found[0].norms,
        importance=[each.importance for each in found],
        notes=[
            *compared_notes,
            *(
                text if len(found) == 1 else f"{label}: {text}"
                for each, label in zip(found, labels, strict=True)
                for text in each.notes
            ),
        ],
        made_at=time.time(),
        command=command_of(config),
    )


def _look(choice: CheckpointChoice, config: ReportConfig, progress: Progress, memory: ScoreMemory) -> _Looked:
    if not config.score:
        return _Looked(scored=None, importance=None, notes=("The split is not scored (--no-score).",))
    is_named = choice.step is not None or config.data is not None or config.split is not None
    try:
        scored = scored_run(choice, config, progress, memory)
    except (CheckpointError, InputDataError) as e:
        if is_named:
            raise
        return _Looked(scored=None, importance=None, notes=(f"The split is not scored: {e}",))
    importance, notes = _importance(choice, scored.scores)
    norms: Sequence[RowNorms] = ()
    if len(config.runs) == 1:
        try:
            fields = FieldsOfIds.of_vocabulary(Path(scored.scores.data) / "vocabulary.parquet")
            checkpoint = open_checkpoint(Folder.open(choice.run), scored.scores.step)
            norms = row_norms(checkpoint, progress, fields_of_ids=fields)
        except CheckpointError as e:  # removed meanwhile, or damaged
            notes = (*notes, f"Norms of rows are left out: {e}")
    return _Looked(scored=scored, importance=importance, norms=norms, notes=notes)


def _compared(found: Sequence[_Looked], labels: Sequence[str]) -> tuple[Sequence[RunComparison], Sequence[str]]:
    """Compare the runs with the first one on the same impressions, or say why that cannot be."""
    kept = [(each.scored.kept, label) for each, label in zip(found, labels, strict=True) if each.scored is not None]
    named = [replace(each, name=label) for each, label in kept if each is not None]
    if len(named) < 2 or len(named) < len(found):
        return (), ()
    first = found[0].scored
    assert first is not None
    try:
        return paired_differences(named, data=first.scores.data, split=first.scores.split), ()
    except (InputDataError, SchemaError) as e:
        return (), (f"The runs are not compared impression by impression: {e}",)


def _importance(choice: CheckpointChoice, scores: RunScores) -> tuple[Importance | None, Sequence[str]]:
    """Return the importance of fields, if it is that of the same step."""
    how = f"esmm importance --run {shlex.quote(choice.run)} --split {scores.split}"
    try:
        found = read_importance(Folder.open(choice.run), scores.split)
    except (EsmmError, StorageError) as e:
        return None, (f"The importance of fields is left out: {e}",)
    if found is None:
        return None, (f"Which fields the model uses is not measured yet: {how}",)
    if found.step != scores.step:
        return None, (
            f"The importance of fields is left out: it was measured at step {found.step:,}, and the page is of step "
            f"{scores.step:,}. Measure it again: {how}",
        )
    return found, ()


def labels_of(runs: Sequence[str]) -> list[str]:
    """Return short names of runs: as many parts of their ends as tell them apart, numbered where none do."""
    parts = [each.partition("?")[0].rstrip("/").split("/") for each in runs]
    most = max(len(each) for each in parts)
    for count in range(1, most + 1):
        labels = ["/".join(each[-count:]) for each in parts]
        if len(set(labels)) == len(labels):
            return labels
    return [f"{'/'.join(each[-1:])} ({number})" for number, each in enumerate(parts, 1)]


def command_of(config: ReportConfig) -> str:
    """Return the command that makes the page again."""
    words = ["esmm", "report", *config.runs]
    for name in ("html", "png", "data", "split", "gauc_field", "item_field"):
        if getattr(config, name) is not None:
            words += [f"--{name.replace('_', '-')}", str(getattr(config, name))]
    if config.by:
        words += ["--by", ",".join(config.by)]
    return shlex.join(words if config.score else [*words, "--no-score"])
