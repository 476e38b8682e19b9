"""One worker process of an agent, from its warming to its end."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence

from esmm_dist.process.tied_process import tied_to_this_process
from launcher.agent.worker_link import REPORT_FD
from launcher.agent.worker_reports import WorkerReports
from launcher.processes.process_plan import without_rank

WARM_WORKER = (sys.executable, "-P", "-m", "launcher.agent.warm_worker")


class WorkerProcess:
    """A process in a session of its own that warms itself and can then be started, once. Not thread-safe.

    Make it in the main thread: the kernel kills it when the thread that made it ends. It writes to this process's own
    stdout and stderr.
    """

    def __init__(self, command: Sequence[str], inherited: Mapping[str, str], now: float) -> None:
        """Start the process, which begins to warm.

        Args:
            command: words after ``esmm`` that it will run
            inherited: environment; variables of another Horovod job are left out
            now: time on the clock of ``read``
        """
        self.reports = WorkerReports(now)
        self.reporting = True
        """False once it has closed its end of the pipe."""
        self.born = now
        self._reader, writer = os.pipe()
        os.set_blocking(self._reader, False)
        try:
            self._process = subprocess.Popen(
                tied_to_this_process((*WARM_WORKER, *command)),
                stdin=subprocess.PIPE,
                env={**without_rank(inherited), "PYTHONUNBUFFERED": "1", REPORT_FD: str(writer)},
                pass_fds=(writer,),
                start_new_session=True,
                bufsize=0,
            )
        except BaseException:
            os.close(self._reader)
            raise
        finally:
            os.close(writer)

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """Return its exit status, or minus the signal that ended it; None until ``reap`` has noticed its end."""
        return self._process.returncode

    def fileno(self) -> int:
        """Return the descriptor of its reports, for ``select``."""
        return self._reader

    def start(self, environment: Mapping[str, str]) -> None:
        """Give it its environment, with which it runs its command. If it has just ended, ``reap`` notices."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps({"environment": dict(environment)}).encode() + b"\n")
        self._process.stdin.close()

    def read(self, now: float) -> None:
        """Read what it has reported, without waiting."""
        with contextlib.suppress(BlockingIOError):  # nothing more yet
            while data := os.read(self._reader, 65_536):
                self.reports.feed(data, now)
            self.reporting = False

    def send(self, number: signal.Signals) -> None:
        """Send a signal if it has not ended; SIGKILL goes to all that it has started, too."""
        if self.exit_code is not None:
            return
        if number == signal.SIGKILL:
            os.killpg(self.pid, number)
        else:
            os.kill(self.pid, number)

    def reap(self, now: float) -> bool:
        """Notice its end, if it has ended: read its last reports, and kill what it has left running in its session."""
        # While its end is not collected, its id cannot belong to another process.
        if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return False
        os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        self.read(now)
        self._close()
        return True

    def kill(self) -> None:
        """Kill it and wait for its end. Harmless if it has ended."""
        if self.exit_code is None:
            self.send(signal.SIGKILL)
            self._process.wait()
            self._close()

    def _close(self) -> None:
        os.close(self._reader)
        if self._process.stdin is not None:
            self._process.stdin.close()
