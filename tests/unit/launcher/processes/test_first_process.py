"""``esmm`` as the first process of a container ends on a signal, as it does elsewhere."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
SYNTH = ["synth", "raw", "--impressions", "500000000"]
"""Takes an hour."""


@contextlib.contextmanager
def first_process(folder: Path, line: list[str], **variables: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run a command line as pid 1 of a process namespace; yield who waits for it, and its pid as it is seen here."""
    space = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if os.geteuid() or subprocess.run([*space, "true"], stderr=subprocess.DEVNULL, check=False).returncode:
        pytest.skip("only root can make a process namespace")
    with subprocess.Popen(
        [*space, sys.executable, "-P", "-m", "launcher", *line],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as waiting:
        try:
            children = Path(f"/proc/{waiting.pid}/task/{waiting.pid}/children")
            while not (found := children.read_text().split()):
                assert waiting.poll() is None
                time.sleep(0.01)
            yield waiting, int(found[0])
        finally:
            if waiting.poll() is None:
                waiting.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_the_first_process_as_any_other(tmp_path, number):
    with first_process(tmp_path, SYNTH) as (waiting, pid):
        while not (tmp_path / "raw").exists():  # at work
            assert waiting.poll() is None
            time.sleep(0.01)
        os.kill(pid, number)
        waiting.communicate(timeout=60)
        assert waiting.returncode == 128 + number


def test_a_signal_during_the_start_ends_it_too(tmp_path):
    with first_process(tmp_path, SYNTH) as (waiting, pid):
        while b"launcher" not in Path(f"/proc/{pid}/cmdline").read_bytes():
            time.sleep(0.001)
        for _ in range(600):  # until the interpreter has come so far that it can know a signal
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
            if waiting.poll() is not None:
                break
            time.sleep(0.1)
        assert waiting.poll() == 143


@pytest.mark.parametrize(("line", "status"), [(["--version"], 0), (["nothing"], 2)])
def test_its_exit_status_is_the_commands(tmp_path, line, status):
    with first_process(tmp_path, line) as (waiting, _):
        out, err = waiting.communicate(timeout=60)
    assert waiting.returncode == status, err
    assert bool(out) == (status == 0)
