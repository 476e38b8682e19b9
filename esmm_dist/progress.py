"""How long work reports its progress, without knowing who listens.

The command line passes a reporter that draws a bar on a terminal or logs plain lines
(``launcher/terminal/progress.py``); a library user passes nothing.
"""

from typing import Protocol


class Progress(Protocol):
    """Receives the progress of long work. Methods are called from one thread and return at once."""

    def start(self, task: str, total: float | None, unit: str, done: float = 0.0) -> None:
        """Begin a task; ends the one before, if one runs.

        Args:
            task: name of the task
            total: amount of work in ``unit``; None if it is not known
            unit: unit of the work, such as ``steps``
            done: amount that was done before
        """

    def advance(self, amount: float, note: str = "") -> None:
        """Report ``amount`` more units done, and optionally a short state such as the loss."""

    def message(self, text: str) -> None:
        """Report one line that should stay visible."""

    def finish(self) -> None:
        """End the running task. Harmless if none runs."""


class NoProgress:
    """Ignores all progress."""

    def start(self, task: str, total: float | None, unit: str, done: float = 0.0) -> None:
        """Do nothing."""

    def advance(self, amount: float, note: str = "") -> None:
        """Do nothing."""

    def message(self, text: str) -> None:
        """Do nothing."""

    def finish(self) -> None:
        """Do nothing."""
