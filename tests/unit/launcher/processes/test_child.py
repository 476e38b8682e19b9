"""A child process: its lines, its signals and its end, with real processes of a few milliseconds."""

import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from launcher.processes import child as child_module
from launcher.processes.child import Child
from launcher.processes.process_plan import ProcessPlan

SAY = "import sys, time, os, signal; say = lambda text, file=sys.stderr: print(text, file=file, flush=True)\n"


@pytest.fixture
def children() -> Iterator[list[Child]]:
    made: list[Child] = []
    yield made
    for child in made:
        child.kill()


@pytest.fixture
def start(children):
    def start(program: str, *, reports: bool = False, is_server: bool = False, **environment: str) -> Child:
        command = (sys.executable, "-c", SAY + program)
        plan = ProcessPlan(name="worker 0", command=command, environment=environment, reports=reports)
        child = Child(plan, os.environ, is_server=is_server)
        children.append(child)
        return child

    return start


def run(child: Child) -> list[str]:
    """Read a child's lines until it has ended."""
    lines: list[str] = []
    deadline = time.monotonic() + 20
    while not child.reap():
        assert time.monotonic() < deadline, lines
        select.select(child.pipes, [], [], 0.05)
        lines += child.read()
    return lines + list(child.close())


def wait_for_line(child: Child, text: str) -> None:
    lines: list[str] = []
    deadline = time.monotonic() + 20
    while text not in lines:
        assert time.monotonic() < deadline, lines
        select.select(child.pipes, [], [], 0.05)
        lines += child.read()


def test_stdout_and_stderr_of_a_process_are_one_log(start):
    child = start("say('a'); say('b', sys.stdout); say('c')")
    assert run(child) == ["a", "b", "c"]
    assert child.report == []
    ending = child.ending()
    assert (ending.name, ending.status, ending.error, ending.tail) == ("worker 0", 0, "", ("a", "b", "c"))


def test_stdout_of_a_process_that_reports_is_kept_for_the_end(start):
    child = start("say('log'); say('Trained.', sys.stdout); say('AUC 0.6', sys.stdout)", reports=True)
    assert run(child) == ["log"]
    assert child.report == ["Trained.", "AUC 0.6"]


def test_it_has_its_variables_no_stdin_and_a_session_of_its_own(start):
    child = start("say(os.environ['A']); say(repr(sys.stdin.read())); say(os.getsid(0) == os.getpid())", A="1")
    assert run(child) == ["1", "''", "True"]


def test_an_error_is_shown_only_at_the_end_and_without_its_mark(start):
    child = start("say('before'); say('esmm: data is nowhere.'); say('Give a folder.'); sys.exit(2)")
    assert run(child) == ["before"]
    assert (child.ending().status, child.ending().error) == (2, "data is nowhere.\nGive a folder.")


def test_what_begins_like_an_error_of_a_process_that_ends_well_is_a_log(start):
    child = start("say('esmm: is a word'); say('more')")
    assert run(child) == ["esmm: is a word", "more"]
    assert child.ending().error == ""


def test_what_begins_like_an_error_and_goes_on_for_long_is_a_log(start):
    child = start(f"say('esmm: no error'); [say(i) for i in range({child_module.LONGEST_ERROR_LINES})]; sys.exit(1)")
    lines = run(child)
    assert lines[:2] == ["esmm: no error", "0"]
    assert lines[-1] == str(child_module.LONGEST_ERROR_LINES - 1)
    assert child.ending().error == ""


def test_the_last_lines_that_hold_something_are_kept(start):
    child = start("[say(i) for i in range(20)]; say('   ')")
    run(child)
    assert child.ending().tail == tuple(str(i) for i in range(20 - child_module.TAIL_LINES, 20))


def test_half_a_line_at_the_end_is_a_line(start):
    child = start("sys.stderr.write('half')")
    assert run(child) == ["half"]


def test_a_signal_is_noted_and_reaches_it(start):
    child = start("say('ready'); signal.pause()")
    wait_for_line(child, "ready")
    child.send(signal.SIGTERM)
    run(child)
    ending = child.ending()
    assert (ending.status, ending.sent) == (-signal.SIGTERM, frozenset({signal.SIGTERM}))


def test_sigkill_reaches_what_it_has_started_and_other_signals_do_not(start):
    forked = "pid = os.fork()\nif pid == 0: signal.signal(15, lambda n, f: os._exit(3))\nif pid: say(pid)\n"
    child = start(forked + "while True: signal.pause()")
    pid = 0
    while not pid:
        select.select(child.pipes, [], [], 0.05)
        pid = next((int(line) for line in child.read() if line.isdigit()), 0)
    grandchild = psutil.Process(pid)
    child.send(signal.SIGTERM)
    run(child)  # its end takes what it has left running
    with contextlib.suppress(psutil.NoSuchProcess):
        assert grandchild.wait(10) != 3


def test_a_process_that_has_ended_is_sent_nothing_and_is_reaped_once(start):
    child = start("pass")
    run(child)
    assert not child.reap()
    child.send(signal.SIGKILL)
    child.kill()
    child.kill()
    assert child.ending().sent == frozenset()
    assert not child.running


def test_one_that_writes_without_end_leaves_time_for_others(start):
    child = start("while True: sys.stderr.write('x' * 9999 + '\\n')")
    select.select(child.pipes, [], [], 20)
    before = time.monotonic()
    lines = list(child.read())
    assert 0 < len(lines) <= child_module.MOST_READS * 65_536 // 9_999 + 1
    assert time.monotonic() < before + 5


def test_a_tied_process_ends_with_the_one_that_started_it(start):
    inner = "import os, signal, sys; print(os.getpid(), file=sys.stderr, flush=True); signal.pause()"
    program = (
        "import subprocess\n"
        "from esmm_dist.process.tied_process import tied_to_this_process\n"
        f"subprocess.Popen(tied_to_this_process([sys.executable, '-c', {inner!r}]), start_new_session=True)\n"
        "signal.pause()"
    )
    child = start(program, PYTHONPATH=os.getcwd())
    pid = 0
    deadline = time.monotonic() + 20
    while not pid:
        assert time.monotonic() < deadline
        select.select(child.pipes, [], [], 0.05)
        pid = next((int(line) for line in child.read() if line.isdigit()), 0)
    tied = psutil.Process(pid)
    os.kill(child.pid, signal.SIGKILL)  # it alone: the other is in another session
    run(child)
    with contextlib.suppress(psutil.NoSuchProcess):
        tied.wait(10)
    assert not tied.is_running()


def test_the_processor_time_is_that_of_the_process_and_of_what_it_waited_for(start):
    burn = "until = time.process_time() + 0.3\nwhile time.process_time() < until: pass\n"
    child = start(f"if os.fork(): os.wait()\n{burn}")
    assert child.cpu_s == 0.0
    _wait_for_end(child)
    assert 0.6 <= child.cpu_s < 6  # 0.3 s each, and two interpreters' start


def _wait_for_end(child):
    give_up = time.monotonic() + 60
    while not child.reap():
        assert time.monotonic() < give_up
        time.sleep(0.01)
