"""Read the course of a run from its files; nothing of it is changed, locked or waited for.

A run may train meanwhile: half a line is left out, and a checkpoint that goes away while it is read is left out.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import takewhile
from typing import Any

from esmm_dist.checkpoint.best_checkpoint import best_evaluation
from esmm_dist.checkpoint.format import checkpoint_folder, checkpoint_steps, read_checkpoint_manifest
from esmm_dist.checkpoint.pins import pinned_steps
from esmm_dist.checkpoint.reader import wrong_size
from esmm_dist.checkpoint.run_check import refuse_other_folder
from esmm_dist.errors import CheckpointError, ConfigError
from esmm_dist.report.run_history.course import LossPoint, RunCourse, RunEvaluation, SavedCheckpoint
from esmm_dist.storage.folder import Folder
from esmm_dist.storage.uris import without_credentials
from esmm_dist.train.data_sets import DataSetRecord
from esmm_dist.train.json_lines import read_lines
from esmm_dist.train.run_folder import (
    DATA_SETS_NAME,
    LOG_NAME,
    METRICS_NAME,
    PROGRESSIVE_NAME,
    SKIPPED_NAME,
    read_data_sets,
)
from esmm_dist.train.run_history import HISTORY_NAME, read_history
from esmm_dist.train.run_settings import CONFIG_NAME, read_settings
from esmm_dist.train.run_speed import SPEED_NAME, SpeedPoint, read_speed

RUN_NAMES = (LOG_NAME, METRICS_NAME, CONFIG_NAME, DATA_SETS_NAME, PROGRESSIVE_NAME)
"""Files one of which every run has."""

_MOST = 10**15
"""No step, count or figure of a run is as large; a damaged file may hold any number."""


def has_begun(run: Folder) -> bool:
    """Return whether a folder holds files of a run."""
    names = set(run.names())
    return "checkpoints" in names or any(name in names for name in RUN_NAMES)


def read_course(run: Folder, label: str) -> RunCourse:
    """Read what the files of a run tell.

    Args:
        run: folder of the run
        label: short name for pictures

    Raises:
        ConfigError: There is no run, or the place is a data set or a single checkpoint.
        StorageError: The storage refuses.
    """
    if not has_begun(run):
        refuse_other_folder(run)
        raise ConfigError(
            f"There is no run at {run}: it has none of {', '.join(RUN_NAMES[:3])}, and no checkpoints. Give the folder "
            "or URI that esmm train --run wrote; with --watch 10 a run that starts later is waited for."
        )
    missing: list[str] = []
    metrics = _json_object(run, METRICS_NAME, missing)
    losses = _read_losses(run)
    evaluations = _evaluations(metrics.get("evaluations"))
    data_sets = _data_sets(run, missing)
    checkpoints = read_checkpoints(run)
    settings = _settings(run, missing)
    speed = read_speed(run)
    events = read_history(run)
    best = _mapping(metrics.get("best"))
    steps = [
        *(each.step for each in losses),
        *(each.step for each in evaluations),
        *(each.step for each in checkpoints),
        *(each.step for each in speed),
        *(each.last_step for each in data_sets),
    ]
    return RunCourse(
        run=without_credentials(str(run)),
        label=label,
        step=max(steps, default=0),
        losses=losses,
        evaluations=evaluations,
        best_step=_whole(best.get("step")),
        best_metric=str(best.get("metric", "")),
        baseline=_baseline(_mapping(metrics.get("baseline"))),
        data_sets=data_sets,
        checkpoints=checkpoints,
        speed=speed,
        events=events,
        settings=settings,
        chosen=_chosen(run),
        skipped=_skipped(run),
        missing=(*missing, *_missing(losses, evaluations, speed, events)),
    )


def read_checkpoints(run: Folder) -> list[SavedCheckpoint]:
    """Return the checkpoints of a run by their manifests, oldest first.

    Raises:
        StorageError: The storage refuses.
    """
    best, pinned = best_evaluation(run), set(pinned_steps(run))
    found = []
    for step in reversed(checkpoint_steps(run)):
        folder = checkpoint_folder(run, step)
        sizes = folder.file_sizes()
        rows: dict[str, int] = {}
        saved_at, trouble = None, ""
        try:
            manifest = read_checkpoint_manifest(folder)
        except CheckpointError as e:
            if not folder.exists():  # removed meanwhile, for newer ones
                continue
            trouble = str(e)
        else:
            saved_at = datetime.fromisoformat(manifest.saved_at).timestamp()
            for file in manifest.tables:
                if file.kind == "rows":
                    rows[file.table] = rows.get(file.table, 0) + file.rows
            wrong = ((file.path, wrong_size(file, sizes)) for file in manifest.files())
            trouble = next((f"{path} {what}" for path, what in wrong if what), "")
            if trouble and not folder.exists():
                continue
        found.append(
            SavedCheckpoint(
                step=step,
                saved_at=saved_at,
                size_bytes=sum(sizes.values()),
                rows=rows,
                is_best=best is not None and best.step == step,
                is_pinned=step in pinned,
                trouble=trouble,
            )
        )
    return found


def _read_losses(run: Folder) -> list[LossPoint]:
    """Return the points of the log, the newest of a step that was made again."""
    points: dict[int, LossPoint] = {}
    for line in read_lines(run, LOG_NAME):
        step = _whole(line.pop("step", None))
        if step is not None:
            points[step] = LossPoint(step=step, losses={name: _number(value) for name, value in line.items()})
    return [points[step] for step in sorted(points)]


def _json_object(run: Folder, name: str, missing: list[str]) -> dict[str, Any]:
    try:
        found = json.loads(run.read_bytes(name))
        if not isinstance(found, dict):
            raise ValueError("it is not a JSON object")
        return found
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError) as e:
        missing.append(f"{name} is damaged ({e}) and left out; the next evaluation writes it anew.")
        return {}


def _evaluations(stored: Any) -> list[RunEvaluation]:
    found = [_evaluation(each) for each in stored if isinstance(each, dict)] if isinstance(stored, list) else []
    return sorted((each for each in found if each is not None), key=lambda each: each.step)


def _evaluation(stored: Mapping[str, Any]) -> RunEvaluation | None:
    step = _whole(stored.get("step"))
    if step is None or not _mapping(stored.get("metrics")):
        return None
    return RunEvaluation(
        step=step,
        split=str(stored.get("split", "")),
        whole_split=bool(stored.get("whole_split", True)),
        metrics={
            str(task): {str(name): _number(value) for name, value in _mapping(figures).items()}
            for task, figures in _mapping(stored.get("metrics")).items()
        },
    )


def _baseline(stored: Mapping[str, Any]) -> RunEvaluation | None:
    auc, error = _mapping(stored.get("auc")), _mapping(stored.get("auc_standard_error"))
    if not auc:
        return None
    return RunEvaluation(
        step=_whole(stored.get("first_step")) or 0,
        split=str(stored.get("split", "")),
        whole_split=stored.get("test_impressions") == stored.get("of_test_impressions"),
        metrics={
            str(task): {"auc": _number(value), "auc_standard_error": _number(error.get(task))}
            for task, value in auc.items()
        },
    )


def _data_sets(run: Folder, missing: list[str]) -> tuple[DataSetRecord, ...]:
    try:
        return read_data_sets(run)
    except CheckpointError as e:
        missing.append(f"The list of data sets is left out: {e}")
        return ()


def _settings(run: Folder, missing: list[str]) -> dict[str, Any] | None:
    try:
        return read_settings(run.location)
    except ConfigError as e:
        missing.append(f"The settings are left out: {e}")
        return None


def _chosen(run: Folder) -> tuple[str, ...]:
    try:
        lines = run.read_bytes(CONFIG_NAME).decode(errors="replace").splitlines()
    except FileNotFoundError:
        return ()
    return tuple(line.removeprefix("# ") for line in takewhile(lambda line: line.startswith("# "), lines))


def _skipped(run: Folder) -> dict[str, int]:
    found = _json_object(run, SKIPPED_NAME, [])
    return {name: count for name in ("records", "impressions") if (count := _whole(found.get(name))) is not None}


def _missing(
    losses: Sequence[LossPoint],
    evaluations: Sequence[RunEvaluation],
    speed: Sequence[SpeedPoint],
    events: Sequence[Any],
) -> Iterator[str]:
    if not losses:
        yield f"There are no training losses: {LOG_NAME} has no line yet. It gets one every log_every_steps steps."
    if not evaluations:
        yield (
            f"There is no evaluation yet: {METRICS_NAME} gets one every eval_every_steps steps and at the end, if the "
            "data set has the split of eval_split."
        )
    if not speed:
        yield (
            f"Throughput, where the time goes and the growth of tables are not known: the run has no {SPEED_NAME}. "
            "Trainings of this release write it; one of an earlier release has none."
        )
    if not events:
        yield (
            f"Starts, restarts and checkpoints have no times: the run has no {HISTORY_NAME}. Trainings of this release "
            "write it; one of an earlier release has none."
        )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _number(value: Any) -> float:
    """Return a number that a run can have; nan for what is none, or so large that no axis could hold it."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and abs(value) < _MOST else math.nan


def _whole(value: Any) -> int | None:
    """Return a step or a count; None for what is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST else None
