"""The floors of a step."""

import pytest

from tests.benchmarks.step_profile import PartTimes, StepSize, copy_rate, floor_ms, tower_flop

SIZE = StepSize(
    groups=10, impressions=80, ids=1000, unique_ids=500, segments=300, user_columns=32, impression_columns=16, dim=16
)


def test_the_towers_operations_are_two_a_weight_and_example_three_times_for_two_towers():
    forward = 10 * 32 * 256 + 80 * (16 * 256 + 256 * 128 + 128)
    assert tower_flop(SIZE) == 2 * 3 * 2 * forward


def test_floors_are_the_bytes_that_move_at_the_rate_of_copying_and_operations_at_that_of_products():
    floors = floor_ms(SIZE, flop_rate=tower_flop(SIZE), copy_rate=1000)
    assert floors["towers"] == pytest.approx(1000)  # as many operations as a second allows
    # 500 rows of 64 bytes read and written: as many bytes copied
    assert floors["pull"] == pytest.approx(500 * 64)
    # 64 bytes of values and of accumulators, 8 of step and count: read and written; the gradients read
    assert floors["push"] == pytest.approx(500 * 136 + 500 * 64 / 2)
    # 1,000 rows read, 300 pooled vectors written
    assert floors["pool"] == pytest.approx((1000 * 64 + 300 * 64) / 2)


def test_the_first_steps_do_not_count_unless_there_are_no_others(monkeypatch: pytest.MonkeyPatch):
    clock = iter([0, 9.0] * 6 + [0, 1.0, 0, 2.0, 0, 3.0])
    monkeypatch.setattr("tests.benchmarks.step_profile.time.process_time", lambda: next(clock))
    times = PartTimes()
    for _ in range(6):
        assert times.of("pull", max, 1, 5) == 5
    assert times.median_ms("pull") == 9000
    for _ in range(3):
        times.of("pull", max, 1, 5)
    assert times.median_ms("pull") == 2000


def test_memory_is_copied_at_some_rate():
    assert copy_rate(1 << 24) > 1e8
