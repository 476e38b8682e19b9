"""The verbs of a job on runs that a real ``esmm local`` trains, with stand-ins for the processes below it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from esmm_dist.errors import ConfigError, RetryError
from esmm_dist.progress import NoProgress
from esmm_dist.storage.folder import Folder
from launcher.cli import run_line
from launcher.commands import COMMANDS
from launcher.jobs.backend import JobBackend
from launcher.jobs.local_run import LocalRun
from launcher.local.run import run_local
from launcher.processes.ending import LocalError
from launcher.run_files.log_files import LogFiles
from launcher.run_files.run_record import is_held, read_record, recorded
from launcher.run_files.run_status import RunStatus, write_status
from launcher.terminal.wait import Wait
from tests.support.agent_process import wait_for

pytestmark = pytest.mark.timeout(120)

HERE = Path(__file__).parent
LOCAL = [sys.executable, str(HERE / "local_with_stand_ins.py"), "local"]
LINE = ["--workers", "2", "--", "--do", "wait"]


def waiting(seconds: float) -> Wait:
    return Wait(timeout_s=seconds, progress=NoProgress())


class Started:
    """An ``esmm local`` whose workers wait for a signal, and its run."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.run = folder, folder / "run"
        self.environment = {**os.environ, "STAND_IN_FOLDER": str(folder), "TMPDIR": str(folder / "tmp")}
        (folder / "tmp").mkdir()
        self.processes: list[subprocess.Popen[bytes]] = []
        self.process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        for ready in self.folder.glob("ready-*"):
            ready.unlink()
        with (self.folder / "out").open("ab") as out:
            made = subprocess.Popen([*LOCAL, *LINE], env=self.environment, stdout=out, stderr=out)
        self.processes.append(made)
        wait_for(lambda: len(list(self.folder.glob("ready-*"))) == 2 or made.poll() is not None, "workers")
        return made


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Started]:
    made = Started(tmp_path)
    yield made
    for process in made.processes:
        process.kill()
        process.wait()


def test_a_run_is_stopped_as_by_ctrl_c_and_its_lines_are_kept(started):
    run: JobBackend = LocalRun(str(started.run))
    assert run.status().state == "running"
    done = run.cancel(waiting(30), now=False)
    assert started.process.wait(10) == 0
    assert done.result["state"] == "stopped"
    assert any("Stopped by SIGINT. All is saved." in line for line in run.logs("worker-1", follow=False))
    assert any("SIGINT: the workers save and stop" in line for line in run.logs("local", follow=False))
    assert any("Stopped by SIGINT. All is saved." in line for line in run.logs("worker-0", follow=False))
    assert [line.split()[-1] for line in run.logs("server-0", follow=False, tail=1)] == ["down"]
    with pytest.raises(ConfigError, match="has no log of 'worker-7'. Its logs: local, server-0, worker-0, worker-1"):
        run.logs("worker-7", follow=False)
    with pytest.raises(ConfigError, match="is not running. To go on with it: esmm resume"):
        run.cancel(waiting(30), now=False)
    # An old request ends no later start
    again = started.start()
    time.sleep(1.5)
    assert again.poll() is None


def test_a_run_is_killed_at_once_and_one_that_does_not_end_is_an_error(started):
    run = LocalRun(str(started.run))
    started.process.send_signal(signal.SIGSTOP)
    with pytest.raises(RetryError, match="Timed out after 0.3 s waiting until .* has ended"):
        run.cancel(waiting(0.3), now=False)
    assert run.cancel(waiting(30), now=True).result["state"] == "killed"
    assert started.process.wait(10) == -signal.SIGKILL
    assert not is_held(Folder.open(started.run))


def test_two_local_trainings_in_one_run_are_refused(started):
    assert started.start().wait(30) == 2
    assert "Another esmm local trains in" in (started.folder / "out").read_text()
    assert started.process.poll() is None


def test_lines_are_followed_until_the_end_of_the_run(started):
    run, found = LocalRun(str(started.run)), []
    thread = threading.Thread(target=lambda: found.extend(run.logs("server-0", follow=True)))
    thread.start()
    run.cancel(waiting(30), now=False)
    thread.join(20)
    assert not thread.is_alive()
    assert found[0].endswith("listening on 127.0.0.1:9000")
    assert found[-1].endswith("shut down")


def test_a_resumed_run_is_given_its_command_again_in_its_folder(started, monkeypatch):
    run = LocalRun(str(started.run))
    with pytest.raises(ConfigError, match="is running already"):
        run.resume(waiting(0), run_line)
    run.cancel(waiting(30), now=False)
    record = read_record(Folder.open(started.run))
    assert record is not None
    assert record.command == ("local", "--workers", "2", "--", "train", "--do", "wait")
    given: list[tuple[object, str]] = []

    def local(settings, context):
        given.append((settings.worker_command, os.getcwd()))
        return run_local(
            replace(settings, dry_run=True),
            context.progress,
            check=lambda line: SimpleNamespace(run="x", data=Path("no data set")),
        )

    monkeypatch.setitem(COMMANDS, "local", replace(COMMANDS["local"], work=local))
    monkeypatch.chdir(started.folder)
    done = run.resume(waiting(0), run_line)
    assert given == [(("train", "--do", "wait"), record.folder)]
    assert Path.cwd() == started.folder
    assert any(line.startswith("worker 1: ") for line in done.lines)


