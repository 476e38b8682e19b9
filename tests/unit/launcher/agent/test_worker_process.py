"""One worker process as its agent sees it: small Python programs in place of a training."""

import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from launcher.agent import worker_process as module
from launcher.agent.worker_process import WorkerProcess

PREAMBLE = (
    "import json, os, sys, time\n"
    "def say(**line): os.write(int(os.environ['ESMM_REPORT_FD']), json.dumps(line).encode() + b'\\n')\n"
)
PATIENCE_S = 30.0

Start = Callable[..., WorkerProcess]


@pytest.fixture
def start(monkeypatch) -> Iterator[Start]:
    """Start a worker that runs a program; what is left of it is killed."""
    made: list[WorkerProcess] = []

    def run(program: str, **environment: str) -> WorkerProcess:
        monkeypatch.setattr(module, "WARM_WORKER", (sys.executable, "-c", PREAMBLE + program))
        inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | environment
        made.append(WorkerProcess(["train", "--data", "d"], inherited, now=100.0))
        return made[-1]

    yield run
    for each in made:
        each.kill()


def read_until(worker: WorkerProcess, condition: Callable[[], object]) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < give_up, vars(worker.reports)
        select.select([worker], [], [], 1.0)
        worker.read(200.0)


def reaped(worker: WorkerProcess) -> int | None:
    give_up = time.monotonic() + PATIENCE_S
    while not worker.reap(300.0):
        assert time.monotonic() < give_up, "it does not end"
        time.sleep(0.01)
    return worker.exit_code


def is_there(pid: int) -> bool:
    """Return whether a process runs; one that has ended and waits for its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_worker_gets_its_command_and_an_environment_without_another_jobs_ranks(start):
    worker = start("say(facts={'words': sys.argv[1:], **os.environ})", HOROVOD_RANK="3", MY_SETTING="x")
    read_until(worker, lambda: worker.reports.facts)
    facts = worker.reports.facts
    assert facts["words"] == ["train", "--data", "d"]
    assert (facts["MY_SETTING"], facts["PYTHONUNBUFFERED"]) == ("x", "1")
    assert "HOROVOD_RANK" not in facts
    assert reaped(worker) == 0


def test_a_start_is_one_line_with_the_variables_of_its_rank(start):
    worker = start("say(ready=1); say(facts={'line': sys.stdin.readline(), 'rest': sys.stdin.read()})")
    read_until(worker, lambda: worker.reports.ready)
    assert not worker.reap(150.0)
    worker.start({"HOROVOD_RANK": "1"})
    assert reaped(worker) == 0
    assert json.loads(worker.reports.facts["line"]) == {"environment": {"HOROVOD_RANK": "1"}}
    assert worker.reports.facts["rest"] == ""  # nothing more will come


def test_last_words_are_read_with_the_end(start):
    worker = start("say(error='disk full', exit_status=1); sys.exit(1)")
    assert reaped(worker) == 1
    assert (worker.reports.error, worker.reports.exit_status) == ("disk full", 1)


def test_a_start_of_one_that_has_just_ended_is_no_error(start):
    worker = start("sys.exit(4)")
    read_until(worker, lambda: not worker.reporting)
    worker.start({"HOROVOD_RANK": "1"})
    assert reaped(worker) == 4


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_signal_ends_it_and_is_its_exit_code(start, number):
    worker = start("import signal; signal.signal(signal.SIGINT, signal.SIG_DFL); say(ready=1); time.sleep(60)")
    read_until(worker, lambda: worker.reports.ready)
    worker.send(number)
    assert reaped(worker) == -number
    worker.send(number)  # nothing is left to send it to


CHILD = "import subprocess; say(facts={'child': subprocess.Popen(['sleep', '60']).pid}); "


@pytest.mark.parametrize("how", ["killed", "ended by itself"])
def test_what_it_has_started_ends_with_it(start, how):
    worker = start(CHILD + ("time.sleep(60)" if how == "killed" else "sys.exit(0)"))
    read_until(worker, lambda: worker.reports.facts)
    child = worker.reports.facts["child"]
    if how == "killed":
        assert is_there(child)
        worker.kill()
        worker.kill()  # harmless
    else:
        assert reaped(worker) == 0
    give_up = time.monotonic() + PATIENCE_S
    while is_there(child):
        assert time.monotonic() < give_up
        time.sleep(0.01)


def test_a_program_that_cannot_be_started_leaves_no_descriptor_open(monkeypatch):
    monkeypatch.setattr(module, "tied_to_this_process", lambda command: ["/no/such/program"])
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(FileNotFoundError):
        WorkerProcess(["train"], {}, now=0.0)
    assert set(os.listdir("/proc/self/fd")) == before
