"""A real ``esmm local`` with workers that come and go, for tests: started, looked into, and left without a trace."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil

from esmm_dist.errors import ConfigError
from esmm_dist.storage.folder import Folder
from launcher.run_files.run_status import RunStatus, read_status

ESMM = (sys.executable, "-P", "-m", "launcher")
SLOW_SERVERS = (sys.executable, str(Path(__file__).with_name("slow_servers.py")))
"""``esmm`` whose servers take a while to save and to make a step."""


class ElasticRun:
    """One ``esmm local``. Only processes that it has started are ever looked at, found as descendants of its pid."""

    def __init__(self, run: Path, args: Sequence[str], *, log: Path, esmm: Sequence[str] = ESMM) -> None:
        self.run, self.log = run, log
        self._temporary = log.with_name("tmp")
        self._temporary.mkdir(exist_ok=True)
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [*esmm, "local", *args],
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env={**os.environ, "TMPDIR": str(self._temporary)},
            )
        self._seen: set[psutil.Process] = set()

    @property
    def pid(self) -> int:
        """Process id of ``esmm local``."""
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def processes(self) -> dict[str, psutil.Process]:
        """Return its processes by name: ``server 0``, ``driver``, ``agent worker-0``, ``worker-0`` (if it runs)."""
        status = self.find_status()
        running = {worker.pid for worker in status.workers} if status is not None else set()
        found: dict[str, psutil.Process] = {}
        names: dict[int, str] = {}
        workers = []
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in psutil.Process(self.pid).children(recursive=True):
                self._seen.add(process)
                with contextlib.suppress(psutil.NoSuchProcess):
                    line = process.cmdline()
                    if "launcher.agent.warm_worker" in line:
                        workers.append((process.ppid(), process))
                    elif name := _name(line):
                        names[process.pid] = name
                        found[name] = process
        for parent, process in workers:
            if parent in names and process.pid in running:
                found[names[parent].removeprefix("agent ")] = process
        return found

    def send(self, name: str, number: signal.Signals) -> None:
        """Send a signal to one of its processes."""
        self.processes()[name].send_signal(number)

    def send_self(self, number: signal.Signals) -> None:
        """Send a signal to ``esmm local`` itself."""
        self._process.send_signal(number)

    def status(self) -> RunStatus:
        """Return what the driver wrote last; there must be something."""
        status = self.find_status()
        assert status is not None, self.tail()
        return status

    def find_status(self) -> RunStatus | None:
        """Return what the driver wrote last; None if nothing is there yet."""
        with contextlib.suppress(ConfigError):
            return read_status(Folder.open(self.run))
        return None

    def events(self) -> list[dict[str, Any]]:
        """Return all events so far."""
        try:
            lines = (self.run / "events.jsonl").read_text().splitlines()
        except FileNotFoundError:
            return []
        found = []
        for line in lines:
            with contextlib.suppress(ValueError):  # one that is being written
                found.append(json.loads(line))
        return found

    def worker_of_rank(self, rank: int) -> str | None:
        """Return the name of the worker that is a rank now."""
        status = self.find_status()
        for worker in status.workers if status is not None else ():
            if worker.rank == rank and worker.state == "running":
                return worker.name
        return None

    def wait_until(self, ready: Callable[[], Any], timeout_s: float, what: str, *, every_s: float = 0.05) -> Any:
        """Wait; fail with the end of the log if it takes too long, or the run ends before."""
        deadline = time.monotonic() + timeout_s
        while not (found := ready()):
            if self.exit_status is not None:
                raise AssertionError(f"ended ({self.exit_status}) before {what}:\n{self.tail()}")
            if time.monotonic() >= deadline:
                raise AssertionError(f"no {what} within {timeout_s:g} s: {self.find_status()}\n{self.tail()}")
            time.sleep(every_s)
        return found

    def wait_for_ranks(self, ranks: int, timeout_s: float = 90.0) -> None:
        """Wait until so many ranks make steps together."""

        def make_steps() -> bool:
            status = self.find_status()
            if status is None or status.state != "running" or status.ranks != ranks:
                return False
            running = [worker for worker in status.workers if worker.state == "running"]
            return len({worker.rank for worker in running}) == ranks and all(
                worker.step is not None and worker.phase in ("training", "saving") for worker in running
            )

        self.wait_until(make_steps, timeout_s, f"{ranks} ranks that train")

    def wait_for_step(self, step: int, timeout_s: float = 90.0) -> None:
        """Wait until so many steps are done."""
        self.wait_until(lambda: (s := self.find_status()) is not None and s.step >= step, timeout_s, f"step {step}")

    def wait_for_end(self, timeout_s: float = 180.0) -> int:
        """Wait for its end; return its exit status."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"no end within {timeout_s:g} s: {self.find_status()}\n{self.tail()}") from None

    def tail(self, lines: int = 40) -> str:
        """Return the end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def left_over(self) -> list[str]:
        """Return its processes and temporary files that have outlived it, after the moment that the kernel needs."""
        deadline = time.monotonic() + 10.0
        while (alive := [p for p in self._seen if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]) and (
            time.monotonic() < deadline
        ):
            time.sleep(0.1)
        while (files := list(self._temporary.iterdir())) and time.monotonic() < deadline:
            time.sleep(0.1)
        return [*(" ".join(process.cmdline()) for process in alive), *map(str, files)]

    def close(self) -> None:
        """Kill what is left."""
        if self.exit_status is None:
            self.processes()
            self._process.kill()
            self._process.wait()
        for process in self._seen:
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.is_running():  # psutil knows a process by its pid and its start
                    process.kill()


@contextlib.contextmanager
def elastic_run(run: Path, args: Sequence[str], *, log: Path, esmm: Sequence[str] = ESMM) -> Iterator[ElasticRun]:
    """Run ``esmm local ARGS`` for the block; kill at its end what has not ended by itself."""
    started = ElasticRun(run, args, log=log, esmm=esmm)
    try:
        yield started
    finally:
        started.close()


def _name(line: Sequence[str]) -> str | None:
    """Return the name of a process by its command line; None for one in between."""
    if len(line) < 3 or ("launcher" not in line and not any(part.endswith("slow_servers.py") for part in line)):
        return None
    if any("PR_SET_PDEATHSIG" in part or "prctl" in part for part in line):
        return None  # about to become another program
    if "server" in line and "--index" in line:
        return f"server {line[line.index('--index') + 1]}"
    if "agent" in line and "--name" in line:
        return f"agent {line[line.index('--name') + 1]}"
    return "driver" if "driver" in line and "--agents-file" in line else None
