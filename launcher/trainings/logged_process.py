"""One ``esmm`` process: its log kept in a file, its progress followed, its report taken."""

import json
import math
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from esmm_dist.process.progress_events import replay, split_event
from launcher.processes.child import Child
from launcher.processes.ending import Ending
from launcher.processes.process_plan import ProcessPlan
from launcher.terminal.progress import PROGRESS_FORM
from launcher.trainings.work_share import WorkShare


class LoggedProcess:
    """Runs one ``esmm`` command with ``--json``, and appends what it logs to a file.

    ``poll`` returns at once; call it when a pipe can be read or a child ended, or now and then. Make it in the main
    thread: the kernel kills its process when the thread that started it ends.

    Args:
        name: what it is called in errors
        command: the words that run it
        log: file for its log lines and messages
        inherited: environment that it starts from
        unit: unit of the work whose share is followed
    """

    def __init__(
        self, name: str, command: Sequence[str], log: Path, inherited: Mapping[str, str], *, unit: str = "steps"
    ) -> None:
        self.work = WorkShare(unit)
        self.begun_cpu_s = math.nan
        """Processor time up to the first work that it reported; nan if it reported none before its end."""
        self.begun_share = math.nan
        """Share of the work that was done then."""
        self._log: IO[str] = log.open("a", encoding="utf-8", errors="backslashreplace")
        environment = {"PYTHONUNBUFFERED": "1", PROGRESS_FORM: "json"}
        plan = ProcessPlan(name=name, command=tuple(command), environment=environment, reports=True)
        self._child = Child(plan, inherited, is_server=False)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._child.pid

    @property
    def pipes(self) -> list[IO[bytes]]:
        """The pipes to wait for."""
        return self._child.pipes

    @property
    def cpu_s(self) -> float:
        """Processor time that it took, in seconds, start-up included; 0 until it has ended."""
        return self._child.cpu_s

    def poll(self) -> bool:
        """Keep what it has written; return whether it has ended."""
        self._keep(self._child.read())
        if math.isnan(self.begun_cpu_s) and self.work.share > 0:
            self.begun_cpu_s, self.begun_share = _cpu_s(self.pid), self.work.share
        if not self._child.reap():
            return False
        self._keep(self._child.close())
        return True

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._child.send(number)

    def kill(self) -> None:
        """Kill it and wait for its end. Harmless if it has ended."""
        self._child.kill()
        self._log.close()

    def ending(self) -> Ending:
        """Return how it ended."""
        return self._child.ending()

    def result(self) -> Mapping[str, Any]:
        """Return what it reported, of one that ended well."""
        found: Mapping[str, Any] = json.loads(self._child.report[-1])
        return found

    def note(self, line: str) -> None:
        """Append a line to its log."""
        self._log.write(f"{line}\n")
        self._log.flush()

    def close(self) -> None:
        """Close its log."""
        self._log.close()

    def _keep(self, lines: Iterator[str]) -> None:
        """Keep log lines in the file, and take progress out of them."""
        for line in lines:
            text, event = split_event(line)
            if event and not replay(event, self.work):
                text += event
            for each in (text, *self.work.take_messages()):
                if each:
                    self._log.write(f"{each}\n")
        self._log.flush()


def _cpu_s(pid: int) -> float:
    """Return the processor time of a child that has not been waited for, in seconds, as ``proc(5)`` has it."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
