"""``esmm local`` with real processes: failures, kills, signals, a terminal; and nothing is left behind."""

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from launcher.driver.rendezvous_server import rendezvous
from launcher.local.workspace import LOG_FOLDER, open_workspace

pytestmark = pytest.mark.timeout(120)

DRIVER = [sys.executable, str(Path(__file__).with_name("local_with_stand_ins.py")), "local"]
PATIENCE_S = 60.0


def wait_for(condition: Callable[[], object], what: str) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < give_up, f"no {what} within {PATIENCE_S:g} s"
        time.sleep(0.01)


class Local:
    """Starts ``esmm local`` with stand-ins whose files are in a folder of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.process: subprocess.Popen[str] | None = None
        self.environment = {**os.environ, "STAND_IN_FOLDER": str(folder), "TMPDIR": str(self.temporary)}

    def start(self, line: str, **variables: str) -> subprocess.Popen[str]:
        self.process = subprocess.Popen(
            [*DRIVER, *line.split()],
            env=self.environment | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        return self.process

    def run(self, line: str, **variables: str) -> tuple[int, str, str]:
        return self.finished(self.start(line, **variables))

    def finished(self, process: subprocess.Popen[str]) -> tuple[int, str, str]:
        out, err = process.communicate(timeout=PATIENCE_S)
        self.assert_nothing_is_left()
        return process.returncode, out, err

    def wait_for_files(self, *names: str) -> None:
        def there_or_ended() -> bool:
            return (self.folder / name).exists() or (self.process is not None and self.process.poll() is not None)

        for name in names:
            wait_for(there_or_ended, name)
            assert (self.folder / name).exists(), self.process and self.process.communicate()

    def pid(self, name: str) -> int:
        return int((self.folder / name).read_text())

    def processes(self) -> dict[int, str]:
        """Return the command of each process that runs with this test's environment."""
        found = {}
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if f"STAND_IN_FOLDER={self.folder}".encode() in (path / "environ").read_bytes().split(b"\0"):
                    found[int(path.name)] = (path / "cmdline").read_text().replace("\0", " ")
            except OSError:  # it has ended, or belongs to another user
                continue
        return found

    def assert_nothing_is_left(self, *, at_once: bool = True) -> None:
        """Check for processes and files; those of a killed parent may take a moment."""
        if not at_once:
            wait_for(lambda: not self.processes() and not any(self.temporary.iterdir()), "end of all processes")
        assert self.processes() == {}
        assert list(self.temporary.iterdir()) == []


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Local]:
    made = Local(tmp_path)
    yield made
    for pid in made.processes():
        os.kill(pid, signal.SIGKILL)


def started(local: Local, line: str, **variables: str) -> subprocess.Popen[str]:
    """Start two servers and two workers, and wait until the workers work."""
    process = local.start(f"--workers 2 --servers 2 {line}", **variables)
    local.wait_for_files("ready-0", "ready-1")
    return process


def test_the_report_of_rank_0_is_stdout_and_every_other_line_has_a_name(local):
    status, out, err = local.run("--workers 2 --servers 2 -- --do report")
    assert status == 0
    assert re.fullmatch(r"Trained rank 0, servers 127.0.0.1:9000,127.0.0.1:9001, size 2\n", out)
    lines = err.splitlines()
    for line in (
        "server 0 | listening on 127.0.0.1:9000",
        "server 1 | shut down",
        "worker 0 | saved step 4",
        "worker 1 | Trained rank 1, servers 127.0.0.1:9000,127.0.0.1:9001, size 2",
    ):
        assert line in lines
    named = [line for line in lines if re.match(r"(worker|server) [01] \| ", line)]
    assert [line for line in lines if line not in named] == ["train: 4 steps"]  # one progress, that of rank 0
    assert "\x1b" not in err


