"""One process that answers requests, as the supervising process knows it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from esmm_dist.config import to_mapping
from esmm_dist.process.tied_process import tied_to_this_process
from esmm_dist.serving.config import ServeConfig
from esmm_dist.serving.processes.restarts import Restarts
from esmm_dist.serving.processes.worker_channel import WorkerChannel
from esmm_dist.serving.versions.offered_version import OfferedVersion

PROGRAM = (sys.executable, "-P", "-m", "esmm_dist.serving.processes.worker_process")

THREAD_SETTINGS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
"""Environment variables by which libraries take the number of their threads, when they are loaded."""


class Worker:
    """The place of one worker, which one process after the other holds. Use it in the main thread.

    Shutdown: the kernel kills the process (-9) when this one ends, however it ends. ``end`` asks it to finish what it
    has begun.
    """

    def __init__(self, index: int, config: ServeConfig, listening: socket.socket, counts: Path) -> None:
        """Begin without a process.

        Args:
            index: number among the workers
            config: settings of the server
            listening: socket that listens
            counts: folder in which the processes count together
        """
        self.index = index
        self.restarts = Restarts()
        self.process: subprocess.Popen[bytes] | None = None
        self.channel: WorkerChannel | None = None
        self.started = self.serving = False
        """Whether its modules are imported; whether it takes connections, or was told to."""
        self.loading: OfferedVersion | None = None
        self.version: OfferedVersion | None = None
        """What it answers with."""
        self._config, self._listening, self._counts = config, listening, counts

    @property
    def idle(self) -> bool:
        """Whether it can be asked to load a version."""
        return self.started and self.loading is None and self.channel is not None and not self.channel.ended

    @property
    def answers(self) -> bool:
        """Whether it answers requests."""
        return self.serving and self.version is not None

    def start(self) -> None:
        """Start a process."""
        ours, its = socket.socketpair()
        try:
            descriptors = [its.fileno(), self._listening.fileno()]
            self.process = subprocess.Popen(
                tied_to_this_process((*PROGRAM, *map(str, descriptors))),
                stdin=subprocess.DEVNULL,
                env={
                    **os.environ,
                    "PYTHONUNBUFFERED": "1",
                    **dict.fromkeys(THREAD_SETTINGS, str(self._config.threads)),
                },
                pass_fds=descriptors,
                start_new_session=True,  # Ctrl-C on the terminal reaches the supervising process, which drains all
            )
        except BaseException:
            ours.close()
            raise
        finally:
            its.close()
        self.channel = WorkerChannel(ours)
        self.started = self.serving = False
        self.loading = self.version = None
        self.restarts.note_start(time.monotonic())
        self.channel.send({"settings": to_mapping(self._config), "counts": str(self._counts)})

    def serve(self) -> None:
        """Have it take connections."""
        if not self.serving:
            self.serving = True
            self._send({"do": "serve"})

    def load(self, version: OfferedVersion, *, check: bool) -> None:
        """Have it load a version and put it into service."""
        self.loading = version
        self._send({"do": "load", "version": version.to_mapping(), "check": check})

    def wait_for(self, reason: str) -> None:
        """Tell it what the first version waits for."""
        self._send({"do": "wait", "reason": reason})

    def stop(self, *, at_once: bool) -> None:
        """Ask the process to end when it has answered what it has begun, at once or after its wait for balancers."""
        self.signal(signal.SIGTERM)
        if at_once:
            self.signal(signal.SIGINT)  # a second one leaves out the wait; before it serves, SIGTERM has ended it

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def reap(self) -> int | None:
        """Return the exit status if the process has ended since the last call; the place is free then."""
        if self.process is None or (status := self.process.poll()) is None:
            return None
        assert self.channel is not None
        self.channel.close()
        self.process = self.channel = None
        self.started = self.serving = False
        self.loading = self.version = None
        self.restarts.note_end(time.monotonic())
        return status

    @property
    def pid(self) -> int:
        """Its process id, 0 if none runs."""
        return 0 if self.process is None else self.process.pid

    def _send(self, message: Mapping[str, Any]) -> None:
        if self.channel is not None:
            self.channel.send(message)


def how_it_ended(status: int) -> str:
    """Return what an exit status means, for a sentence: "was killed by SIGKILL (...)", "ended with exit status 1"."""
    if status >= 0:
        return f"ended with exit status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    hint = {
        signal.SIGKILL: " (kill -9, or the kernel for lack of memory: see dmesg)",
        signal.SIGBUS: " (a file of the model was cut while it was mapped, or the disk of temporary files, TMPDIR, is "
        "full)",
    }.get(-status, "")  # type: ignore[call-overload]
    return f"was killed by {name}{hint}"
