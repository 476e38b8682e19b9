"""The folder of one ``esmm local``: the servers' token and their addresses. It is removed whatever ends the process.

A process that is killed (-9) cleans up nothing, so a second one stands by: it waits until this one is gone, which
closes the pipe between them, and then removes the folder.
"""

import contextlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from esmm_dist.storage.secret_file import write_new_token

# Tries again for a while, since a server may be writing its address there at that moment.
_REMOVE_WHEN_ALONE = """
import os, shutil, signal, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
sys.stdin.buffer.read()
for _ in range(50):
    shutil.rmtree(sys.argv[1], ignore_errors=True)
    if not os.path.exists(sys.argv[1]):
        break
    time.sleep(0.1)
"""

LOG_FOLDER = "ESMM_LOG_FOLDER"
"""Variable with the folder for what must outlive an ``esmm local``: the tracebacks of its processes."""


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """A folder that only this user can read."""

    folder: Path

    @property
    def token_file(self) -> Path:
        """Return the file with the servers' token."""
        return self.folder / "token"

    @property
    def agents_file(self) -> Path:
        """Return the file that lists the agents of an elastic training for its driver."""
        return self.folder / "agents.json"

    @property
    def beat_file(self) -> Path:
        """Return the file into which the driver of an elastic training writes its heartbeat."""
        return self.folder / "driver.json"

    def environment(self, inherited: Mapping[str, str]) -> dict[str, str]:
        """Return the variables of a process whose temporary files lie here: one that is killed removes none."""
        return {LOG_FOLDER: tempfile.gettempdir(), **inherited, "TMPDIR": str(self._temporary)}

    @property
    def _temporary(self) -> Path:
        return self.folder / "tmp"

    def address_file(self, server_index: int) -> Path:
        """Return the file into which a server writes HOST:PORT once it listens."""
        return self.folder / f"server-{server_index}"

    def silent_servers(self, count: int) -> list[int]:
        """Return the indexes of the servers that do not listen yet."""
        return [index for index in range(count) if not self.address_file(index).exists()]

    def server_addresses(self, count: int) -> list[str]:
        """Return HOST:PORT of each server, in order; all must listen."""
        return [self.address_file(index).read_text(encoding="utf-8").strip() for index in range(count)]

    def agent_address_file(self, start: int) -> Path:
        """Return the file into which an agent writes HOST:PORT once it listens; each start has its own."""
        return self.folder / f"agent-{start}"


@contextlib.contextmanager
def open_workspace() -> Iterator[Workspace]:
    """Make the folder and a new token in it; remove it when the block, or this process, ends."""
    workspace = Workspace(folder=Path(tempfile.mkdtemp(prefix="esmm-local-")))  # mode 0700
    try:
        with _removal_when_alone(workspace.folder):
            workspace._temporary.mkdir()
            write_new_token(workspace.token_file)
            yield workspace
    finally:
        shutil.rmtree(workspace.folder, ignore_errors=True)


@contextlib.contextmanager
def _removal_when_alone(folder: Path) -> Iterator[None]:
    command = [sys.executable, "-I", "-S", "-c", _REMOVE_WHEN_ALONE, str(folder)]
    nothing = subprocess.DEVNULL
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=nothing, stderr=nothing, start_new_session=True):
        yield  # Popen's own end of the block closes the pipe and waits
