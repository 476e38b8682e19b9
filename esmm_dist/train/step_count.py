"""How many steps a run makes with a data set."""

from dataclasses import dataclass

from esmm_dist.errors import ConfigError
from esmm_dist.train.config import TrainConfig


@dataclass(frozen=True, kw_only=True)
class StepCount:
    """How many steps a run makes with the data set at hand, and after which of its steps."""

    per_epoch: int
    all_epochs: int
    total: int
    """Those that will be made: the steps of all epochs, or max_steps."""
    first: int = 0
    """Steps that the run made before, with other data sets."""

    @property
    def last(self) -> int:
        """Steps of the run when those with this data set are made."""
        return self.first + self.total

    @property
    def last_of_epochs(self) -> int:
        """Steps of the run when those of all epochs over this data set are made."""
        return self.first + self.all_epochs

    @property
    def epochs(self) -> int:
        """Passes over the data."""
        return self.all_epochs // self.per_epoch

    def in_words(self, batch_records: int) -> str:
        """Return what the steps are made of: "1,908 steps: 3 x 636 batches of 1,344 records".

        Args:
            batch_records: records of a batch, over all ranks
        """
        steps = f"{self.total:,} step{'s' if self.total > 1 else ''}"
        if self.total < self.all_epochs:
            steps = f"{self.total:,} (max_steps) of {self.all_epochs:,} steps"
        if self.first:
            steps += f" after step {self.first:,}"
        return f"{steps}: {self.epochs} x {self.per_epoch:,} batches of {batch_records:,} records"


def count_steps(config: TrainConfig, *, per_epoch: int, epochs: int, first: int = 0) -> StepCount:
    """Return the steps of a run with a data set.

    Args:
        config: settings of the run
        per_epoch: batches of one pass over the train split
        epochs: passes, 1 or more
        first: steps of the run before, with other data sets

    Raises:
        ConfigError: There is nothing to learn from, or the learning rates would never reach their full value.
    """
    if not per_epoch:
        raise ConfigError(f"{config.data} has no records in split 'train': there is nothing to learn from.")
    all_epochs = per_epoch * epochs
    if config.warmup_steps >= all_epochs:
        raise ConfigError(
            f"warmup_steps is {config.warmup_steps}, but all epochs have {all_epochs} steps: the learning rates would "
            f"never reach their full value. Set warmup_steps to {all_epochs // 10} or so, or more epochs."
        )
    total = min(all_epochs, config.max_steps or all_epochs)
    return StepCount(per_epoch=per_epoch, all_epochs=all_epochs, total=total, first=first)


def refuse_past_end(config: TrainConfig, steps: StepCount, *, done: int, checkpoint: object) -> None:
    """Check that a run that resumes has not made more steps than it is to make in all.

    Args:
        config: settings of this training
        steps: steps that the run is to make
        done: steps of the checkpoint that it would resume from, with the data set at hand
        checkpoint: place of the checkpoint, for the message

    Raises:
        ConfigError: It has; the message names the settings that say so.
    """
    wrong = []
    if config.max_steps is not None and config.max_steps < done:
        wrong.append(("max_steps", f"{config.max_steps}", done))
    if steps.all_epochs < done:
        wrong.append(("epochs", f"{steps.epochs}, which is {steps.all_epochs:,} steps", -(-done // steps.per_epoch)))
    if wrong:
        raise ConfigError(
            f"{' and '.join(f'{name} is {value}' for name, value, _ in wrong)}, but this run would resume from "
            f"{checkpoint}, which has {done:,} steps. "
            f"Set {' and '.join(f'{name} to {least} or more' for name, _, least in wrong)}, or start a new run with "
            "another --run."
        )
