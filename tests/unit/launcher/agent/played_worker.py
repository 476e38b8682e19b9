"""A worker process that the test plays: it becomes ready, reports and ends when the test says so."""

import json
import signal
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from launcher.agent.worker_reports import WorkerReports


class PlayedWorker:
    """Stands in for ``WorkerProcess``. ``made`` holds all of them, in order."""

    made: ClassVar[list["PlayedWorker"]] = []

    def __init__(self, command: Sequence[str], inherited: Mapping[str, str], now: float) -> None:
        self.command, self.born = tuple(command), now
        self.reports = WorkerReports(now)
        self.reporting = True
        self.exit_code: int | None = None
        self.signals: list[int] = []
        self.environment: dict[str, str] | None = None
        self.made.append(self)
        self.pid = 100 + len(self.made)
        self._will_end: int | None = None
        self._unread: list[dict[str, Any]] = []

    def reports_line(self, **line: Any) -> None:
        """Put a line into the pipe."""
        self._unread.append(line)

    def ends(self, exit_code: int) -> None:
        """End by the next look."""
        self._will_end = exit_code

    def start(self, environment: Mapping[str, str]) -> None:
        self.environment = dict(environment)

    def read(self, now: float) -> None:
        for line in self._unread:
            self.reports.feed(json.dumps(line).encode() + b"\n", now)
        self._unread.clear()

    def send(self, number: signal.Signals) -> None:
        self.signals.append(number)

    def reap(self, now: float) -> bool:
        if self._will_end is None:
            return False
        self.read(now)
        self.exit_code = self._will_end
        return True

    def kill(self) -> None:
        self.signals.append(signal.SIGKILL)
