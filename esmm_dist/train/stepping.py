"""Make one step after the other, on all ranks alike."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from esmm_dist.embedding.store import EmbeddingStore
from esmm_dist.model.inputs import model_inputs, pull_rows
from esmm_dist.progress import Progress
from esmm_dist.ranks.world import World
from esmm_dist.reporter import Reporter
from esmm_dist.schema.fields import Schema
from esmm_dist.train.batches import BatchSource, Prepared, PushedSteps
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.learning_rate import RateCourse
from esmm_dist.train.numerical_check import agreed_error, numerical_error
from esmm_dist.train.run_log import RunLog
from esmm_dist.train.standing import Standing
from esmm_dist.train.step import Wishes
from esmm_dist.train.stop_signal import StopSignal


@dataclass(frozen=True, kw_only=True)
class StepCount:
    """How many steps a run has."""

    per_epoch: int
    all_epochs: int
    total: int
    """Those that will be made: of all epochs, or max_steps."""


@dataclass(frozen=True, kw_only=True)
class _Agreed:
    """What all ranks do after the step at hand."""

    stop: bool = False
    leaving: int = 0
    """Ranks that leave."""
    change: bool = False
    leaves: bool = False
    """Whether this rank is one of those that leave. A signal that has come since is for the next step."""


class Stepper:
    """Makes the steps of a run between its pauses."""

    def __init__(
        self,
        config: TrainConfig,
        *,
        schema: Schema,
        count: StepCount,
        store: EmbeddingStore,
        standing: Standing,
        batches: BatchSource,
        world: World,
        log: RunLog,
        progress: Progress,
        reporter: Reporter,
        on_step: Callable[[], None],
    ) -> None:
        """Remember what a step needs.

        Args:
            config: The settings.
            schema: Of the data.
            count: Of the run's steps.
            store: Holds the rows.
            standing: Model, optimizer, and how far they are.
            batches: Makes this rank's shares of the batches.
            world: The ranks.
            log: Told the losses.
            progress: Told the steps.
            reporter: Told the steps.
            on_step: Called after each step.
        """
        self._config, self._schema, self._count = config, schema, count
        self._store, self._standing, self._batches, self._world = store, standing, batches, world
        self._log, self._progress, self._reporter, self._on_step = log, progress, reporter, on_step
        self._dense = standing.dense
        self._rates = RateCourse(
            total_steps=count.all_epochs,
            schedule=config.schedule,
            warmup_steps=config.warmup_steps,
            cooldown=config.cooldown_share,
        )
        self._agreed = _Agreed()
        self._impressions = 0  # since this process began to train

    @property
    def step(self) -> int:
        """Steps done."""
        return self._standing.steps

    def until(self, last_step: int, stop: StopSignal) -> tuple[int, float]:
        """Make steps up to ``last_step`` or a signal; return impressions and seconds.

        Raises:
            NumericalError: A loss or a gradient is not finite on some rank; nothing was updated.
            WorkerLostError: Another rank has ended.
        """
        impressions = 0
        self._progress.start("Training", self._count.total, "steps", self.step)
        pushed = PushedSteps(self.step)
        with self._batches.between(self.step, last_step, pushed) as prepared:
            start = time.monotonic()
            for item in prepared:
                impressions += self._make_step(item, stop)
                pushed.note(self.step)
                if self.is_stopping(stop) or self.ranks_change:
                    break
            seconds = time.monotonic() - start
        self._progress.finish()
        return impressions, seconds

    def is_stopping(self, stop: StopSignal) -> bool:
        """Return whether training ends after the step at hand: on every rank the same answer."""
        return self._agreed.stop if self._world.size > 1 or self._world.elastic else stop.name is not None

    @property
    def ranks_change(self) -> bool:
        """Whether the ranks meet anew after the step at hand: on every rank the same answer."""
        return self._agreed.change or self._agreed.leaving > 0

    @property
    def leaves(self) -> bool:
        """Whether this rank leaves after the step at hand."""
        return self._agreed.leaves

    @property
    def all_leave(self) -> bool:
        """Whether no rank stays after the step at hand: on every rank the same answer."""
        return self._agreed.leaving == self._world.size

    def stop_name(self, stop: StopSignal) -> str:
        """Return the name of the signal that ended training, wherever it came; a meeting of all ranks."""
        own = f"{stop.name} " if stop.name is not None and not stop.leave else ""
        names = self._world.gather(np.frombuffer(own.encode(), dtype=np.uint8).reshape(-1, 1))
        return names.tobytes().decode().split()[0]

    def _make_step(self, prepared: Prepared, stop: StopSignal) -> int:
        """Make one step; return its impressions, over all ranks."""
        step, batch, lookups = self.step + 1, prepared.batch, prepared.lookups
        wishes = Wishes(
            stop=stop.name is not None and not stop.leave, leave=stop.leave, change=self._world.change_announced
        )
        rows = prepared.rows if prepared.rows is not None else pull_rows(self._store, lookups, step=step)
        factor = self._rates.factor(step)
        self._dense.optimizer.learning_rate.assign(self._config.dense.learning_rate * factor)
        result = self._dense.step(model_inputs(batch, lookups, rows), step, wishes)
        if not result.finite:
            own = None
            if result.at_fault:
                epoch = self.step // self._count.per_epoch
                own = numerical_error(
                    step=step, epoch=epoch, schema=self._schema, batch=batch, lookups=lookups, rows=rows
                )
            raise agreed_error(own, step, self._world)
        self._standing.advance(result.loss_sums, result.weight)
        for table, gradient_sums in result.gradient_sums.items():
            self._store.push(
                table,
                lookups[table].ids,
                gradient_sums,
                impressions=max(result.impressions, 1),  # of a batch that was skipped whole: no ids, but a step
                step=step,
                rate_factor=factor,
                counts=lookups[table].counts,
            )
        stopping, leaving, changing = result.wishes.tolist()
        self._agreed = _Agreed(stop=stopping > 0, leaving=leaving, change=changing > 0, leaves=wishes.leave)
        self._impressions += result.impressions
        self._reporter.note(step=step, impressions=self._impressions)
        note = ""
        if step % self._config.log_every_steps == 0 or step == self._count.all_epochs:
            note = self._log_losses()
        self._progress.advance(1, note)
        self._on_step()
        return result.impressions

    def _log_losses(self) -> str:
        losses = dict(zip(_loss_names(self._schema.labels), self._standing.window.take(), strict=True))
        self._log.losses(self.step, losses)
        return " ".join(f"{name} {loss:.4f}" for name, loss in losses.items())


def _loss_names(labels: tuple[str, ...]) -> list[str]:
    """Name the losses: of the running products, since there is none on a conditional probability."""
    return ["ctr_loss", "ctcvr_loss"] if len(labels) == 2 else [f"{label}_loss" for label in labels]
