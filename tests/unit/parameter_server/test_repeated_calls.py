"""Work that is done once, however often it is asked for."""

import threading

import pytest

from esmm_dist.errors import StorageError
from esmm_dist.parameter_server.refusals import NotReadyError
from esmm_dist.parameter_server.repeated_calls import RepeatedCalls


class Work:
    """Counts how often it is done; ends when it is let."""

    def __init__(self) -> None:
        self.times, self.may_end = 0, threading.Event()

    def __call__(self) -> bytes:
        self.times += 1
        self.may_end.wait(10)
        return b"reply %d" % self.times


@pytest.fixture
def calls():
    return RepeatedCalls()


def test_a_repeated_call_joins_the_work_and_gets_the_same_reply_also_later(calls):
    work = Work()
    for _ in range(3):
        with pytest.raises(NotReadyError, match="the save is still running"):
            calls.join("save", "a", 0.01, work)
    work.may_end.set()
    assert [calls.join("save", "a", 5.0, work) for _ in range(3)] == [b"reply 1"] * 3
    assert calls.join("save", "b", 5.0, work) == b"reply 2"


def test_a_call_without_an_id_is_always_new(calls):
    work = Work()
    work.may_end.set()
    assert [calls.join("save", "", 5.0, work) for _ in range(2)] == [b"reply 1", b"reply 2"]


def test_an_error_is_remembered_like_a_reply(calls):
    tries = []

    def fail() -> bytes:
        tries.append(1)
        raise StorageError("full")

    for _ in range(2):
        with pytest.raises(StorageError, match="full"):
            calls.join("save", "a", 5.0, fail)
    assert len(tries) == 1


def test_replies_of_long_ago_are_forgotten_and_work_is_not(calls):
    slow, quick = Work(), Work()
    quick.may_end.set()
    for i in range(100):
        calls.join("save", str(i), 5.0, quick)
    assert len(calls._works) <= 17
    with pytest.raises(NotReadyError):
        calls.join("restore", "slow", 0.0, slow)
    with pytest.raises(NotReadyError, match="a restore whose client is gone is still running"):
        calls.check_idle()
    with pytest.raises(NotReadyError, match="a restore whose client is gone is still running"):
        calls.join("save", "another", 0.0, quick)
    slow.may_end.set()
    assert calls.join("restore", "slow", 5.0, slow) == b"reply 1"
    calls.check_idle()


def test_once_closed_a_call_waits_to_the_end(calls):
    work = Work()
    calls.close()
    threading.Timer(0.3, work.may_end.set).start()
    assert calls.join("save", "a", 0.01, work) == b"reply 1"
