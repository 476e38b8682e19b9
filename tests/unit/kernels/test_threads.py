"""Parts of a range in several threads."""

import threading

import numpy as np
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


def test_parts_are_equal_in_work_where_it_is_told():
    work = np.concatenate([[0], np.cumsum([1000] * 10 + [1] * 990)])
    parts: list[tuple[int, int]] = []
    threads.in_ranges(lambda first, end: parts.append((first, end)), 1000, work)
    assert sorted(place for first, end in parts for place in range(first, end)) == list(range(1000))
    assert max(work[end] - work[first] for first, end in parts) <= 2000 + 990


def test_a_caller_makes_the_parts_that_others_have_no_time_for():
    """The threads of the pool are busy with another caller's parts, which wait for this one."""
    begun, done = threading.Semaphore(0), threading.Event()

    def slow(first: int, end: int) -> None:
        begun.release()
        assert done.wait(30)

    other = threading.Thread(target=threads.in_ranges, args=(slow, 100))
    other.start()
    for _ in range(4):
        begun.acquire()
    places: list[int] = []
    threads.in_ranges(lambda first, end: places.extend(range(first, end)), 100)
    done.set()
    other.join()
    assert sorted(places) == list(range(100))
