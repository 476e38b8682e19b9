"""Save a run's checkpoints, and live with storage that refuses for a while."""

from collections.abc import Callable, Mapping
from typing import Any

from esmm_dist.checkpoint.format import checkpoint_folder, checkpoint_steps, read_checkpoint_manifest
from esmm_dist.checkpoint.writer import rewrite_manifest, write_checkpoint
from esmm_dist.embedding.store import EmbeddingStore
from esmm_dist.errors import CheckpointError, LostError, RetryError
from esmm_dist.model.dense_state import Arrays
from esmm_dist.process.retry import retry
from esmm_dist.progress import Progress
from esmm_dist.ranks.world import World
from esmm_dist.reporter import Reporter
from esmm_dist.schema.fields import Schema
from esmm_dist.train.config import CheckpointConfig
from esmm_dist.train.run_folder import RunFolder

_MOST_FAILURES = 3
_PAUSES_S = (2.0, 10.0)


def is_saved(run: RunFolder, step: int) -> bool:
    """Return whether the run has a checkpoint of a step; its manifest, which is written last, is looked at alone."""
    if step not in checkpoint_steps(run.folder):
        return False
    try:
        return read_checkpoint_manifest(checkpoint_folder(run.folder, step)).step == step
    except CheckpointError:
        return False


class Saver:
    """Decides on all ranks when to save, and saves on rank 0.

    A save that fails costs nothing as long as training goes on, so it does, and tries again soon. After three failures
    in a row it ends: whoever runs it must know. The last save of a process cannot wait for later steps; it is tried
    three times at once.
    """

    def __init__(
        self,
        run: RunFolder | None,
        *,
        world: World,
        store: EmbeddingStore,
        schema: Schema,
        settings: Mapping[str, Any],
        config: CheckpointConfig,
        progress: Progress,
        reporter: Reporter,
        saved_step: int | None,
        pauses_s: tuple[float, ...] = _PAUSES_S,
    ) -> None:
        """Remember what is saved.

        Args:
            run: The run's folder; None on other ranks than 0.
            world: The ranks.
            store: Holds the rows.
            schema: Names the tables.
            settings: Resolved settings, as plain values.
            config: When to save, and what to keep.
            progress: Told of failures.
            reporter: Told of checkpoints.
            saved_step: Step of the checkpoint that the run was restored from, or wrote before; None: none.
            pauses_s: Seconds between the tries of the last save.
        """
        self._run, self._world, self._store, self._schema = run, world, store, schema
        self._settings, self._config, self._progress = settings, config, progress
        self._saved_step, self._pauses_s, self._reporter = saved_step, pauses_s, reporter
        self._failures = 0
        self._retry_step: int | None = None

    def next_step(self, step: int) -> int | None:
        """Return the next step after ``step`` at which a save is due; None if only the end is one."""
        every = self._config.checkpoint_every_steps
        due = [(step // every + 1) * every] if every else []
        if self._retry_step is not None and self._retry_step > step:
            due.append(self._retry_step)
        return min(due, default=None)

    def is_due(self, step: int) -> bool:
        """Return whether a save is due after ``step``."""
        return step > 0 and self.next_step(step - 1) == step

    def save(
        self,
        step: int,
        *,
        dense: Callable[[], Arrays],
        state: Mapping[str, Any],
        metrics: Mapping[str, Any],
        flush: Callable[[], None],
        last: bool,
    ) -> None:
        """Write the checkpoint of a step, unless it is there; a meeting of all ranks.

        Args:
            step: Steps done.
            dense: Returns the dense weights and optimizer state.
            state: What training continues from, as plain values.
            metrics: The newest evaluation, as plain values.
            flush: Brings the logs to their files.
            last: Whether this process will make no more steps.

        Raises:
            RetryError: The storage, or a server, has refused three times in a row.
        """
        if self._saved_step == step:
            return

        def write() -> None:
            assert self._run is not None
            flush()
            write_checkpoint(
                self._run.folder,
                step=step,
                schema=self._schema,
                dense=dense(),
                store=self._store,
                settings=self._settings,
                state=state,
                metrics=metrics,
                keep=self._config.keep_checkpoints,
            )
            self._run.publish()
            self._reporter.event("saved", step=step)
            self._reporter.note(saved_step=step)

        problem = self._world.on_root(lambda: self._tried(write, self._pauses_s if last else ()))
        if problem is None:
            self._saved_step, self._failures, self._retry_step = step, 0, None
            return
        self._failures += 1
        if last or self._failures == _MOST_FAILURES:
            raise RetryError(problem)
        self._retry_step = step + max(1, self._config.checkpoint_every_steps // 10)
        self._progress.message(f"{problem} Training goes on, and tries again at step {self._retry_step:,}.")

    def add_metrics(self, step: int, *, state: Mapping[str, Any], metrics: Mapping[str, Any]) -> None:
        """Put the metrics of an evaluation that came after it into the checkpoint of a step; a meeting of all ranks.

        Raises:
            RetryError: The storage refused.
        """

        def rewrite() -> None:
            assert self._run is not None
            rewrite_manifest(checkpoint_folder(self._run.folder, step), metrics=metrics, state=state)

        self._world.on_root(rewrite)

    def _tried(self, write: Callable[[], None], pauses_s: tuple[float, ...]) -> str | None:
        """Write, again after each pause if need be; return what went wrong the last time, None if it went well."""

        def before_pause(error: RetryError, pause_s: float) -> None:
            if isinstance(error, LostError):
                raise error  # no try of these ranks can succeed
            self._progress.message(f"{error} Trying again in {pause_s:g} s.")

        try:
            retry(write, RetryError, pauses_s, on_failure=before_pause)
        except LostError:
            raise
        except RetryError as e:
            return str(e)
        return None