@pytest.mark.parametrize(
    ("error", "kept"),
    [(LocalError("max_steps is 4, but", 2), "first"), (LocalError("killed", 1), "second"), (None, "second")],
)
def test_a_line_whose_setting_is_wrong_is_not_the_one_that_resume_gives_again(tmp_path, error, kept):
    run = Folder.open(tmp_path)
    for word in ("first", "second"):
        with contextlib.suppress(LocalError), recorded(run, ("local", "--", "train", "--run", word)):
            if word == "second" and error is not None:
                raise error
    record = read_record(run)
    assert record is not None
    assert record.command[-1] == kept


def test_only_a_run_that_does_not_run_is_deleted_and_only_what_it_wrote(started):
    run, folder = LocalRun(str(started.run)), started.run
    with pytest.raises(ConfigError, match="is running. Stop it first: esmm cancel"):
        run.delete(waiting(0), keep_data=False)
    run.cancel(waiting(30), now=False)
    (folder / "checkpoints/step-00000001").mkdir(parents=True)
    (folder / "config.yaml").write_text("seed: 1\n")
    (folder / "notes.txt").write_text("mine")
    run.delete(waiting(0), keep_data=True)
    assert sorted(path.name for path in folder.iterdir()) == ["checkpoints", "config.yaml", "notes.txt"]
    with pytest.raises(ConfigError, match="is not a run of esmm local"):
        run.delete(waiting(0), keep_data=False)
    write_status(Folder.open(folder), STATUS)
    done = run.delete(waiting(0), keep_data=False)
    assert done.lines == [f"{folder} is deleted; it still holds notes.txt."]
    (folder / "notes.txt").unlink()
    write_status(Folder.open(folder), STATUS)
    run.delete(waiting(0), keep_data=False)
    assert not folder.exists()


STATUS = RunStatus(run="run", state="done", written_at=1.0, started_at=0.0, driver_pid=1, step=40)


def test_a_run_whose_process_is_gone_is_stale_at_once(tmp_path):
    run = Folder.open(tmp_path)
    write_status(run, replace(STATUS, state="running", written_at=time.time()))
    with recorded(run, ("local", "--", "train")):
        assert not LocalRun(str(tmp_path)).status().stale
    status = LocalRun(str(tmp_path)).status()
    assert (status.state, status.stale, status.where) == ("running", True, "this machine")
    with pytest.raises(ConfigError, match="is not running: its driver has written nothing for"):
        LocalRun(str(tmp_path)).scale_workers(1, waiting(1))
    write_status(run, STATUS)
    assert not LocalRun(str(tmp_path)).status().stale


def test_a_run_of_another_machine_is_stale_only_when_its_status_is_old(tmp_path):
    run = Folder.open(tmp_path)
    for written_ago_s, stale in ((0.0, False), (16.0, True)):
        write_status(run, replace(STATUS, state="running", written_at=time.time() - written_ago_s))
        assert LocalRun(str(tmp_path)).status().stale == stale  # no record: a job in a cluster trains it
    record = {"command": ["local"], "folder": "/", "pid": 1, "host": "another", "started_at": 1.0}
    run.write_bytes("local.json", json.dumps(record).encode())
    write_status(run, replace(STATUS, state="running", written_at=time.time()))
    assert not LocalRun(str(tmp_path)).status().stale


def test_servers_are_changed_by_hand_and_a_folder_that_is_no_run_has_no_verbs(tmp_path):
    run = LocalRun(str(tmp_path))
    with pytest.raises(ConfigError, match="give that command again with --servers 3"):
        run.scale_servers(3, waiting(0))
    with pytest.raises(ConfigError, match="has no logs/"):
        run.logs(None, follow=False)
    with pytest.raises(ConfigError, match="has no local.json"):
        run.resume(waiting(0), run_line)
    with pytest.raises(ConfigError, match="is not a run"):
        run.cancel(waiting(0), now=True)
    with pytest.raises(ConfigError, match="is not a run"):
        run.status()


def test_a_log_keeps_the_newest_lines_in_two_files_and_a_refusal_is_told_once(tmp_path):
    told: list[str] = []
    logs = LogFiles(tmp_path / "logs", told.append, most_bytes=3 * (29 + 1 + 6 + 1))  # the time, "line 0", the end
    (tmp_path / "logs").mkdir()
    for number in range(9):
        logs.write("server 0", f"line {number}")
    logs.close()
    newest, before = tmp_path / "logs/server-0.log", tmp_path / "logs/server-0.log.1"
    assert [len(path.read_text().splitlines()) for path in (before, newest)] == [3, 3]
    assert newest.read_text().splitlines()[-1].endswith(" line 8")
    refused = LogFiles(tmp_path / "no/logs", told.append)
    refused.write("driver", "a")
    refused.write("driver", "b")
    assert len(told) == 1
    assert "cannot be written (No such file or directory)" in told[0]
