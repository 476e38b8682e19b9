"""``esmm report --watch``: the page follows a run that trains, and ends with it."""

import fcntl

import pytest

from esmm_dist.report.run_page.config import ReportConfig
from launcher.commands import report_watch
from launcher.commands.report_watch import watch_runs
from tests.support.written_run import evaluation, events, losses, write_run
from tests.unit.launcher.commands.played_context import Messages


@pytest.fixture(autouse=True)
def priority(monkeypatch):
    """The tests' own process keeps its priority; how often it was to be lowered is counted."""
    calls: list[int] = []
    monkeypatch.setattr(report_watch, "lower_priority_of_this_thread", lambda: calls.append(1))
    return calls


def config_of(tmp_path, *, html=False):
    page = tmp_path / "page.html" if html else None
    return ReportConfig(runs=(str(tmp_path / "run"),), html=page, score=False, watch=0.5)


def played(*rounds):
    """Return what ``sleep`` does: a step of the training each time; more rounds are a failure."""
    left = list(rounds)

    def sleep(seconds):
        assert seconds == 0.5
        left.pop(0)()

    return sleep


def test_a_run_is_waited_for_followed_and_left_when_it_is_done(tmp_path, priority):
    run, messages = tmp_path / "run", Messages()
    page = tmp_path / "page.html"
    history = events((0, "start", 0, {}), (9, "done", 60, {}))

    def begins():
        assert not page.exists()
        write_run(run, train_log=losses(20), history=history[:1])

    def goes_on():
        assert '<meta http-equiv="refresh" content="1">' in page.read_text()
        write_run(run, train_log=losses(40), evaluations=[evaluation(40, ctr=0.7)], history=history[:1])

    def ends():
        write_run(run, train_log=losses(60), history=history)

    outcome = watch_runs(config_of(tmp_path, html=True), 0.5, messages, sleep=played(begins, goes_on, ends))
    assert messages.texts == [
        f"Waiting for {run} to begin; Ctrl-C ends.",
        "run at step 20",
        "run at step 40, AUC ctr 0.7000",
        "run at step 60, AUC ctr 0.7000",
    ]
    assert outcome.lines[-1] == "Ended: done."
    assert outcome.result["states"] == ["done"]
    assert "http-equiv" not in page.read_text()
    assert len(priority) == 1


def test_ctrl_c_ends_with_a_line_and_a_page_that_no_longer_refreshes(tmp_path):
    write_run(tmp_path / "run", train_log=losses(20), history=events((0, "start", 0, {})))

    def interrupt(_):
        raise KeyboardInterrupt

    outcome = watch_runs(config_of(tmp_path, html=True), 0.5, Messages(), sleep=interrupt)
    assert outcome.done
    assert outcome.lines[-1] == "Stopped watching."
    assert "http-equiv" not in (tmp_path / "page.html").read_text()


def test_ctrl_c_while_waiting_says_so(tmp_path):
    def interrupt(_):
        raise KeyboardInterrupt

    outcome = watch_runs(config_of(tmp_path), 0.5, Messages(), sleep=interrupt)
    assert outcome.lines == ["Stopped watching. No run has begun."]


def test_a_killed_run_ends_the_watch_once_it_is_quiet_and_nothing_holds_its_lock(tmp_path):
    run = write_run(tmp_path / "run", train_log=losses(20), history=events((0, "start", 0, {})))
    lock = (run / ".lock").open("ab")
    fcntl.flock(lock, fcntl.LOCK_EX)
    outcome = watch_runs(config_of(tmp_path), 0.5, Messages(), sleep=played(lambda: None, lambda: None, lock.close))
    assert outcome.lines[-1] == "Ended: stopped."


def test_a_run_that_was_resumed_after_its_end_is_followed_on(tmp_path):
    history = events((0, "start", 0, {}), (5, "stop", 20, {}), (9, "resume", 20, {}), (12, "done", 40, {}))
    write_run(tmp_path / "run", train_log=losses(20), history=history[:3])

    def ends():
        write_run(tmp_path / "run", train_log=losses(40), history=history)

    outcome = watch_runs(config_of(tmp_path), 0.5, Messages(), sleep=played(ends))
    assert outcome.lines[-1] == "Ended: done."
