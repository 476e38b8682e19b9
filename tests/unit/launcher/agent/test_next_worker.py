"""The next worker warms, is tried again after growing pauses, and is replaced when it hangs. Time is the test's own."""

import signal
from typing import Any

import pytest

from launcher.agent import next_worker as module
from launcher.agent.next_worker import WARM_S, NextWorker
from tests.unit.launcher.agent.played_worker import PlayedWorker


class Failures(list[tuple[str, float]]):
    def __call__(self, error: str, pause_s: float) -> None:
        self.append((error, pause_s))


@pytest.fixture
def failures() -> Failures:
    return Failures()


@pytest.fixture
def following(monkeypatch, failures) -> NextWorker:
    monkeypatch.setattr(PlayedWorker, "made", [])
    monkeypatch.setattr(module, "WorkerProcess", PlayedWorker)
    return NextWorker("worker-0", ("train",), failures)


def process_of(following: NextWorker) -> Any:
    assert following.worker is not None
    return following.worker


def test_none_is_made_before_it_is_wanted(following):
    following.advance(0.0, wanted=False)
    assert (following.state, following.worker, following.due_at) == ("none", None, 0.0)
    following.advance(1.0, wanted=True)
    assert (following.state, process_of(following).command, following.due_at) == ("warming", ("train",), None)


def test_a_worker_is_taken_once_and_only_when_it_is_ready(following):
    following.advance(0.0, wanted=True)
    assert following.take() is None
    process = process_of(following)
    process.reports.ready = True
    assert following.state == "ready"
    assert following.take() is process
    assert (following.take(), following.state) == (None, "none")


def test_pauses_between_failures_double_up_to_half_a_minute(following, failures):
    now = 0.0
    for _ in range(8):
        following.advance(now, wanted=True)
        process_of(following).ends(1)
        following.advance(now, wanted=True)
        assert following.worker is None
        assert following.due_at == now + failures[-1][1]
        following.advance(following.due_at - 0.01, wanted=True)
        assert following.worker is None  # the pause is not over
        now = following.due_at
    assert [pause_s for _, pause_s in failures] == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


def test_a_failure_is_told_with_the_workers_own_words_and_forgotten_when_one_is_ready(following, failures):
    following.advance(0.0, wanted=True)
    process_of(following).reports.error = "ImportError: no tensorflow"
    process_of(following).ends(1)
    following.advance(0.0, wanted=True)
    assert failures == [("worker-0 could not get ready: ImportError: no tensorflow", 0.5)]
    assert following.error == failures[0][0]
    following.advance(0.5, wanted=True)
    following.read()
    assert following.error is not None  # it warms
    process_of(following).reports.ready = True
    following.read()
    assert following.error is None
    process_of(following).ends(-9)
    following.advance(1.0, wanted=True)
    assert failures[1:] == [("worker-0 could not get ready: it ended with exit status -9 and no message", 0.5)]


def test_the_end_of_a_run_cuts_the_pause_short(following):
    following.advance(0.0, wanted=True)
    process_of(following).ends(1)
    following.advance(0.0, wanted=True)
    following.hurry()
    following.advance(0.0, wanted=True)
    assert following.state == "warming"


def test_a_worker_that_hangs_is_killed_and_one_that_is_ready_is_not(following):
    following.advance(10.0, wanted=True)
    process = process_of(following)
    following.advance(10.0 + WARM_S - 1, wanted=True)
    assert process.signals == []
    following.advance(10.0 + WARM_S, wanted=True)
    assert process.signals == [signal.SIGKILL]
    process.signals.clear()
    process.reports.ready = True
    following.advance(10.0 + 2 * WARM_S, wanted=True)
    assert process.signals == []


def test_one_that_is_discarded_is_killed_and_is_no_failure(following, failures):
    following.discard()  # there is none: nothing happens
    following.advance(0.0, wanted=True)
    following.discard()
    process = process_of(following)
    assert process.signals == [signal.SIGKILL]
    process.ends(-9)
    following.advance(1.0, wanted=False)
    assert (following.state, failures) == ("none", [])
