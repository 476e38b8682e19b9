import pytest

from esmm_dist.train.learning_rate import rate_factor


def test_rates_fall_in_a_line_over_the_last_share_of_the_steps():
    # 10 steps, 0.4 of them falling: 4 steps at 4/4, 3/4, 2/4, 1/4
    factors = [rate_factor(step, 10, 0.4) for step in range(1, 11)]
    assert factors == pytest.approx([1, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25])


@pytest.mark.parametrize("step", [1, 5, 10])
def test_no_cooldown_keeps_the_rates(step):
    assert rate_factor(step, 10, 0.0) == 1.0


def test_a_whole_cooldown_falls_from_the_first_step():
    assert [rate_factor(step, 4, 1.0) for step in range(1, 5)] == [1.0, 0.75, 0.5, 0.25]


def test_a_share_of_less_than_a_step_changes_nothing():
    assert [rate_factor(step, 3, 0.2) for step in range(1, 4)] == [1.0, 1.0, 1.0]
