"""Work in a thread of its own: order, errors, what is left when the caller fails."""

import threading

import pytest

from esmm_dist.process.in_background import InBackground


def test_pieces_are_done_in_order_in_one_other_thread():
    done: list[tuple[int, str]] = []
    with InBackground(depth=2, name="writer") as background:
        for number in range(50):
            background.do(lambda number=number: done.append((number, threading.current_thread().name)))  # type: ignore[misc]
    assert [number for number, _ in done] == list(range(50))
    assert {name for _, name in done} == {"writer_0"}


def test_the_caller_waits_when_as_many_pieces_as_the_depth_are_not_done():
    may_go_on, given = threading.Event(), []

    def wait() -> None:
        may_go_on.wait(30)

    def give_three(background: InBackground) -> None:
        for number in range(3):
            background.do(wait)
            given.append(number)

    with InBackground(depth=2, name="writer") as background:
        caller = threading.Thread(target=give_three, args=(background,))
        caller.start()
        caller.join(0.2)
        assert given == [0, 1]
        may_go_on.set()
        caller.join(30)
        assert given == [0, 1, 2]


def failing() -> None:
    raise ValueError("the disk is full")


def test_an_error_ends_the_caller_with_the_next_pieces():
    with InBackground(depth=1, name="writer") as background:
        background.do(failing)
        with pytest.raises(ValueError, match="the disk is full"):
            background.do(lambda: None)


def test_an_error_in_the_last_piece_is_raised_at_the_end_of_the_block():
    with pytest.raises(ValueError, match="the disk is full"), InBackground(depth=4, name="writer") as background:
        background.do(failing)


def test_when_the_caller_fails_the_piece_at_hand_ends_and_the_others_are_dropped():
    begun, may_go_on, done = threading.Event(), threading.Event(), []

    def slow() -> None:
        begun.set()
        may_go_on.wait(30)
        done.append("slow")

    def fail_while_it_is_done() -> None:
        with InBackground(depth=4, name="writer") as background:
            background.do(slow)
            background.do(lambda: done.append("dropped"))
            assert begun.wait(30)
            threading.Timer(0.1, may_go_on.set).start()
            raise KeyError("the caller's own error")

    with pytest.raises(KeyError, match="the caller's own error"):
        fail_while_it_is_done()
    assert done == ["slow"]
