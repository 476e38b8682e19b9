import math

import pytest

from esmm_dist.train.learning_rate import LearningRateSchedule


def factors(total_steps: int, **settings) -> list[float]:
    course = LearningRateSchedule(total_steps=total_steps, **settings)
    return [course.factor(step) for step in range(1, total_steps + 1)]


def test_rates_fall_in_a_line_over_the_last_share_of_the_steps():
    # 10 steps, 0.4 of them falling: 4 steps at 4/4, 3/4, 2/4, 1/4
    assert factors(10, cooldown=0.4) == pytest.approx([1, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25])


def test_with_nothing_set_the_rates_stay():
    assert factors(10) == [1.0] * 10


def test_a_whole_cooldown_falls_from_the_first_step():
    assert factors(4, cooldown=1.0) == [1.0, 0.75, 0.5, 0.25]


def test_a_share_of_less_than_a_step_changes_nothing():
    assert factors(3, cooldown=0.2) == [1.0, 1.0, 1.0]


def test_a_warmup_rises_in_a_line_to_the_full_rate():
    assert factors(6, warmup_steps=4) == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


def test_a_warmup_longer_than_the_run_never_reaches_the_full_rate():
    assert factors(2, warmup_steps=4, schedule="cosine") == [0.25, 0.5]


def test_inverse_sqrt_falls_from_the_end_of_the_warmup_on():
    # sqrt(4 / step) from step 5 on: at step 16 half
    found = factors(16, schedule="inverse_sqrt", warmup_steps=4)
    assert found[:4] == [0.25, 0.5, 0.75, 1.0]
    assert found[4:] == pytest.approx([math.sqrt(4 / step) for step in range(5, 17)])
    assert found[15] == 0.5


def test_inverse_sqrt_without_a_warmup_begins_at_the_full_rate():
    assert factors(4, schedule="inverse_sqrt") == pytest.approx([1, 1 / math.sqrt(2), 1 / math.sqrt(3), 0.5])


def test_inverse_sqrt_is_multiplied_with_the_cooldown():
    assert factors(4, schedule="inverse_sqrt", cooldown=0.5) == pytest.approx(
        [1, 1 / math.sqrt(2), 1 / math.sqrt(3), 0.5 * 0.5]
    )


def test_cosine_falls_from_1_after_the_warmup_towards_0():
    # 2 steps of warm-up, then (1 + cos(pi k / 4)) / 2 for k = 0 .. 3
    expected = [0.5, 1.0, 1.0, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2]
    assert factors(6, schedule="cosine", warmup_steps=2) == pytest.approx(expected)


def test_cosine_has_its_own_end_and_ignores_the_cooldown():
    assert factors(8, schedule="cosine", cooldown=0.5) == factors(8, schedule="cosine")
