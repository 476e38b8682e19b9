"""Which pushes are applied when, against a model of one line."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esmm_dist.parameter_server.config import UpdateMode
from esmm_dist.parameter_server.step_barrier import ReadyStep, ResumeCost, StepBarrier


def barrier(world_size: int, mode: UpdateMode = "sync", *, staleness: int = 1, step: int = 0) -> StepBarrier[str]:
    return StepBarrier(world_size=world_size, mode=mode, max_staleness_steps=staleness, applied_step=step)


def test_a_step_is_applied_once_all_ranks_are_there_and_in_rank_order():
    steps = barrier(3)
    assert steps.offer(1, 2, "c") is None
    assert steps.offer(1, 0, "a") is None
    assert steps.offer(1, 1, "b") == ReadyStep(step=1, pushes=("a", "b", "c"))
    assert steps.applied_step == 1


def test_a_repeat_is_counted_and_dropped_whether_its_step_waits_or_is_applied():
    steps = barrier(2)
    steps.offer(1, 0, "a")
    assert steps.offer(1, 0, "again") is None
    assert steps.offer(1, 1, "b") == ReadyStep(step=1, pushes=("a", "b"))
    assert steps.offer(1, 1, "again") is None
    assert steps.repeats == 2


def test_a_push_that_leaves_a_step_out_is_refused_and_changes_nothing():
    steps = barrier(2, step=7)
    with pytest.raises(ValueError, match="rank 1 pushes step 9, but its last one was 7: step 8 is missing"):
        steps.offer(9, 1, "x")
    assert steps.newest_steps == (7, 7)
    assert steps.offer(8, 1, "b") is None


@pytest.mark.parametrize("rank", [-1, 2])
def test_an_unknown_rank_is_refused(rank):
    with pytest.raises(ValueError, match=f"rank is {rank}, but the run was opened with 2 ranks"):
        barrier(2).offer(1, rank, "x")


@pytest.mark.parametrize(
    ("mode", "staleness", "may_pull_up_to"),
    [
        ("sync", 1, 6),  # step 5 is applied: rows for step 6
        ("bounded", 1, 7),
        ("bounded", 3, 9),
        ("async", 1, 1000),
    ],
)
def test_a_pull_waits_for_the_steps_that_its_mode_asks_for(mode, staleness, may_pull_up_to):
    steps = barrier(2, mode, staleness=staleness, step=5)
    assert steps.may_pull(may_pull_up_to)
    assert mode == "async" or not steps.may_pull(may_pull_up_to + 1)


def test_in_async_each_push_is_applied_on_arrival_and_repeats_are_dropped():
    steps = barrier(2, "async")
    assert steps.offer(1, 0, "a1") == ReadyStep(step=1, pushes=("a1",))
    assert steps.offer(2, 0, "a2") == ReadyStep(step=2, pushes=("a2",))
    assert steps.offer(1, 0, "again") is None
    assert steps.applied_step == 0  # rank 1 has pushed nothing
    assert steps.offer(1, 1, "b1") == ReadyStep(step=1, pushes=("b1",))
    assert steps.applied_step == 1


def test_quiet_means_that_every_rank_is_at_that_step():
    steps = barrier(2, "bounded", staleness=2)
    assert steps.is_quiet(0)
    steps.offer(1, 0, "a")
    assert not steps.is_quiet(0)
    steps.offer(1, 1, "b")
    assert steps.is_quiet(1)
    steps.offer(2, 0, "a")
    assert not steps.is_quiet(1)


@settings(deadline=None)
@given(st.data())
def test_any_interleaving_with_repeats_applies_every_step_once_and_in_order(data):
    world_size, last = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 5))
    mode = data.draw(st.sampled_from(["sync", "bounded"]))
    steps = barrier(world_size, mode, staleness=2)
    next_step, applied, repeats = [1] * world_size, [], 0
    while min(next_step) <= last:
        rank = data.draw(st.integers(0, world_size - 1))
        if next_step[rank] > 1 and data.draw(st.booleans()):
            old = data.draw(st.integers(1, next_step[rank] - 1))
            assert steps.offer(old, rank, "repeat") is None
            repeats += 1
        elif next_step[rank] <= last:
            ready = steps.offer(next_step[rank], rank, f"{next_step[rank]}/{rank}")
            next_step[rank] += 1
            applied += [(ready.step, ready.pushes)] if ready else []
    model = [(step, tuple(f"{step}/{rank}" for rank in range(world_size))) for step in range(1, last + 1)]
    assert applied == model
    assert steps.repeats == repeats


def test_a_rewind_drops_what_waits_and_starts_anew_with_other_ranks():
    steps = barrier(3, step=4)
    steps.offer(5, 0, "old")
    steps.offer(5, 2, "old")
    assert steps.rewind(4, 2) == ResumeCost()
    assert steps.newest_steps == (4, 4)
    assert steps.offer(5, 0, "a") is None
    assert steps.offer(5, 1, "b") == ReadyStep(step=5, pushes=("a", "b"))


@pytest.mark.parametrize(
    ("mode", "to_step", "expected"),
    [
        ("bounded", 5, ResumeCost(lost_steps=3)),  # applied was 2: the steps 3, 4 and 5
        ("bounded", 2, ResumeCost()),
        ("bounded", 1, ResumeCost(repeated_steps=1)),
        ("async", 5, ResumeCost(lost_steps=4)),  # rank 0 had pushed 4, rank 1 had pushed 2: 5, and 3, 4, 5
        ("async", 3, ResumeCost(lost_steps=1, repeated_steps=1)),
    ],
)
def test_a_rewind_counts_the_steps_that_are_lost_or_come_twice(mode, to_step, expected):
    steps = barrier(2, mode, staleness=3)
    for step in (1, 2, 3, 4):
        steps.offer(step, 0, "a")
    for step in (1, 2):
        steps.offer(step, 1, "b")
    assert steps.applied_step == 2
    assert steps.rewind(to_step, 2) == expected
    assert steps.newest_steps == (to_step, to_step)


def test_what_rewinds_cost_is_added_over_time_and_the_most_over_servers():
    one, other = ResumeCost(undone_steps=1, repeated_steps=2), ResumeCost(lost_steps=3, repeated_steps=1)
    assert one.plus(other) == ResumeCost(undone_steps=1, lost_steps=3, repeated_steps=3)
    assert one.most(other) == ResumeCost(undone_steps=1, lost_steps=3, repeated_steps=2)


class Ranks:
    """Ranks that push, wait, die and come back, and rows that are the sum of what was applied."""

    def __init__(self, world_size: int) -> None:
        self.barrier: StepBarrier[int] = StepBarrier(
            world_size=world_size, mode="sync", max_staleness_steps=1, applied_step=0
        )
        self.rows = self.rows_before = 0
        self.done = [0] * world_size
        self.undoable = False

    def push(self, rank: int, step: int) -> None:
        world_size = self.barrier.world_size
        share = 100**step // world_size + (100**step % world_size if rank == 0 else 0)  # the ranks' sum is 100^step
        ready = self.barrier.offer(step, rank, share)
        self.done[rank] = max(self.done[rank], step)
        if ready is not None:
            self.rows_before, self.rows = self.rows, self.rows + sum(ready.pushes)
            self.undoable = True

    def rewind(self, *, undo: bool, world_size: int) -> None:
        step = self.barrier.applied_step
        if undo:
            self.rows, step, self.undoable = self.rows_before, step - 1, False
        assert self.barrier.rewind(step, world_size) == ResumeCost(repeated_steps=int(undo))
        self.done = [step] * world_size


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_any_interleaving_of_pushes_repeats_timeouts_and_rewinds_applies_each_step_exactly_once(data):
    ranks = Ranks(data.draw(st.integers(1, 4)))
    for _ in range(data.draw(st.integers(1, 40))):
        steps, rank = ranks.barrier, data.draw(st.integers(0, ranks.barrier.world_size - 1))
        act = data.draw(st.sampled_from(["push", "push", "push", "repeat", "timeout", "rewind", "undo"]))
        if act == "push" and steps.may_pull(ranks.done[rank] + 1):
            ranks.push(rank, ranks.done[rank] + 1)
        elif act == "repeat" and ranks.done[rank] > 0:
            ranks.push(rank, data.draw(st.integers(1, ranks.done[rank])))
        elif act == "timeout":  # a pull that may not enter asks, and gives up: nothing must come of it
            assert not steps.may_pull(steps.applied_step + 2)
        elif act == "rewind" or (act == "undo" and ranks.undoable):
            ranks.rewind(undo=act == "undo", world_size=data.draw(st.integers(1, 4)))
        assert ranks.rows == sum(100**step for step in range(1, ranks.barrier.applied_step + 1))
    for rank in [rank for rank, done in enumerate(ranks.done) if done == ranks.barrier.applied_step]:
        ranks.push(rank, ranks.done[rank] + 1)  # nobody is stuck: the step at hand can always be finished
    assert ranks.rows == sum(100**step for step in range(1, max(ranks.done) + 1))
