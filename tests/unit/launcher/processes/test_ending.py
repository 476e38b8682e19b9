"""What the endings of servers and workers amount to."""

import signal

import pytest

from launcher.processes.ending import Ending, problem

TERM, INT, KILL = signal.SIGTERM, signal.SIGINT, signal.SIGKILL


def worker(rank, status=0, *, sent=(), error="", tail=()):
    return Ending(name=f"worker {rank}", is_server=False, status=status, sent=frozenset(sent), error=error, tail=tail)


def server(index, status=0, *, sent=(TERM,), error=""):
    return Ending(name=f"server {index}", is_server=True, status=status, sent=frozenset(sent), error=error)


def found(*endings):
    return problem(endings, grace_s=30)


@pytest.mark.parametrize(
    "endings",
    [
        [worker(0), worker(1), server(0)],
        [worker(0), server(0, -TERM)],  # told so early that it had no handler yet
        [worker(0, sent=[INT]), worker(1, sent=[INT])],  # stopped, and saved
        [worker(0, 130, sent=[INT]), worker(1, -TERM, sent=[INT, TERM])],  # stopped before they could
    ],
)
def test_work_done_and_stops_that_were_asked_for_are_no_problem(endings):
    assert found(*endings) is None


def test_an_error_that_all_workers_have_is_told_once_without_a_name():
    error = found(worker(0, 2, error="seed is x."), worker(1, 2, error="seed is x."), server(0))
    assert (str(error), error.exit_status) == ("seed is x.", 2)


def test_an_error_of_rank_0_that_others_repeat_is_told_once():
    repeated = worker(1, 1, error="rank 1 of 2: rank 0 failed: disk full.")
    own = worker(0, 1, error="rank 0 of 2: disk full.")
    assert str(found(repeated, own)) == "disk full."
    assert str(found(own, worker(1, sent=[TERM]))) == "worker 0: disk full."


def test_an_error_of_some_workers_is_told_with_the_name():
    error = found(worker(1, 2, error="seed is x."), worker(0, sent=[TERM]), server(0))
    assert (str(error), error.exit_status) == ("worker 1: seed is x.", 2)


def test_an_error_of_a_server_before_any_worker_is_told_with_the_name():
    error = found(server(1, 2, sent=(), error="bind is taken."), server(0))
    assert (str(error), error.exit_status) == ("server 1: bind is taken.", 2)


def test_different_errors_are_all_told():
    error = found(worker(1, 1, error="shard 1."), worker(0, 1, error="shard 0."))
    assert str(error) == "worker 1: shard 1.\nworker 0: shard 0."


def test_workers_that_lost_a_peer_are_not_told_beside_the_cause():
    lost = worker(0, 1, error="rank 0 of 2: another rank ended; its own message says why.")
    assert str(found(lost, worker(1, 70, error="unexpected ZeroDivisionError"))) == (
        "worker 1: unexpected ZeroDivisionError"
    )
    assert "another rank ended" in str(found(lost, worker(1, sent=[TERM])))  # better than nothing


def test_a_killed_worker_is_named_first_with_its_signal_and_its_last_lines():
    error = found(worker(0, 1, error="no answer."), worker(1, -KILL, tail=("step 3", "step 4")), server(0))
    lines = str(error).splitlines()
    assert lines[:3] == [
        "worker 1 was killed by SIGKILL (kill -9, or the kernel for lack of memory: see dmesg). Its last lines:",
        "    step 3",
        "    step 4",
    ]
    assert lines[3] == "worker 0: no answer."
    assert "goes on from its last checkpoint" in lines[4]
    assert error.exit_status == 1


def test_a_worker_that_does_not_end_in_time_is_named():
    error = found(worker(0), worker(1, -KILL, sent=[TERM, KILL]))
    assert "worker 1 did not end within 30 s of SIGTERM and was killed. It wrote nothing." in str(error)


def test_a_server_that_leaves_its_workers_is_a_failure_even_with_status_0():
    error = found(server(0, 0, sent=()), worker(0, sent=[TERM]))
    assert "server 0 ended with exit status 0 before the workers did" in str(error)
    assert error.exit_status == 1


def test_a_bad_status_after_a_stop_is_a_failure_unless_another_failed_before():
    late = worker(0, 1, sent=[TERM], error="the save failed.")
    assert str(found(late)) == "the save failed."
    assert str(found(worker(1, 3), late)) == "worker 1 ended with exit status 3. It wrote nothing."


def test_a_signal_without_a_name_is_told_by_its_number():
    assert "worker 0 was killed by signal 50" in str(found(worker(0, -50)))
