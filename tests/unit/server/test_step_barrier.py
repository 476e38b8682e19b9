"""Which pushes are applied when, against a model of one line."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esmm_dist.server.config import UpdateMode
from esmm_dist.server.step_barrier import ReadyStep, StepBarrier


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
