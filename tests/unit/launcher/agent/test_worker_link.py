"""The pipe from a worker to its agent: nothing is lost that must not be, and a bad reader harms nobody."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esmm_dist.reporter import Phase
from launcher.agent.worker_link import LONGEST_ERROR, REPORT_FD, WorkerLink, worker_link
from launcher.agent.worker_reports import WorkerReports

PATIENCE_S = 20.0


class Pipe:
    """The agent's end, read when the test says so."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        self.reports = WorkerReports(now=0.0)
        self.events: list[dict] = []
        self.ended = False

    def read(self, now: float = 1.0) -> WorkerReports:
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self.reader, 65_536):
                self.reports.feed(data, now)
            self.ended = True
        self.events += self.reports.take_events()
        return self.reports

    def wait_for(self, condition: Callable[[WorkerReports], object]) -> None:
        give_up = time.monotonic() + PATIENCE_S
        while not condition(self.read()):
            assert time.monotonic() < give_up, vars(self.reports)
            time.sleep(0.01)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self.reader)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    made.close()


@pytest.fixture
def link(pipe: Pipe) -> Iterator[WorkerLink]:
    made = WorkerLink(pipe.writer)
    yield made
    pipe.close()  # frees a writer that waits for the reader
    made.close()


def test_the_newest_facts_win_and_the_last_ones_always_arrive(pipe, link):
    for step in range(1000):
        link.note(step=step, loss=step / 2)
    link.note(phase="saving")
    pipe.wait_for(lambda reports: reports.facts == {"step": 999, "loss": 499.5, "phase": "saving"})


def test_many_notes_become_few_lines(pipe, link):
    for step in range(20_000):
        link.note(step=step)
    link.close()
    lines = os.read(pipe.reader, 65_536).splitlines()
    assert b'{"facts": {"step": 19999}}' in lines
    assert len(lines) < 100


def test_all_events_arrive_in_order_with_their_time(pipe, link):
    before = time.time()
    for number in range(500):
        link.event("saved", number=number)
    pipe.wait_for(lambda reports: len(pipe.events) == 500)
    assert [event["number"] for event in pipe.events] == list(range(500))
    assert all(event["event"] == "saved" and before <= event["time"] <= time.time() for event in pipe.events)


def test_facts_noted_before_an_event_arrive_before_it(pipe, link):
    link.note(step=7)
    link.event("saved")
    link.close()
    names = [next(iter(line)) for line in map(json.loads, os.read(pipe.reader, 65_536).splitlines())]
    assert names.index("facts") < names.index("event")


def test_signs_of_life_come_without_anything_being_told(pipe, link):
    pipe.wait_for(lambda reports: reports.last_heartbeat == 1.0)
    pipe.reports.last_heartbeat = 0.0
    pipe.wait_for(lambda reports: reports.last_heartbeat == 1.0)


def test_last_words_are_in_the_pipe_when_the_call_returns(pipe, link):
    link.error("data d is no folder.", 2)
    reports = pipe.read()
    assert (reports.error, reports.exit_status) == ("data d is no folder.", 2)


def test_an_error_longer_than_a_line_of_the_reader_is_cut_and_not_lost(pipe, link):
    link.error("ü" * 100_000, 70)
    assert pipe.read().error == "ü" * LONGEST_ERROR


def test_a_reader_that_does_not_read_holds_up_nobody_and_gets_all_events_later(pipe, link):
    began = time.monotonic()
    for number in range(3000):  # 300 kB; the pipe holds 64
        link.event("row", number=number, text="x" * 100)
        link.note(step=number)
    link.error("last", 1)
    assert time.monotonic() - began < 10
    pipe.wait_for(lambda reports: reports.error == "last")
    assert [event["number"] for event in pipe.events] == list(range(3000))
    assert pipe.reports.facts == {"step": 2999}


def test_a_reader_that_is_gone_is_no_error(pipe, link):
    pipe.close()
    for _ in range(3):
        link.event("saved")
        link.note(step=1)
        link.error("last", 1)
    link.close()
    link.close()
    assert not link._thread.is_alive()  # and nothing was raised


def test_the_end_of_the_process_does_not_wait_long_for_a_reader_that_hangs(pipe, link):
    for _ in range(3000):
        link.event("row", text="x" * 100)
    began = time.monotonic()
    link.close()
    assert time.monotonic() - began < 5


def test_numbers_of_numpy_arrive_and_those_that_json_does_not_know_are_null(pipe, link):
    link.note(step=np.int64(3), loss=np.float32(0.5), auc=float("nan"))
    link.event("odd", shape=np.zeros(2), path=object)
    pipe.wait_for(lambda reports: pipe.events)
    assert pipe.reports.facts == {"step": 3, "loss": 0.5, "auc": None}
    assert pipe.events[0]["shape"] == "[0. 0.]"


