"""Which checkpoint of a run is meant: RUN, RUN:STEP, or RUN with a step beside it."""

from collections.abc import Callable
from dataclasses import dataclass

from esmm_dist.checkpoint.best_checkpoint import best_evaluation
from esmm_dist.checkpoint.reader import Checkpoint, open_checkpoint, restore_newest
from esmm_dist.checkpoint.run_check import refuse_other_folder
from esmm_dist.errors import CheckpointError, CheckpointMismatchError, ConfigError
from esmm_dist.progress import Progress
from esmm_dist.storage.folder import Folder
from esmm_dist.storage.uris import without_credentials


@dataclass(frozen=True, kw_only=True)
class CheckpointChoice:
    """A checkpoint as a user names it."""

    run: str
    """Path or URI of the run."""

    step: int | None = None
    """Step of the checkpoint. None: the best of a run with early stopping, else the newest that is undamaged."""

    @classmethod
    def parse(cls, text: str, step: int | None = None) -> "CheckpointChoice":
        """Read RUN or RUN:STEP.

        Args:
            text: As typed. The query of a URI (``s3://bucket/run?endpoint_override=HOST:9000``) holds no step.
            step: Step that was given beside it.

        Raises:
            ConfigError: No run is named, the step is negative, or two different steps are named.
        """
        run, _, digits = text.rpartition(":")
        named = digits.isascii() and digits.isdigit() and _may_have_step(run)
        choice = cls(run=run, step=int(digits)) if named else cls(run=text, step=step)
        if not choice.run.strip():
            raise ConfigError("run is empty. Give the folder or URI of a run; is the shell's variable set?")
        if step is not None and step < 0:
            raise ConfigError(f"step is {step}. Give the step of a checkpoint; esmm checkpoints RUN lists them.")
        if named and step is not None and step != choice.step:
            raise ConfigError(f"run is {text}, which names step {choice.step}, and step is {step}. Give one of them.")
        return choice

    def restore(self, progress: Progress, take: Callable[[Checkpoint], None]) -> Checkpoint:
        """Open the checkpoint and hand it over; where the newest is damaged, the one before.

        Args:
            progress: Receives a message for each damaged checkpoint, and which one is the best.
            take: Takes over weights and rows; see ``restore_newest``.

        Raises:
            CheckpointError: The run has no (such) checkpoint, or it is damaged.
            ConfigError: The folder is a data set or a single checkpoint.
            EsmmError: Whatever else ``take`` raises.
        """
        folder = Folder.open(self.run)
        if self.step is not None:
            checkpoint = open_checkpoint(folder, self.step)
            take(checkpoint)
            return checkpoint
        newest = _restore_best(folder, progress, take) or restore_newest(folder, progress, take)
        if newest is None:
            refuse_other_folder(folder)
            place = without_credentials(self.run)
            raise CheckpointError(f"{folder} holds no checkpoint. Train first: esmm train --data DATA --run {place}")
        return newest


def _restore_best(folder: Folder, progress: Progress, take: Callable[[Checkpoint], None]) -> Checkpoint | None:
    """Open the best checkpoint of a run with early stopping and hand it over; None if there is no best one to use.

    Raises:
        CheckpointMismatchError: From ``take``: others would not fit either.
        EsmmError: Whatever else ``take`` raises.
    """
    best = best_evaluation(folder)
    if best is None:
        return None
    try:
        checkpoint = open_checkpoint(folder, best.step)
        take(checkpoint)
    except CheckpointMismatchError:
        raise
    except CheckpointError as e:
        progress.message(f"The best checkpoint cannot be used, so the newest is: {e}")
        return None
    progress.message(f"Taking the checkpoint of the best evaluation: {best}.")
    return checkpoint


def _may_have_step(run: str) -> bool:
    """Return whether digits behind a run are a step: not a port in the authority or in the query of a URI."""
    _, scheme, rest = run.partition("://")
    return ("/" in rest and "?" not in rest) if scheme else bool(run)
