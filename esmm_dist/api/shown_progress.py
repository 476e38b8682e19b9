"""Progress of a Python call: none, or one line on stderr that is written again and again."""

import sys
import time
from typing import TextIO

from esmm_dist.progress import NoProgress, Progress
from esmm_dist.words import amount_text

_EVERY_S = 0.5


class OneLineProgress:
    """Shows the running task in one line, as terminals and notebooks do; messages stand in lines of their own."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """Show nothing yet.

        Args:
            stream: where lines are written; None: stderr as it is at each line, which notebooks replace
        """
        self._stream = stream
        self._task: str | None = None
        self._unit, self._done, self._shown_at, self._width = "", 0.0, 0.0, 0
        self._total: float | None = None

    def start(self, task: str, total: float | None, unit: str, done: float = 0.0) -> None:
        """Begin a task."""
        self.finish()
        self._task, self._total, self._unit, self._done = task, total, unit, done
        self._show("")

    def advance(self, amount: float, note: str = "") -> None:
        """Report amount more units done."""
        self._done += amount
        if self._task is not None and time.monotonic() - self._shown_at >= _EVERY_S:
            self._show(note)

    def message(self, text: str) -> None:
        """Report one line that should stay visible."""
        self._write(f"\r{text:<{self._width}}\n")
        self._width = 0

    def finish(self) -> None:
        """End the running task."""
        if self._task is not None:
            self._show("")
            self._write("\n")
        self._task, self._width = None, 0

    def _show(self, note: str) -> None:
        done = amount_text(self._done, self._unit)
        of = f"{done} of {amount_text(self._total, self._unit)}" if self._total is not None else done
        text = f"{self._task}: {of}{f', {note}' if note else ''}"
        self._write(f"\r{text:<{self._width}}")
        self._width, self._shown_at = len(text), time.monotonic()

    def _write(self, text: str) -> None:
        stream = self._stream or sys.stderr
        stream.write(text)
        stream.flush()


def shown_progress(progress: Progress | bool) -> Progress:
    """Return what receives the progress of a call: nobody (False), a line on stderr (True), or what is given."""
    if isinstance(progress, bool):
        return OneLineProgress() if progress else NoProgress()
    return progress