@pytest.mark.parametrize(
    ("phase", "text"),
    [  # a status shows them: they stay as they are
        (Phase.RENDEZVOUS, "meeting"),
        (Phase.TRAINING, "training"),
        (Phase.EVALUATING, "evaluating"),
        (Phase.SAVING, "saving"),
        (Phase.LEFT, "left"),
    ],
)
def test_a_phase_arrives_as_its_plain_text(pipe, link, phase, text):
    link.note(phase=phase)
    link.close()
    assert f'{{"facts": {{"phase": "{text}"}}}}'.encode() in os.read(pipe.reader, 65_536).splitlines()


def test_lines_that_are_none_of_these_are_left_out():
    reports = WorkerReports(now=5.0)
    reports.feed(b'Traceback\n{"facts": 3}\n[]\n{"event": "e"}\n{"ready": 1}\n{"facts": {"a": 1}}\n{"be', 6.0)
    assert (reports.ready, reports.facts, reports.take_events(), reports.last_heartbeat) == (True, {"a": 1}, [], 5.0)
    reports.feed(b'at": 1}\n', 7.0)
    assert reports.last_heartbeat == 7.0


def run_python(code: str, *descriptors: int, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        pass_fds=descriptors,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_process_without_an_agent_has_a_link_that_sends_nothing():
    link = worker_link()
    link.note(step=1)
    link.event("saved")
    link.error("last", 1)
    assert link is worker_link()


@pytest.mark.parametrize("value", ["", "x", "99", "1"])  # 99 is not open, 1 is no pipe
def test_a_number_that_is_no_pipe_is_no_link(value, tmp_path):
    code = "from launcher.agent.worker_link import worker_link; worker_link().error('last', 1)"
    with (tmp_path / "out").open("wb") as out:
        done = subprocess.run([sys.executable, "-c", code], env=os.environ | {REPORT_FD: value}, stdout=out, timeout=60)
    assert done.returncode == 0
    assert (tmp_path / "out").read_text() == ""


def test_what_was_noted_last_arrives_when_the_process_ends_and_its_children_have_no_link(pipe):
    code = (
        "from launcher.agent.worker_link import worker_link; import subprocess, os\n"
        "worker_link().note(step=3)\n"
        f"seen = subprocess.call(['ls', '/proc/self/fd/{pipe.writer}'], close_fds=False) == 0\n"
        f"print('{REPORT_FD}' in os.environ, seen)"
    )
    done = run_python(code, pipe.writer, **{REPORT_FD: str(pipe.writer)})
    os.close(pipe.writer)
    assert done.stdout == "False False\n"
    assert pipe.read().facts == {"step": 3}
    assert pipe.ended


@pytest.mark.parametrize(
    ("line", "status", "text"),
    [
        ("train --data {0} --run {0}/run --servers embedded", 1, "holds no manifest.json"),
        ("trian", 2, "Unknown command 'trian'. Did you mean 'train'?"),
    ],
)
def test_a_command_that_fails_says_its_last_words_to_the_agent(pipe, tmp_path, line, status, text):
    words = line.format(tmp_path).split()
    code = f"import sys; from launcher.cli import main; sys.exit(main({words!r}))"
    done = run_python(code, pipe.writer, **{REPORT_FD: str(pipe.writer)})
    os.close(pipe.writer)
    assert done.returncode == status
    assert text in (pipe.read().error or "")
    assert pipe.reports.exit_status == status


def test_an_unexpected_exception_is_told_too(pipe):
    code = (
        "import sys; from dataclasses import replace; from launcher import cli\n"
        "def fail(settings, context): raise RuntimeError('boom')\n"
        "cli.COMMANDS['doctor'] = replace(cli.COMMANDS['doctor'], work=fail)\n"
        "sys.exit(cli.main(['doctor']))"
    )
    done = run_python(code, pipe.writer, **{REPORT_FD: str(pipe.writer)})
    os.close(pipe.writer)
    assert done.returncode == 70
    assert (pipe.read().error, pipe.reports.exit_status) == ("unexpected RuntimeError: boom", 70)


LINES = st.one_of(
    st.binary(max_size=30),
    st.sampled_from(
        [b'{"beat": 1}', b'{"ready": 1}', b'{"facts": {"step": 3}}', b'{"error": "e", "exit_status": 2}', b"[1, 2]"]
    ),
    st.just(b'{"event": "saved", "time": 5, "facts": {"step": 3}}'),
)


@given(st.lists(LINES, max_size=12), st.lists(st.integers(1, 40), max_size=30))
def test_where_the_pipe_cuts_the_bytes_makes_no_difference_and_nothing_in_them_raises(lines, cuts):
    data = b"\n".join(lines) + b"\n"
    whole, cut = WorkerReports(now=0.0), WorkerReports(now=0.0)
    whole.feed(data, 1.0)
    while data:
        length = cuts.pop() if cuts else len(data)
        cut.feed(data[:length], 1.0)
        data = data[length:]
    assert whole.take_events() == cut.take_events()
    assert [getattr(whole, name) for name in ("ready", "facts", "error", "exit_status", "last_heartbeat")] == [
        getattr(cut, name) for name in ("ready", "facts", "error", "exit_status", "last_heartbeat")
    ]
