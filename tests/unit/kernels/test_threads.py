"""Parts of a range in several threads."""

import threading

import pytest

from esmm_dist.kernels import threads


@pytest.fixture(autouse=True)
def _four_parts(monkeypatch):
    monkeypatch.setattr(threads, "num_threads", lambda: 4)
    monkeypatch.setattr(threads, "SMALLEST_PART", 10)
    threads._pool.cache_clear()  # made for this machine's cores by whoever came first
    yield
    threads._pool.cache_clear()


@pytest.mark.parametrize("length", [0, 1, 9, 10, 39, 40, 1003])
def test_every_place_of_a_range_is_in_one_part(length):
    places: list[int] = []
    threads.in_ranges(lambda first, end: places.extend(range(first, end)), length)
    assert sorted(places) == list(range(length))


def test_a_short_range_is_not_cut():
    parts: list[tuple[int, int]] = []
    threads.in_ranges(lambda first, end: parts.append((first, end)), 19)
    assert parts == [(0, 19)]


@pytest.mark.parametrize("failing", [0, 25])
def test_an_error_of_a_part_is_raised_once_all_parts_have_ended(failing):
    begun, ended = threading.Event(), threading.Event()

    def part(first: int, end: int) -> None:
        if first == failing:
            assert begun.wait(10)
            raise ValueError(f"part {first}")
        if first == 50:
            begun.set()
            threading.Event().wait(0.05)
            ended.set()

    with pytest.raises(ValueError, match=f"part {failing}"):
        threads.in_ranges(part, 100)
    assert ended.is_set()
