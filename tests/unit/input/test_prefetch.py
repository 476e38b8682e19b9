"""Items made ahead in a thread: order, errors in their place, shutdown."""

import threading
import time
from collections.abc import Iterator

import pytest

from esmm_dist.input.prefetch import Prefetcher


def test_items_come_in_order():
    with Prefetcher(lambda: iter(range(100)), depth=3) as items:
        assert list(items) == list(range(100))


def test_nothing_to_make_ends_at_once():
    with Prefetcher(lambda: iter(()), depth=1) as items:
        assert list(items) == []


def failing() -> Iterator[int]:
    yield 1
    yield 2
    raise ValueError("the third")


def test_an_error_is_raised_after_the_items_before_it():
    taken: list[int] = []
    with Prefetcher(failing, depth=5) as items, pytest.raises(ValueError, match="the third"):
        taken.extend(items)
    assert taken == [1, 2]


def test_an_error_in_making_the_iterator_is_raised_too():
    def broken() -> Iterator[int]:
        raise KeyError("no iterator")

    with Prefetcher(broken, depth=1) as items, pytest.raises(KeyError, match="no iterator"):
        next(iter(items))


def test_no_more_than_depth_items_wait_and_one_is_in_hand():
    made = []

    def endless() -> Iterator[int]:
        for number in range(1000):
            made.append(number)
            yield number

    with Prefetcher(endless, depth=2) as items:
        assert next(iter(items)) == 0
        deadline = time.monotonic() + 5
        while len(made) < 4 and time.monotonic() < deadline:  # one taken, two that wait, one in hand
            time.sleep(0.001)
        time.sleep(0.05)
        assert made == [0, 1, 2, 3]


@pytest.mark.parametrize("taken", [0, 3])
def test_close_ends_a_thread_that_waits_for_room(taken):
    items = Prefetcher(lambda: iter(range(10**9)), depth=1)
    iterator = iter(items)
    for number in range(taken):
        assert next(iterator) == number
    items.close()
    items.close()  # a second time is harmless
    assert not items._thread.is_alive()


def test_leaving_the_block_by_an_error_closes_and_lets_the_error_through():
    with pytest.raises(RuntimeError, match="of the caller"), Prefetcher(lambda: iter(range(10**9)), depth=1) as items:
        raise RuntimeError("of the caller")
    assert not items._thread.is_alive()


def test_items_are_made_in_a_thread_of_their_own():
    with Prefetcher(lambda: iter([threading.current_thread().name]), depth=1) as items:
        assert list(items) == ["prefetch"]
