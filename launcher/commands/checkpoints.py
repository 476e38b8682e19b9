"""``esmm checkpoints``: list the checkpoints of a run, summarise one, or pin one."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from esmm_dist.errors import ConfigError
from esmm_dist.text_table import text_table
from esmm_dist.words import in_words, short_bytes
from launcher.command import CommandContext, Outcome
from launcher.terminal.json_line import json_value

if TYPE_CHECKING:
    from esmm_dist.checkpoint.summary import CheckpointSummary


@dataclass(frozen=True, kw_only=True)
class CheckpointsConfig:
    """List the checkpoints of a run, summarise one, or pin one."""

    run: str
    """Folder of the run, a path or a URI."""

    show: int | None = None
    """Step of the checkpoint to summarise, after comparing all of its checksums. None: list them all."""

    pin: int | None = None
    """Step of a checkpoint to keep however many newer ones come, such as the one in service; a training in the run may
    go on meanwhile. None: pin none."""

    unpin: int | None = None
    """Step of a pinned checkpoint that may go again: the next save of a training removes it if it is older than those
    that keep_checkpoints names. None: unpin none."""

    def __post_init__(self) -> None:
        refuse_missing_run(self.run)
        given = [name for name in ("show", "pin", "unpin") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ConfigError(f"{in_words(given)} are given together. Give one of them a command.")


def refuse_missing_run(run: str) -> None:
    """Check that a local run exists; a missing run in an object store fails at the first access.

    Raises:
        ConfigError: it does not, or it is a URI that cannot be opened
    """
    from esmm_dist.storage.folder import Folder

    folder = Folder.open(run)
    if folder.is_local and not folder.exists():
        raise ConfigError(f"run is {folder}, which is not a folder. Give the folder that esmm train wrote.")


def checkpoints_command(settings: CheckpointsConfig, context: CommandContext) -> Outcome:
    """List the checkpoints of a run, summarise one, or pin one."""
    from esmm_dist.checkpoint.listing import list_checkpoints
    from esmm_dist.checkpoint.pins import pin_checkpoint, pinned_steps, unpin_checkpoint
    from esmm_dist.checkpoint.summary import summarise_checkpoint
    from esmm_dist.storage.folder import Folder

    run = Folder.open(settings.run)
    if settings.show is not None:
        summary = summarise_checkpoint(run, settings.show)
        return Outcome(lines=_summary_lines(summary), result=json_value({"run": str(run), "checkpoint": summary}))
    if settings.pin is not None or settings.unpin is not None:
        if settings.pin is not None:
            pin_checkpoint(run, settings.pin)
            until = f"esmm checkpoints {settings.run} --unpin {settings.pin}"
            said = f"Step {settings.pin:,} is pinned: it stays until {until}."
        else:
            assert settings.unpin is not None
            was = unpin_checkpoint(run, settings.unpin)
            said = f"Step {settings.unpin:,} {'is no longer pinned' if was else 'was not pinned'}."
        return Outcome(lines=[said], result=json_value({"run": str(run), "pinned": pinned_steps(run)}))
    found = list_checkpoints(run)
    result = {"run": str(run), "checkpoints": found}
    if not found:
        return Outcome(lines=[f"{run} holds no checkpoint yet."], result=json_value(result))
    several = any(c.data_set > 1 for c in found)
    rows = [
        [
            f"{c.step:,}{' (best)' * c.is_best}{' (pinned)' * c.is_pinned}",
            short_bytes(c.size_bytes),
            f"{c.rows:,}",
            *([str(c.data_set) if c.data_set else "-"] if several else []),
            c.calibrated or "-",
            _metrics(c.metrics),
            c.state,
        ]
        for c in found
    ]
    data_set = ["data set"] if several else []
    lines = text_table(["step", "size", "rows", *data_set, "calibrated", "metrics", "state"], rows)
    return Outcome(lines=lines, result=json_value(result))


def _summary_lines(summary: "CheckpointSummary") -> list[str]:
    from esmm_dist.train.data_sets import data_set_lines, records_from_mapping

    values = sum(math.prod(shape) for shape in summary.dense_shapes.values())
    lines = [
        f"Step {summary.step:,}, saved {summary.saved_at}, schema {summary.schema}",
        f"{summary.path}: {summary.files} files, {short_bytes(summary.size_bytes)}",
        f"checksums: {summary.state}",
        f"metrics: {_metrics(summary.metrics) or 'not evaluated yet'}",
        *(summary.calibration.lines(summary.labels) if summary.calibration is not None else []),
        *data_set_lines(records_from_mapping(summary.data_sets, where=summary.path)),
        "",
        *text_table(
            ["table", "rows", "candidates"],
            [[table, f"{rows:,}", f"{summary.candidates.get(table, 0):,}"] for table, rows in summary.rows.items()],
        ),
        "",
        *text_table(
            [f"{len(summary.dense_shapes)} dense variables, {values:,} values", "shape"],
            [[name, " × ".join(map(str, shape)) or "scalar"] for name, shape in summary.dense_shapes.items()],
        ),
        "",
    ]
    return lines + [f"{name}: {_setting(value)}" for name, value in summary.settings.items()]


def _setting(value: Any) -> str:
    return ", ".join(f"{name} {each}" for name, each in value.items()) if isinstance(value, dict) else str(value)


def _metrics(metrics: Any) -> str:
    flat = json_value(metrics) or {}
    return ", ".join(f"{task} AUC {m['auc']:.4f}" for task, m in flat.items() if isinstance(m, dict) and m.get("auc"))