@pytest.mark.parametrize("line", ["--json -- --do report", "-- --do report --json"])
def test_json_of_rank_0_is_all_of_stdout(local, line):
    status, out, err = local.run(line)
    assert status == 0
    assert out == '{"step": 4, "auc": 0.30000000000000004}\n'
    assert json.loads(out) == {"step": 4, "auc": 0.1 + 0.2}
    assert "worker 0 | Trained rank 0" in err
    assert '"auc"' not in "".join(line for line in err.splitlines() if line.startswith("worker 0"))


def test_one_worker_without_servers_is_started_without_horovod(local):
    status, out, err = local.run("--workers 1 --servers 0 -- --do report")
    assert (status, out) == (0, "Trained rank 0, servers embedded, size None\n")
    assert "server" not in err


def test_lines_of_different_processes_never_mix(local):
    status, _, err = local.run("--workers 3 --servers 1 -- --do flood")
    assert status == 0
    for rank in range(3):
        lines = [line for line in err.splitlines() if line.startswith(f"worker {rank} | ")]
        assert lines == [f"worker {rank} | line {i} of rank {rank} {'x' * (i % 300)} end" for i in range(2000)]


def test_an_error_of_all_workers_is_shown_once_with_its_exit_status(local):
    status, out, err = local.run("-- --do same_error")
    assert (status, out) == (2, "")
    assert err.count("data is nowhere") == 1
    assert err.splitlines()[-1] == "esmm: data is nowhere, which is no folder."


def test_a_failing_worker_is_named_with_its_status_and_last_lines_and_the_other_is_stopped(local):
    status, out, err = local.run("-- --do status --only 1")
    assert (status, out) == (3, "")
    assert "esmm: worker 1 ended with exit status 3. Its last lines:\n    about to go\n" in err
    assert "worker 0 | Stopped by SIGTERM. All is saved." in err  # no report: the whole failed
    assert "server 0 | shut down" in err


def test_different_errors_are_all_shown(local):
    status, _, err = local.run("-- --do own_error")
    assert status == 1
    for rank in (0, 1):
        assert err.count(f"worker {rank}: rank {rank} cannot read shard {rank}.") == 1


@pytest.mark.parametrize("victim", ["server 1", "worker 0", "worker 1"])
def test_a_killed_child_ends_the_whole_and_is_named(local, victim):
    process = started(local, "-- --do wait")
    os.kill(local.pid(victim.replace(" ", "-")), signal.SIGKILL)
    status, _, err = local.finished(process)
    assert status == 1
    assert f"esmm: {victim} was killed by SIGKILL" in err
    if victim == "server 1":
        assert "Its last lines:\n    listening on 127.0.0.1:9001\n" in err


def test_what_a_killed_worker_leaves_running_is_killed_too(local):
    process = local.start("-- --do child --only 1")
    local.wait_for_files("ready-0", "ready-1", "grandchild")
    os.kill(local.pid("worker-1"), signal.SIGKILL)
    status, _, err = local.finished(process)
    assert status == 1
    assert "worker 1 was killed by SIGKILL" in err


@pytest.mark.parametrize("when", ["servers start", "workers work"])
def test_everything_is_gone_after_esmm_local_itself_is_killed(local, when):
    if when == "servers start":
        process = local.start("--workers 2 --servers 2 -- --do wait", STAND_IN_SERVER="silent")
        local.wait_for_files("server-0", "server-1")
        assert len(local.processes()) == 4  # itself, two servers, and who removes the folder
    else:
        process = started(local, "-- --do wait")
        assert len(local.processes()) == 6
    process.kill()
    process.communicate(timeout=PATIENCE_S)
    local.assert_nothing_is_left(at_once=False)


def test_the_folder_is_removed_though_its_keeper_was_killed(local):
    process = started(local, "-- --do wait")
    [keeper] = [pid for pid, command in local.processes().items() if "rmtree" in command]
    os.kill(keeper, signal.SIGKILL)
    process.terminate()
    status, _, _ = local.finished(process)
    assert status == 0


