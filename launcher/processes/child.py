"""One process that ``esmm local`` started: its pipes, its signals, its end."""

import os
import signal
import subprocess
from collections import deque
from collections.abc import Iterator, Mapping
from typing import IO

from esmm_dist.process.tied_process import tied_to_this_process
from launcher.processes.ending import Ending
from launcher.processes.lines import LineSplitter
from launcher.processes.process_plan import ProcessPlan, full_environment

TAIL_LINES = 8
"""Last lines kept for the message about a process that ended badly."""

ERROR_MARK = "esmm: "
"""Begins the line with which ``esmm`` says why it ends."""

LONGEST_ERROR_LINES = 20
"""What begins like an error and goes on for longer is a log after all."""

MOST_READS = 16
"""Pieces read from a pipe at once: a process that writes without end must not keep signals and others waiting."""


class Child:
    """A running process in a session of its own, so that Ctrl-C on the terminal does not reach it.

    Start it from the main thread: the kernel kills it when the thread that started it ends.
    """

    def __init__(self, plan: ProcessPlan, inherited: Mapping[str, str], *, is_server: bool) -> None:
        self.plan = plan
        self.is_server = is_server
        self.report: list[str] = []
        """Lines of its stdout, if that is the report of the whole."""
        self.sent: set[signal.Signals] = set()
        """Signals that it was sent from here."""
        self.cpu_s = 0.0
        """Processor time of it and of the processes that it waited for, in seconds; 0 until ``reap`` noticed its
        end."""
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._error: list[str] = []
        self._process = subprocess.Popen(
            tied_to_this_process(plan.command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if plan.reports else subprocess.STDOUT,
            env=full_environment(plan, inherited),
            start_new_session=True,
            bufsize=0,
        )
        # stderr first: a worker ends its progress there before it prints its report.
        self._pipes = {p: LineSplitter() for p in (self._process.stderr, self._process.stdout) if p is not None}
        for pipe in self._pipes:
            os.set_blocking(pipe.fileno(), False)

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Return False once its end was noticed by ``reap``."""
        return self._process.returncode is None

    @property
    def pipes(self) -> list[IO[bytes]]:
        """Return the pipes that are open, to wait for."""
        return list(self._pipes)

    def read(self) -> Iterator[str]:
        """Read what the pipes hold, without waiting, and yield the log lines in it."""
        for pipe, splitter in list(self._pipes.items()):
            for _ in range(MOST_READS):
                data = _read_ready(pipe)
                if data is None:
                    break
                if not data:  # the end
                    yield from self._close(pipe)
                    break
                yield from self._sorted(pipe, splitter.feed(data))

    def reap(self) -> bool:
        """Notice its end, if it has ended, and kill what it has left running in its session."""
        if not self.running:
            return False
        # While its end is not collected, its id cannot belong to another process.
        if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return False
        os.killpg(self.pid, signal.SIGKILL)
        _, status, usage = os.wait4(self.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        self.cpu_s = usage.ru_utime + usage.ru_stime
        return True

    def close(self) -> Iterator[str]:
        """Yield the rest of the log lines of a process that has ended, and close its pipes."""
        yield from self.read()
        for pipe in self.pipes:
            yield from self._close(pipe)
        if self._process.returncode == 0:  # then it was no error
            yield from self._release()

    def send(self, number: signal.Signals) -> None:
        """Send a signal, to its whole session if it is SIGKILL."""
        if not self.running:
            return
        self.sent.add(number)
        if number == signal.SIGKILL:
            os.killpg(self.pid, number)
        else:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it if it runs, and wait for its end. Harmless if it has ended."""
        self.send(signal.SIGKILL)
        self._process.wait()
        for pipe in self.pipes:
            pipe.close()

    def ending(self) -> Ending:
        """Return how it ended."""
        return Ending(
            name=self.plan.name,
            is_server=self.is_server,
            status=self._process.returncode,
            sent=frozenset(self.sent),
            error="\n".join(self._error).removeprefix(ERROR_MARK),
            tail=tuple(self._tail),
        )

    def note(self, line: str) -> bool:
        """Keep a log line for the end.

        Returns:
            True if it can be shown; False if it belongs to an error, which is shown when all have ended.
        """
        if line.strip():
            self._tail.append(line)
        if not self._error and not line.startswith(ERROR_MARK):
            return True
        self._error.append(line)
        return False

    def _sorted(self, pipe: IO[bytes], lines: list[str]) -> Iterator[str]:
        if self.plan.reports and pipe is self._process.stdout:
            self.report += lines
            return
        for line in lines:
            if self.note(line):
                yield line
            elif len(self._error) > LONGEST_ERROR_LINES:
                yield from self._release()

    def _close(self, pipe: IO[bytes]) -> Iterator[str]:
        yield from self._sorted(pipe, self._pipes.pop(pipe).end())
        pipe.close()

    def _release(self) -> list[str]:
        lines, self._error = self._error, []
        return lines


def _read_ready(pipe: IO[bytes]) -> bytes | None:
    """Return what can be read at once; empty at the end of the pipe; None if there is nothing yet."""
    try:
        return os.read(pipe.fileno(), 65_536)
    except BlockingIOError:
        return None
