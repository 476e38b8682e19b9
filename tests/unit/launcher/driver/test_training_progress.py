"""Step and speed as rank 0 reports them, and when losses mean that a training gets on no more."""

import pytest

from launcher.driver.training_progress import MOST_LOSSES, RATE_S, TrainingProgress


def test_the_step_is_that_of_rank_0_and_the_total_is_anybodys():
    training = TrainingProgress()
    training.update({"rank": 1, "step": 9, "total_steps": 50}, 0.0)
    assert (training.step, training.total_steps) == (0, 50)
    training.update({"rank": 0, "step": 8}, 0.0)
    assert (training.step, training.total_steps) == (8, 50)
    training.update({"rank": 0, "step": 5}, 0.0)  # rolled back to a checkpoint
    assert training.step == 5


@pytest.mark.parametrize("facts", [{}, {"rank": 0}, {"rank": 0, "step": None}])
def test_a_worker_that_has_reported_nothing_yet_is_at_step_0(facts):
    training = TrainingProgress()
    training.update(facts, 0.0)
    assert (training.step, training.total_steps) == (0, 0)


def test_the_speed_is_that_of_the_last_seconds():
    training = TrainingProgress()
    assert training.impressions_per_second == 0.0
    training.update({"rank": 0, "impressions": 1000}, 100.0)
    assert training.impressions_per_second == 0.0  # one report alone gives none
    training.update({"rank": 0, "impressions": 1600}, 102.0)
    assert training.impressions_per_second == 300.0
    training.update({"rank": 0, "impressions": 2000}, 102.0 + RATE_S)  # the first report is older than RATE_S
    assert training.impressions_per_second == 400 / RATE_S


def test_another_process_that_counts_from_its_own_start_makes_no_negative_speed():
    training = TrainingProgress()
    training.update({"rank": 0, "impressions": 9000}, 100.0)
    training.update({"rank": 0, "impressions": 100}, 101.0)
    assert training.impressions_per_second == 0.0
    training.update({"rank": 0, "impressions": 300}, 102.0)
    assert training.impressions_per_second == 200.0


def test_two_reports_of_one_moment_are_no_division_by_zero():
    training = TrainingProgress()
    for _ in range(2):
        training.update({"rank": 0, "impressions": 100}, 100.0)
    assert training.impressions_per_second == 0.0


def test_a_worker_that_is_lost_over_and_over_ends_the_training_with_the_last_reason():
    training = TrainingProgress()
    assert [training.note_loss("worker-1", f"exit status {n}") for n in range(MOST_LOSSES - 1)] == [""] * 5
    assert training.note_loss("worker-0", "killed by signal 9") == ""  # the first one of another
    assert (
        training.note_loss("worker-1", "exit status 3")
        == "worker-1 was lost 6 times without a step in between. The last reason: exit status 3"
    )


@pytest.mark.parametrize(
    ("facts", "is_hopeless"),
    [
        ({"rank": 0, "step": 11}, False),
        ({"rank": 0, "step": 10}, True),  # the step that was reached before is none
        ({"rank": 0, "step": 7}, True),  # and neither is one that is made again
        ({"rank": 1, "step": 11}, True),  # rank 0 speaks for all
    ],
)
def test_only_a_step_that_was_not_made_before_forgives_the_losses(facts, is_hopeless):
    training = TrainingProgress()
    training.update({"rank": 0, "step": 10}, 0.0)
    for _ in range(MOST_LOSSES - 1):
        training.note_loss("worker-0", "gone")
    training.update(facts, 1.0)
    assert bool(training.note_loss("worker-0", "gone")) is is_hopeless
