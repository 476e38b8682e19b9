"""Faults for a running ``esmm local``, and the time that it takes to recover from each."""

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import psutil

from esmm_dist.storage.folder import Folder
from launcher.run_files.scale_request import ScaleRequest, write_scale_request
from tests.support.elastic_run import ElasticRun

Target = Literal["worker", "rank 0", "server", "driver", "agent"]
How = Literal["kill -9", "SIGTERM", "SIGSTOP+CONT", "SIGSTOP"]
During = Literal["step", "save", "join"]

STOPPED_S = 0.5
"""Between SIGSTOP and SIGCONT."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What happens to whom, and when."""

    target: Target
    how: How
    during: During
    index: int = 0
    """Index of the server, or of the worker among those that are not rank 0."""

    def __str__(self) -> str:
        """Return it as a few words."""
        return f"{self.target} {self.how} during {self.during}"


@dataclass(frozen=True, kw_only=True)
class Injected:
    """A fault that has happened."""

    fault: str
    victim: str
    at_step: int
    recovery_s: float
    """From the fault (from SIGCONT, where there is one) until the next step beyond those before it."""
    whole_s: float
    """Until all ranks were there again."""
    lost_steps: int
    """Steps that were made again."""


class Injector:
    """Injects faults into a run, one after the other, each into a run that has recovered from the one before."""

    def __init__(self, run: ElasticRun, *, ranks: int, timeout_s: float = 120.0) -> None:
        self._run, self.ranks, self._timeout_s = run, ranks, timeout_s

    def inject(self, fault: Fault, *, until_all_are_back: bool = True) -> Injected:
        """Wait for the moment, inject, and wait until the run has recovered.

        Args:
            fault: What to inject.
            until_all_are_back: Wait until all ranks are there again; else until steps are made.
        """
        if fault.target in ("worker", "rank 0") or fault.during == "join":
            self._run.wait_for_ranks(self.ranks, self._timeout_s)
        self._wait_for(fault.during)
        victim = self._victim(fault)
        process = self._run.processes()[victim]
        before, lost_before, beginnings = self._step(), self._lost(), self._beginnings()
        at = self._send(process, fault.how)
        if fault.how != "SIGSTOP+CONT":
            self._wait(lambda: not _lives(process), f"the end of {victim}")
            self._wait(lambda: self._beginnings() > beginnings, f"a new beginning after {fault}")
        reached = self._step()
        self._wait(lambda: self._step() != reached, f"a step after {fault}")
        recovery_s = time.monotonic() - at
        if until_all_are_back:
            self._run.wait_for_ranks(self.ranks, self._timeout_s)
        return Injected(
            fault=str(fault),
            victim=victim,
            at_step=before,
            recovery_s=recovery_s,
            whole_s=time.monotonic() - at,
            lost_steps=self._lost() - lost_before,
        )

    def scale(self, workers: int) -> Injected:
        """Ask for another number of workers, and wait for them."""
        before = self._step()
        at = time.monotonic()
        write_scale_request(Folder.open(self._run.run), ScaleRequest(workers=workers, id=str(time.time_ns())))
        self._run.wait_for_ranks(workers, self._timeout_s)
        what = f"scale {self.ranks} -> {workers}"
        self.ranks = workers
        whole_s = time.monotonic() - at
        return Injected(fault=what, victim="-", at_step=before, recovery_s=0.0, whole_s=whole_s, lost_steps=0)

    def _wait_for(self, during: During) -> None:
        if during == "save":
            checkpoints = self._run.run / "checkpoints"
            self._wait(lambda: any(checkpoints.glob(".writing-*")), "a save", every_s=0.005)
        elif during == "join":
            starts = self._count("worker_started")
            self._run.send(self._victim(Fault(target="worker", how="kill -9", during="step")), signal.SIGKILL)
            self._wait(lambda: self._count("worker_started") > starts, "a join", every_s=0.01)

    def _victim(self, fault: Fault) -> str:
        if fault.target == "server":
            return f"server {fault.index}"
        if fault.target == "driver":
            return "driver"
        rank = 0 if fault.target == "rank 0" else 1 + fault.index % max(1, self.ranks - 1)
        name = self._wait(lambda: self._worker(rank), f"rank {rank}")
        return f"agent {name}" if fault.target == "agent" else name

    def _worker(self, rank: int) -> str | None:
        """Return the worker of a rank; where it is between two ranks, any that runs."""
        name = self._run.worker_of_rank(rank)
        if name is None and (status := self._run.find_status()) is not None:
            running = sorted(worker.name for worker in status.workers if worker.state == "running")
            name = running[rank % len(running)] if running else None
        return name if name in self._run.processes() else None

    def _send(self, process: psutil.Process, how: How) -> float:
        """Inject; return the moment, on the monotonic clock, from which the run can recover."""
        if how == "kill -9":
            process.kill()
        elif how == "SIGTERM":
            process.terminate()
        else:
            process.suspend()
            if how == "SIGSTOP+CONT":
                time.sleep(STOPPED_S)
                process.resume()
        return time.monotonic()

    def _wait(self, ready: Callable[[], object], what: str, *, every_s: float = 0.05) -> str:
        found: str = self._run.wait_until(ready, self._timeout_s, what, every_s=every_s)
        return found

    def _count(self, event: str) -> int:
        return sum(each["event"] == event for each in self._run.events())

    def _beginnings(self) -> int:
        """Return how often ranks have begun to make steps, from memory or a checkpoint."""
        return sum(self._count(event) for event in ("began", "went_on", "rolled_back"))

    def _step(self) -> int:
        status = self._run.find_status()
        return status.step if status is not None else 0

    def _lost(self) -> int:
        status = self._run.find_status()
        return status.undone_steps + status.rolled_back_steps if status is not None else 0


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