def test_a_worker_that_does_not_end_in_time_is_killed(local):
    process = local.start("--grace-seconds 0.3 --workers 2 -- --do deaf --only 1")
    local.wait_for_files("ready-0", "deaf")
    os.kill(local.pid("worker-0"), signal.SIGKILL)
    status, _, err = local.finished(process)
    assert status == 1
    assert "esmm: worker 0 was killed by SIGKILL" in err


def test_a_server_that_does_not_end_in_time_is_killed_and_named(local):
    status, out, err = local.run("--grace-seconds 0.3 --servers 1 -- --do report", STAND_IN_SERVER="stubborn")
    assert (status, out) == (1, "")
    assert "esmm: server 0 did not end within 0.3 s of SIGTERM and was killed" in err
    assert "worker 0 | Trained rank 0" in err


def test_a_server_that_cannot_start_is_named_and_no_worker_starts(local):
    status, _, err = local.run("--servers 2 -- --do wait", STAND_IN_SERVER="fail 1")
    assert status == 1
    assert err.splitlines()[-1] == "esmm: server 1: bind is 127.0.0.1:0, which is taken."
    assert not (local.folder / "worker-0").exists()


def test_a_server_that_never_listens_is_named(local):
    status, _, err = local.run("--start-timeout-s 0.5 -- --do wait", STAND_IN_SERVER="silent")
    assert status == 1
    assert err.splitlines()[-1].startswith("esmm: server 0 did not listen within 0.5 s.")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_stop_signal_lets_the_workers_save_before_the_servers_end(local, number):
    process = started(local, "-- --do wait")
    process.send_signal(number)
    status, out, err = local.finished(process)
    assert status == 0
    assert out == f"Stopped by {number.name}. All is saved.\n"
    assert err.index("worker 1 | Stopped by") < err.index("server 0 | shut down")


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)])
def test_a_stop_before_the_workers_could_save_says_so(local, number, expected):
    process = started(local, "-- --do wait --unsaved")
    process.send_signal(number)
    status, out, err = local.finished(process)
    assert (status, out) == (expected, "")
    assert "Run the same command again to continue or start over." in err.splitlines()[-1]


def test_a_stop_signal_while_servers_start_starts_no_worker(local):
    process = local.start("-- --do wait", STAND_IN_SERVER="silent")
    local.wait_for_files("server-0")
    process.send_signal(signal.SIGTERM)
    status, _, err = local.finished(process)
    assert status == 143
    assert "SIGTERM: stopping the servers" in err
    assert not (local.folder / "worker-0").exists()


def test_all_ends_when_nobody_reads_the_log_any_more(local):
    process = started(local, "-- --do wait")
    assert process.stderr is not None
    process.stderr.close()
    os.kill(local.pid("worker-1"), signal.SIGKILL)
    assert process.wait(PATIENCE_S) != 0
    assert process.stdout is not None
    process.stdout.close()
    local.assert_nothing_is_left()


class Terminal:
    """``esmm local`` on a terminal of its own, as its foreground process."""

    def __init__(self, local: Local, line: str) -> None:
        self.text = ""
        self._terminal, inner = pty.openpty()
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *DRIVER, *line.split()],
            env=local.environment | {"TERM": "xterm-256color", "COLUMNS": "100"},
            stdin=inner,
            stdout=inner,
            stderr=inner,
        )
        os.close(inner)
        os.set_blocking(self._terminal, False)

    def read(self) -> str:
        with contextlib.suppress(OSError):  # nothing yet (EAGAIN), or all have closed it (EIO)
            self.text += os.read(self._terminal, 65_536).decode()
        return self.text

    def shows(self, text: str) -> None:
        wait_for(lambda: text in self.read(), f"{text!r} on the terminal")

    def type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def wait(self) -> int:
        wait_for(lambda: self.read() is not None and self.process.poll() is not None, "end")
        self.read()
        os.close(self._terminal)
        return self.process.returncode


