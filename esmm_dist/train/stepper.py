"""Make one step after the other, on all ranks alike."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from esmm_dist.arrays import F32
from esmm_dist.embedding.store import EmbeddingStore
from esmm_dist.errors import NumericalError
from esmm_dist.model.inputs import model_inputs, pull_rows
from esmm_dist.train.batches import BatchSource, Prepared, PushedSteps
from esmm_dist.train.compiled_step import StepRequests
from esmm_dist.train.context import TrainingContext
from esmm_dist.train.every_steps import EverySteps
from esmm_dist.train.learning_rate import LearningRateSchedule
from esmm_dist.train.numerical_check import agreed_error, numerical_error
from esmm_dist.train.run_log import RunLog
from esmm_dist.train.run_speed import SpeedPoint
from esmm_dist.train.step_times import StepPart, StepTimes
from esmm_dist.train.stop_signal import StopSignal
from esmm_dist.train.table_sizes import TableSizes
from esmm_dist.train.train_state import TrainState


@dataclass(frozen=True, kw_only=True)
class _Decision:
    """What all ranks do after the step at hand, and whether this one leaves."""

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
        context: TrainingContext,
        state: TrainState,
        store: EmbeddingStore,
        batches: BatchSource,
        log: RunLog,
        on_step: Callable[[], None],
    ) -> None:
        """Remember what a step needs.

        Args:
            context: settings, ranks and run of the training
            state: model and optimizer, and the step that they have reached
            store: holds the rows
            batches: makes this rank's shares of the batches
            log: receives the losses
            on_step: called after each step
        """
        self._context, self._state, self._store, self._batches = context, state, store, batches
        self._log, self._on_step = log, on_step
        config = context.config
        self._schedule = LearningRateSchedule(
            total_steps=context.steps.all_epochs,
            schedule=config.schedule,
            warmup_steps=config.warmup_steps,
            cooldown=config.cooldown_share,
        )
        self._log_steps = EverySteps(config.log_every_steps)
        self._decision = _Decision()
        self._times = StepTimes()
        self._sizes = TableSizes(store, context.schema.tables, config.embedding, embedded=config.store.embedded)
        self._impressions = 0  # since this process began to train

    @property
    def step(self) -> int:
        """Steps done."""
        return self._state.steps

    def until(self, last_step: int, stop: StopSignal) -> tuple[int, float]:
        """Make steps up to ``last_step`` or a signal; return impressions and seconds.

        Raises:
            NumericalError: A loss or a gradient is not finite on some rank; nothing was updated.
            WorkerLostError: Another rank has ended.
        """
        impressions = 0
        progress, steps = self._context.progress, self._context.steps
        progress.start("Training", steps.last - steps.first, "steps", self.step - steps.first)
        pushed = PushedSteps(self.step)
        with self._batches.between(self.step, last_step, pushed) as prepared:
            start = time.monotonic()
            self._times.start()
            for item in prepared:
                self._times.lap_of_input(item.pull_s)
                impressions += self._make_step(item, stop, pushed)
                pushed.note(self.step)
                self._times.lap(StepPart.OTHER)
                if self.is_stopping(stop) or self.ranks_change:
                    break
            seconds = time.monotonic() - start
        progress.finish()
        return impressions, seconds

    def is_stopping(self, stop: StopSignal) -> bool:
        """Return whether training ends after the step at hand: on every rank the same answer."""
        world = self._context.world
        return self._decision.stop if world.size > 1 or world.elastic else stop.name is not None

    @property
    def ranks_change(self) -> bool:
        """Whether the ranks change after the step at hand: on every rank the same answer."""
        return self._decision.change or self._decision.leaving > 0

    @property
    def leaves(self) -> bool:
        """Whether this rank leaves after the step at hand."""
        return self._decision.leaves

    @property
    def all_leave(self) -> bool:
        """Whether no rank stays after the step at hand: on every rank the same answer."""
        return self._decision.leaving == self._context.world.size

    def stop_name(self, stop: StopSignal) -> str:
        """Return the name of the signal that ended training, wherever it came; a collective."""
        own = f"{stop.name} " if stop.name is not None and not stop.leave else ""
        names = self._context.world.gather(np.frombuffer(own.encode(), dtype=np.uint8).reshape(-1, 1))
        return names.tobytes().decode().split()[0]

    def _make_step(self, prepared: Prepared, stop: StopSignal, pushed: PushedSteps) -> int:
        """Make one step; return its impressions, over all ranks."""
        context, compiled = self._context, self._state.compiled
        step, batch, lookups = self.step + 1, prepared.batch, prepared.lookups
        requests = StepRequests(
            stop=stop.name is not None and not stop.leave, leave=stop.leave, change=context.world.change_announced
        )
        rows = prepared.rows if prepared.rows is not None else pull_rows(self._store, prepared.tickets, step=step)
        pushed.note_rows(step)
        self._times.lap(StepPart.PULL)
        factor = self._schedule.factor(step - context.steps.first)
        compiled.optimizer.learning_rate.assign(context.config.dense.learning_rate * factor)
        inputs = model_inputs(batch, lookups, rows, with_norms=compiled.model.uses_norms)
        result = compiled.step(inputs, step, requests)
        if not result.finite:
            raise self._numerical_error(prepared, rows, at_fault=result.at_fault)
        self._state.advance(result.loss_sums, result.weight)
        self._times.lap(StepPart.STEP)
        for table, gradient_sums in result.gradient_sums.items():
            self._store.push(
                prepared.tickets[table],
                gradient_sums,
                impressions=max(result.impressions, 1),  # of a batch that was skipped whole: no ids, but a step
                step=step,
                rate_factor=factor,
            )
        self._times.lap(StepPart.PUSH)
        self._times.count(result.impressions)
        stopping, leaving, changing = result.requests.tolist()
        self._decision = _Decision(stop=stopping > 0, leaving=leaving, change=changing > 0, leaves=requests.leave)
        self._report(step, result.impressions)
        self._on_step()
        return result.impressions

    def _numerical_error(self, prepared: Prepared, rows: dict[str, F32], *, at_fault: bool) -> NumericalError:
        """Return the error of the step that is not finite; a collective."""
        context, step, own = self._context, self.step + 1, None
        if at_fault:
            own = numerical_error(
                step=step,
                epoch=(self.step - context.steps.first) // context.steps.per_epoch,
                schema=context.schema,
                batch=prepared.batch,
                lookups=prepared.lookups,
                rows=rows,
            )
        return agreed_error(own, step, context.world)

    def _report(self, step: int, impressions: int) -> None:
        self._impressions += impressions
        self._context.reporter.note(step=step, impressions=self._impressions)
        is_logged = self._log_steps.is_due(step) or step == self._context.steps.last_of_epochs
        self._context.progress.advance(1, self._log_losses() if is_logged else "")
        if is_logged:
            self.log_speed()

    def log_speed(self) -> None:
        """Log the speed of the steps since the point before; nothing if there are none, or on ranks other than 0."""
        taken = self._times.take()
        if taken is None or self._context.run is None:
            return
        parts = {part.value: taken.parts[part] for part in StepPart if part is not StepPart.OTHER}
        self._log.speed(
            SpeedPoint(
                at=time.time(),
                step=self.step,
                steps=taken.steps,
                impressions=taken.impressions,
                ranks=self._context.world.size,
                seconds=taken.seconds,
                **parts,
                tables=self._sizes.now(),
            )
        )

    def _log_losses(self) -> str:
        names = self._state.compiled.model.objective.loss_names
        losses = dict(zip(names, self._state.window.take(), strict=True))
        self._log.losses(self.step, losses)
        return " ".join(f"{name} {loss:.4f}" for name, loss in losses.items())
