"""Weights & Biases, through its own client."""

import uuid
from collections.abc import Sequence
from typing import Any

from esmm_dist.errors import ConfigError
from esmm_dist.train.trackers.tracker import TrackedPoint, TrackedRun, TrackedStatus

_PROJECT = "esmm"
_BEGIN_S = 20.0
_OFFLINE = ("offline", "dryrun", "disabled")


class WandbTracker:
    """Logs as ``WANDB_MODE``, ``WANDB_API_KEY``, ``WANDB_DIR`` and the client's other variables say."""

    def __init__(self) -> None:
        """Connect to nothing yet."""
        self._run: Any = None

    def begin(self, run: TrackedRun, run_id: str | None) -> str:
        """Begin a run, or go on with one.

        Raises:
            ConfigError: No key is known, and the client would ask for one.
        """
        import wandb

        settings = wandb.setup().settings
        is_offline = settings.mode in _OFFLINE
        if not is_offline and not wandb.api.api_key:
            raise ConfigError(
                "Weights & Biases knows no API key. Run wandb login, set WANDB_API_KEY, or WANDB_MODE=offline."
            )
        run_id = run_id or uuid.uuid4().hex[:8]
        self._run = wandb.init(
            project=run.experiment or settings.project or _PROJECT,
            name=run.name,
            id=run_id,
            resume=None if is_offline else "allow",  # offline, parts of the same id are joined when they are synced
            config=dict(run.settings),
            allow_val_change=True,
            settings=wandb.Settings(silent=True, console="off", init_timeout=_BEGIN_S),
        )
        # Steps of a killed training are made again: the client's own count of steps would refuse them
        self._run.define_metric("*", step_metric="step")
        return run_id

    def log(self, points: Sequence[TrackedPoint]) -> None:
        """Log values; the client keeps what it cannot send."""
        for point in points:
            self._run.log({"step": point.step, **point.values})

    def end(self, status: TrackedStatus | None) -> None:
        """End the run."""
        if status is not None:
            self._run.summary["status"] = status.value
        self._run.finish(exit_code=0 if status in (None, TrackedStatus.FINISHED) else 1)
