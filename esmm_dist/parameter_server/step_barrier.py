"""Which pushes of a table are applied when: the order of steps, free of threads and transport.

In ``sync`` and ``bounded`` a step is applied as a whole, once, when the pushes of all ranks are there, in whatever
order they came::

    rank 0   push 7 ─────┐
    rank 1        push 7 ┴─> apply 7, in rank order      a second push 7 of a rank is a repeat, and dropped

The modes differ in what a pull for step t waits for: all steps before it (``sync``), or all but the last
``max_staleness_steps`` of them (``bounded``). In ``async`` a rank's push is applied when it comes, and no pull waits.

After a rank was lost, ``rewind`` lets all ranks, another number of them, start again from a step that all know.
"""

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from esmm_dist.parameter_server.config import UpdateMode

Push = TypeVar("Push")


@dataclass(frozen=True, kw_only=True)
class ReadyStep(Generic[Push]):
    """Pushes that are to be applied together."""

    step: int
    pushes: tuple[Push, ...]
    """In rank order."""


@dataclass(frozen=True, kw_only=True)
class ResumeCost:
    """What resuming from a step has cost, in steps."""

    undone_steps: int = 0
    """Applied by then, and undone: they are done again, as if for the first time."""
    lost_steps: int = 0
    """Whose gradients have not all been applied, and never will be. In ``async`` each rank's count for themselves."""
    repeated_steps: int = 0
    """Applied by then, and not undone: they are applied twice. In ``async`` each rank's count for themselves."""

    def most(self, other: "ResumeCost") -> "ResumeCost":
        """Return the larger of each, of two tables or servers of which the same steps are gone."""
        return ResumeCost(
            undone_steps=max(self.undone_steps, other.undone_steps),
            lost_steps=max(self.lost_steps, other.lost_steps),
            repeated_steps=max(self.repeated_steps, other.repeated_steps),
        )

    def plus(self, later: "ResumeCost") -> "ResumeCost":
        """Return the sum of two resumptions, one after the other."""
        return ResumeCost(
            undone_steps=self.undone_steps + later.undone_steps,
            lost_steps=self.lost_steps + later.lost_steps,
            repeated_steps=self.repeated_steps + later.repeated_steps,
        )


@dataclass(kw_only=True)
class StepBarrier(Generic[Push]):
    """The state of one table's steps. Not thread-safe: the owner serialises calls."""

    world_size: int
    mode: UpdateMode
    max_staleness_steps: int
    applied_step: int
    """Every rank's push of this step, and of all before it, has been applied."""
    repeats: int = 0
    """Pushes that were dropped because they had come before."""
    _waiting: dict[int, dict[int, Push]] = field(default_factory=dict)
    _newest_of_rank: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._newest_of_rank = [self.applied_step] * self.world_size

    def offer(self, step: int, rank: int, push: Push) -> ReadyStep[Push] | None:
        """Take a rank's push of a step.

        Args:
            step: the step, 1, 2, ...
            rank: the rank, 0 .. world_size - 1
            push: the rank's gradients

        Returns:
            What is to be applied now, before the next call; None if nothing is: the push waits, or is a repeat.

        Raises:
            ValueError: The rank is unknown, or the step does not follow the rank's last one.
        """
        if not 0 <= rank < self.world_size:
            raise ValueError(f"rank is {rank}, but the run was opened with {self.world_size} ranks")
        newest = self._newest_of_rank[rank]
        if step <= newest:
            self.repeats += 1
            return None
        if step != newest + 1:
            raise ValueError(
                f"rank {rank} pushes step {step}, but its last one was {newest}: step {newest + 1} is missing"
            )
        self._newest_of_rank[rank] = step
        if self.mode == "async":
            self.applied_step = min(self._newest_of_rank)
            return ReadyStep(step=step, pushes=(push,))
        of_step = self._waiting.setdefault(step, {})
        of_step[rank] = push
        if len(of_step) < self.world_size:
            return None
        del self._waiting[step]
        self.applied_step = step
        return ReadyStep(step=step, pushes=tuple(of_step[rank] for rank in range(self.world_size)))

    def may_pull(self, step: int) -> bool:
        """Return whether the rows are new enough for step ``step``."""
        if self.mode == "async":
            return True
        behind = self.max_staleness_steps if self.mode == "bounded" else 0
        return self.applied_step >= step - 1 - behind

    def rewind(self, step: int, world_size: int) -> ResumeCost:
        """Let the next step be ``step`` + 1 for every rank of a new number of ranks; pushes that wait are dropped.

        Rows are not touched: a caller that undoes an applied step says so itself.

        Args:
            step: the step up to which all ranks count as having pushed, 0, 1, ...
            world_size: number of ranks from now on

        Returns:
            The steps that are lost or will be repeated, if the rows stay as they are.
        """
        reached = self._newest_of_rank if self.mode == "async" else [self.applied_step]
        lost = sum(max(0, step - newest) for newest in reached)
        repeated = sum(max(0, newest - step) for newest in reached)
        self._waiting.clear()
        self.world_size, self.applied_step = world_size, step
        self._newest_of_rank = [step] * world_size
        return ResumeCost(lost_steps=lost, repeated_steps=repeated)

    @property
    def newest_steps(self) -> tuple[int, ...]:
        """The newest step that each rank has pushed."""
        return tuple(self._newest_of_rank)

    def is_quiet(self, step: int) -> bool:
        """Return whether all ranks' pushes up to ``step`` are applied, and none of a later step has come."""
        return self.applied_step == step and all(newest == step for newest in self._newest_of_rank)
