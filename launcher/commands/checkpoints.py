"""``esmm checkpoints``: list the checkpoints of a run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from esmm_dist.errors import ConfigError
from esmm_dist.progress import Progress
from esmm_dist.quiet import import_tensorflow
from launcher.command import Command, Outcome
from launcher.json_line import json_value
from launcher.progress import short_bytes
from launcher.text_table import text_table


@dataclass(frozen=True, kw_only=True)
class CheckpointsConfig:
    """List the checkpoints of a run."""

    run: Path
    """Folder of the run."""

    def __post_init__(self) -> None:
        if not self.run.is_dir():
            raise ConfigError(f"run is {self.run}, which is no folder. Give the folder that esmm train wrote.")


def _run(settings: CheckpointsConfig, progress: Progress) -> Outcome:
    import_tensorflow()  # before the reader does, which needs it for its rows
    from esmm_dist.checkpoint.listing import list_checkpoints

    found = list_checkpoints(settings.run)
    result = {"run": settings.run, "checkpoints": found}
    if not found:
        return Outcome(lines=[f"{settings.run} holds no checkpoint yet."], result=json_value(result))
    rows = [[f"{c.step:,}", short_bytes(c.size_bytes), f"{c.rows:,}", _metrics(c.metrics), c.state] for c in found]
    lines = text_table(["step", "size", "rows", "metrics", "state"], rows)
    return Outcome(lines=lines, result=json_value(result))


def _metrics(metrics: Any) -> str:
    flat = json_value(metrics) or {}
    return ", ".join(f"{task} AUC {m['auc']:.4f}" for task, m in flat.items() if isinstance(m, dict) and m.get("auc"))


COMMAND = Command(
    name="checkpoints",
    summary="List the checkpoints of a run: step, size, rows, metrics, and whether they are whole.",
    example="esmm checkpoints run",
    load_settings=lambda: CheckpointsConfig,
    run=_run,
    positional=("run",),
)
