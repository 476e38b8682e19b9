"""Save a run's checkpoints, and live with storage that refuses for a while."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from esmm_dist.calibration.calibration import Calibration
from esmm_dist.checkpoint.format import checkpoint_folder, checkpoint_steps, read_checkpoint_manifest
from esmm_dist.checkpoint.writer import CheckpointContent, rewrite_manifest, write_checkpoint
from esmm_dist.embedding.store import EmbeddingStore
from esmm_dist.errors import CheckpointError, LostError, RetryError
from esmm_dist.process.retry import retry
from esmm_dist.train.context import TrainingContext
from esmm_dist.train.every_steps import EverySteps
from esmm_dist.train.run_folder import RunFolder

_MOST_FAILURES = 3
_PAUSES_S = (2.0, 10.0)


def is_saved(run: RunFolder, step: int) -> bool:
    """Return whether the run has a checkpoint of a step; only its manifest, which is written last, is read."""
    if step not in checkpoint_steps(run.folder):
        return False
    try:
        return read_checkpoint_manifest(checkpoint_folder(run.folder, step)).step == step
    except CheckpointError:
        return False


class Saver:
    """Decides on all ranks when to save, and saves on rank 0.

    A save that fails costs nothing as long as training continues, so it does, and tries again soon. After three
    failures in a row training ends: the user must know. The last save of a process cannot wait for later
    steps; it is tried three times at once.
    """

    def __init__(
        self,
        context: TrainingContext,
        store: EmbeddingStore,
        *,
        saved_step: int | None,
        pauses_s: tuple[float, ...] = _PAUSES_S,
    ) -> None:
        """Remember what is saved.

        Args:
            context: settings, ranks and run of the training
            store: holds the rows
            saved_step: step of the checkpoint that the run was restored from, or wrote before; None: none
            pauses_s: seconds between the tries of the last save
        """
        self._context, self._store = context, store
        self._saved_step, self._pauses_s = saved_step, pauses_s
        self._every = EverySteps(context.config.checkpoint.checkpoint_every_steps)
        self._failures = 0
        self._retry_step: int | None = None

    def next_step(self, step: int) -> int | None:
        """Return the next step after ``step`` at which a save is due; None if only the end is one."""
        retry_step = self._retry_step if self._retry_step is not None and self._retry_step > step else None
        return min((each for each in (self._every.next_after(step), retry_step) if each is not None), default=None)

    def is_due(self, step: int) -> bool:
        """Return whether a save is due after ``step``."""
        return self._every.is_due(step) or step == self._retry_step

    def has_saved(self, step: int) -> bool:
        """Return whether the newest checkpoint is that of ``step``."""
        return self._saved_step == step

    def save(
        self, step: int, content: Callable[[], CheckpointContent], *, last: bool, kept_steps: Collection[int] = ()
    ) -> None:
        """Write the checkpoint of a step, unless it is there; a collective.

        Args:
            step: steps done
            content: returns what the checkpoint holds beside the rows; called on rank 0, once a try
            last: whether it cannot wait for a later step: this process will make no more, or it is the best
            kept_steps: steps of checkpoints that are kept however old they are; those of rank 0 count

        Raises:
            RetryError: The storage, or a server, has refused three times in a row.
        """
        if self._saved_step == step:
            return
        world, progress = self._context.world, self._context.progress
        pauses_s = self._pauses_s if last else ()
        problem = world.on_root(lambda: self._tried(lambda: self._write(content(), kept_steps), pauses_s))
        if problem is None:
            self._saved_step, self._failures, self._retry_step = step, 0, None
            return
        self._failures += 1
        if last or self._failures == _MOST_FAILURES:
            raise RetryError(problem)
        self._retry_step = step + max(1, self._every.period // 10)
        progress.message(f"{problem} Training continues and tries again at step {self._retry_step:,}.")

    def add_metrics(
        self, step: int, *, state: Mapping[str, Any], metrics: Mapping[str, Any], calibration: Calibration | None
    ) -> None:
        """Put what an evaluation that came after it found into the checkpoint of a step; a collective.

        Raises:
            RetryError: The storage refused.
        """

        def rewrite() -> None:
            run = self._context.run
            assert run is not None
            folder = checkpoint_folder(run.folder, step)
            rewrite_manifest(folder, metrics=metrics, state=state, calibration=calibration)

        self._context.world.on_root(rewrite)

    def _write(self, content: CheckpointContent, kept_steps: Collection[int]) -> None:
        context = self._context
        assert context.run is not None
        keep = context.config.checkpoint.keep_checkpoints
        write_checkpoint(context.run.folder, content, self._store, keep=keep, kept_steps=kept_steps)
        context.run.publish()
        context.reporter.event("saved", step=content.step)
        context.reporter.note(saved_step=content.step)

    def _tried(self, write: Callable[[], None], pauses_s: tuple[float, ...]) -> str | None:
        """Write, again after each pause if need be; return what went wrong the last time, None if it went well."""

        def before_pause(error: RetryError, pause_s: float) -> None:
            if isinstance(error, LostError):
                raise error  # no try of these ranks can succeed
            self._context.progress.message(f"{error} Trying again in {pause_s:g} s.")

        try:
            retry(write, RetryError, pauses_s, on_failure=before_pause)
        except LostError:
            raise
        except RetryError as e:
            return str(e)
        return None