def test_ctrl_c_on_a_terminal_reaches_the_workers_first(local):
    terminal = Terminal(local, "--workers 2 --servers 1 -- --do wait")
    local.wait_for_files("ready-0", "ready-1")
    terminal.shows("25%")  # the bar of rank 0
    terminal.type("\x03")
    assert terminal.wait() == 0
    local.assert_nothing_is_left()
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.text)
    assert "server 0 | listening" in text
    assert text.index("worker 1 | Stopped by SIGINT") < text.index("server 0 | shut down")
    assert "\nStopped by SIGINT. All is saved.\r\n" in text.replace("\r\n", "\n").replace("\n", "\r\n")
    # Every process has its own colour, and the cursor that the bar hides is back.
    colours = {name: re.search(rf"\x1b\[(\d+)m{name} \|", terminal.text) for name in ("server 0", "worker 1")}
    assert all(colours.values())
    assert len({found[1] for found in colours.values() if found}) == 2
    assert terminal.text.rindex("\x1b[?25h") > terminal.text.rindex("\x1b[?25l")


def test_a_second_ctrl_c_kills_all(local):
    terminal = Terminal(local, "--workers 2 --servers 1 -- --do deaf --only 1")
    local.wait_for_files("ready-0", "deaf")
    terminal.type("\x03")
    terminal.shows("Ctrl-C again kills them")

    deaf = local.pid("worker-1")

    def killed_by_another() -> bool:
        if deaf not in local.processes():
            return True
        terminal.type("\x03")  # those at once after the first count as the first
        return False

    wait_for(killed_by_another, "end of the worker that hears no signal")
    assert terminal.wait() == 130
    local.assert_nothing_is_left()


def test_real_horovod_ranks_meet(local):
    status, out, err = local.run("--workers 2 --servers 1 -- --do horovod")
    assert status == 0, err
    assert out == "rank 0 of 2 on 0 of 2: 3.0\n"  # 1 + 2
    shown = [line for line in err.splitlines() if not line.startswith("server 0 | ")]
    assert shown == ["worker 1 | rank 1 of 2 on 1 of 2: 3.0"]  # and nothing of TensorFlow or Horovod


@pytest.mark.slow
def test_real_servers_listen_answer_and_stop(local):
    status, out, err = local.run("--workers 1 --servers 2 -- --do ask", STAND_IN_SERVER="real")
    assert status == 0, err
    found = json.loads(out)["servers"]
    assert [(s["index"], s["count"]) for s in found] == [(0, 2), (1, 2)]
    for i, stats in enumerate(found):
        assert f"server {i} | Server {i}/2 listens on {stats['address']} (token)" in err
        assert f"server {i} | Stopping on SIGTERM" in err


def test_the_rendezvous_listens_on_loopback_only_and_closes_its_port():
    def listeners(port: int) -> list[str]:
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return [row[1] for row in rows if row[3] == "0A" and row[1].endswith(f":{port:04X}")]

    with rendezvous(2, "0123456789abcdef") as place:
        port = place.port
        assert listeners(port) == [f"0100007F:{port:04X}"]  # 127.0.0.1, bytes reversed
    assert listeners(port) == []


def test_temporary_files_of_processes_go_with_the_workspace_and_tracebacks_do_not():
    with open_workspace() as workspace:
        environment = workspace.environment({"A": "1", "TMPDIR": "/elsewhere"})
        assert Path(environment["TMPDIR"]).parent == workspace.folder
        assert Path(environment["TMPDIR"]).is_dir()
        assert (environment["A"], environment[LOG_FOLDER]) == ("1", tempfile.gettempdir())
        assert workspace.environment({LOG_FOLDER: "/logs"})[LOG_FOLDER] == "/logs"


def test_each_workspace_has_a_token_of_its_own():
    with open_workspace() as first, open_workspace() as second:
        assert first.token_file.read_text() != second.token_file.read_text()
        assert first.token_file.stat().st_mode & 0o777 == 0o600
        folders = [first.folder, second.folder]
    assert not any(folder.exists() for folder in folders)
