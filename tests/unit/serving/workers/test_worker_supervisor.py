"""What the supervising process does with workers that do not work: real processes that end at once."""

import os
import signal
import socket
import sys

import pytest

from esmm_dist.errors import ConfigError, StackError
from esmm_dist.process.signals import SignalInbox
from esmm_dist.progress import NoProgress
from esmm_dist.serving.config import ServeConfig
from esmm_dist.serving.http.listening import address_of, listen
from esmm_dist.serving.processes import restarts, worker
from esmm_dist.serving.processes.process import serve
from esmm_dist.serving.processes.restarts import Restarts
from esmm_dist.serving.processes.worker_channel import WorkerChannel
from esmm_dist.serving.processes.worker_supervisor import WorkerSupervisor
from esmm_dist.serving.versions.version_thread import VersionThread
from esmm_dist.serving.versions.version_watch import VersionWatch
from esmm_dist.storage.folder import Folder
from tests.support.certificates import Authority
from tests.support.served_models import DIMS, random_rows, write_version

# A worker that ends when it is asked to load a version, as one does that the kernel kills
DIES_LOADING = """
import json, os, socket, sys
channel = socket.socket(fileno=int(sys.argv[1]))
channel.sendall(json.dumps({"is": "started"}).encode() + b"\\n")
while b'"load"' not in (message := channel.recv(65536)):
    pass
os._exit(9)
"""


class Report:
    """Collects the lines; raises the stop signal once a text has come."""

    def __init__(self, stop_at: str = "") -> None:
        self.lines: list[str] = []
        self._stop_at = stop_at

    def message(self, text: str) -> None:
        self.lines.append(text)
        if self._stop_at and self._stop_at in text:
            os.kill(os.getpid(), signal.SIGTERM)

    def version_taken(self, version: object, facts: object) -> None:
        raise AssertionError("no worker loads a version here")


def run(program: str, tmp_path, monkeypatch, report: Report) -> WorkerSupervisor:
    """Run a supervisor with one worker whose program is this, until it ends."""
    monkeypatch.setattr(worker, "PROGRAM", (sys.executable, "-c", program))
    (tmp_path / "counts").mkdir()
    config = ServeConfig(models=str(tmp_path / "models"), port=0)
    versions = VersionThread(VersionWatch(Folder.open(tmp_path / "models"), None), 0.05)
    with SignalInbox() as signals, listen("127.0.0.1", 0) as listening, versions:
        supervisor = WorkerSupervisor(config, listening, versions, tmp_path / "counts", report)
        assert supervisor.why_not_ready() == "no version of the model has been loaded yet"
        supervisor.run(signals)
    return supervisor


def test_a_worker_that_ends_at_once_again_and_again_ends_the_server(tmp_path, monkeypatch):
    monkeypatch.setattr(restarts, "LONGEST_PAUSE_S", 0.01)
    report = Report()
    with pytest.raises(StackError, match="worker 0 ended with exit status 3, as 4 before it did soon after"):
        run("raise SystemExit(3)", tmp_path, monkeypatch, report)
    assert sum("ended with exit status 3. It is started again." in line for line in report.lines) == 4


def test_a_version_that_ends_two_workers_is_refused(tmp_path, monkeypatch):
    write_version(tmp_path / "models" / "1", {name: random_rows(range(9), dim) for name, dim in DIMS.items()})
    report = Report(stop_at="Version 1 is refused, and there is none to answer with: 2 workers have ended")
    supervisor = run(DIES_LOADING, tmp_path, monkeypatch, report)
    assert (supervisor.refused, supervisor.taken) == (1, 0)
    assert supervisor.why_not_ready() == "the server is stopping"
    assert b'esmm_serving_model_loads_total{outcome="refused"} 1.0' in supervisor.figures()


def test_restarts_pause_longer_each_time_and_give_up():
    starts = Restarts()
    pauses = []
    for now_s in range(100, 100 + restarts.MOST_QUICK_ENDS):
        assert not starts.will_not_run
        starts.note_start(now_s)
        starts.note_end(now_s + 0.5)
        pauses.append(starts.due_s - now_s - 0.5)
    assert pauses == [0.0, 0.5, 1.0, 2.0, 4.0]
    assert starts.will_not_run
    starts.note_start(200)
    starts.note_end(200 + restarts.QUICK_S)
    assert not starts.will_not_run
    assert starts.due_s == 200 + restarts.QUICK_S


def test_a_port_is_bound_once_on_either_kind_of_address():
    with listen("localhost", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port} on 127.0.0.1 is refused: Address already in use. Choose"):
            listen("127.0.0.1", port)
    with listen("127.0.0.1", port):  # it is free again at once
        pass
    with listen("[::1]", 0) as sixth:
        assert address_of(sixth) == f"[::1]:{sixth.getsockname()[1]}"
    with pytest.raises(ConfigError, match=r"port 80 on 192\.0\.2\.1 is refused"):
        listen("192.0.2.1", 80)


def test_a_certificate_that_cannot_be_used_is_refused_before_a_worker_starts(tmp_path):
    authority = Authority(tmp_path)
    one, other = authority.sign("one"), authority.sign("other")
    config = ServeConfig(models=str(tmp_path), port=0, tls_cert=one.cert, tls_key=other.key)
    with pytest.raises(ConfigError, match=r"tls_cert .*one.pem and tls_key .*other-key.pem cannot be used"):
        serve(config, NoProgress())


def test_the_port_of_the_metrics_is_bound_on_the_same_host_however_that_is_written(tmp_path):
    with listen("::1", 0) as taken:
        port = taken.getsockname()[1]
        config = ServeConfig(models=str(tmp_path), bind="[::1]", port=0, metrics_port=port)
        with pytest.raises(ConfigError, match=f"metrics_port {port} on ::1 is refused: Address already in use"):
            serve(config, NoProgress())


def test_messages_keep_their_order_however_they_are_cut():
    ours, theirs = socket.socketpair()
    near, far = WorkerChannel(ours), WorkerChannel(theirs)
    theirs.sendall(b'{"is": "a"}\n{"is"')
    assert near.receive() == [{"is": "a"}]
    theirs.sendall(b': "b"}\n{"is": "c"}\n')
    assert near.receive_first() == {"is": "b"}
    assert near.receive() == [{"is": "c"}]
    far.close()
    assert near.receive() == []
    assert near.ended
    with pytest.raises(EOFError, match="the other end of the channel is gone"):
        near.receive_first()
    near.send({"do": "nothing"})  # nobody is there to read it
    near.close()


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (1, "ended with exit status 1"),
        (-9, "was killed by SIGKILL (kill -9, or the kernel for lack of memory: see dmesg)"),
        (
            -7,
            "was killed by SIGBUS (a file of the model was cut while it was mapped, or the disk of temporary files, "
            "TMPDIR, is full)",
        ),
        (-11, "was killed by SIGSEGV"),
        (-99, "was killed by signal 99"),
    ],
)
def test_the_end_of_a_worker_in_words(status, text):
    assert worker.how_it_ended(status) == text
