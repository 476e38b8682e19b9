"""An ``esmm agent`` for tests: started, asked, and left without a trace."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil

from launcher.agent.client import AgentClient, AgentError
from launcher.agent.status import AgentStatus
from tests.support.secret_files import write_secret

PATIENCE_S = 60.0
TOKEN = "0123456789abcdef"
GRACE_S = 40.0
AGENT = (sys.executable, "-P", "-m", "launcher", "agent")


def wait_for(condition: Callable[[], object], what: str) -> None:
    """Wait until it holds; fail after ``PATIENCE_S``."""
    give_up = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < give_up, f"no {what} within {PATIENCE_S:g} s"
        time.sleep(0.05)


def is_there(pid: int) -> bool:
    """Return whether a process runs; one that has ended and waits for its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # the second: it ended after the file was opened
        return False


class AgentProcess:
    """An agent of a folder of its own, named after it."""

    def __init__(self, folder: Path, *line: str | Path, esmm_agent: Sequence[str], **variables: str) -> None:
        self.folder = folder
        self.workers: set[int] = set()
        write_secret(folder / "token", TOKEN)
        flags = ["--name", folder.name, "--address-file", folder / "address", "--token-file", folder / "token"]
        command = list(map(str, [*esmm_agent, *flags, *line]))
        with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
            self.process = subprocess.Popen(command, stdout=out, stderr=err, env=os.environ | variables)
        wait_for(lambda: (folder / "address").exists() or self.process.poll() is not None, "address")
        assert self.process.poll() is None, self.err
        self.address = (folder / "address").read_text().strip()
        self.client = AgentClient(self.address, TOKEN)

    @property
    def out(self) -> str:
        """What it and its workers have printed."""
        return (self.folder / "out").read_text()

    @property
    def err(self) -> str:
        """What it and its workers have said."""
        return (self.folder / "err").read_text()

    def status(self, after: int = 0) -> AgentStatus:
        """Ask for the status."""
        self.children()
        return self.client.status(after)

    def children(self) -> set[int]:
        """Return the process ids of its workers that are there now."""
        found = set()
        with contextlib.suppress(psutil.NoSuchProcess):
            found = {child.pid for child in psutil.Process(self.process.pid).children()}
        self.workers |= found
        return {pid for pid in found if is_there(pid)}

    def until(self, condition: Callable[[AgentStatus], object], what: str) -> AgentStatus:
        """Wait until a status fulfils the condition, and return it."""
        found: list[AgentStatus] = []

        def holds() -> bool:
            found[:] = [self.status()]
            return bool(condition(found[0]))

        wait_for(holds, f"{what} of {self.folder.name}")
        return found[0]

    def ready(self) -> AgentStatus:
        """Wait for a warm worker."""
        return self.until(lambda s: s.state == "ready", "readiness")

    def ended(self, run_id: int) -> AgentStatus:
        """Wait for the end of a run."""
        return self.until(lambda s: s.id == run_id and not s.running, f"end of run {run_id}")

    def starts(self, **environment: str) -> tuple[int, int]:
        """Start; return the run's id and process id."""
        run_id = self.client.start(environment)
        worker = self.status().worker_pid
        assert worker is not None
        return run_id, worker

    def trains(self, **environment: str) -> tuple[int, int]:
        """Start, wait until the training makes steps, and return the run's id and process id."""
        run_id, worker = self.starts(ESMM_PROGRESS="json", **environment)
        self.until(lambda s: s.facts.get("impressions"), "steps")
        return run_id, worker

    def close(self) -> None:
        """Kill it; what it has started must be gone then."""
        if self.process.poll() is None:
            self.children()
            with contextlib.suppress(AgentError):
                self.status()
            self.process.kill()
        self.process.wait()
        wait_for(lambda: not any(map(is_there, self.workers)), f"end of {self.workers}")


@contextlib.contextmanager
def an_agent(
    folder: Path, *words: str | Path, flags: Sequence[str] = (), esmm_agent: Sequence[str] = AGENT, **variables: str
) -> Iterator[AgentProcess]:
    """Run an agent for the block.

    Args:
        folder: made for it; its name is the worker's
        words: words after ``--``
        flags: words before it
        esmm_agent: words that run ``esmm agent``
        variables: environment variables for it
    """
    folder.mkdir()
    made = AgentProcess(folder, *flags, "--", *words, esmm_agent=esmm_agent, **variables)
    try:
        yield made
    finally:
        made.close()
