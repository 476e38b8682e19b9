"""How a training reports its state to the process that watches it, apart from what people read.

A process that is watched passes a link to its watcher (``launcher/agent/worker_link.py``); others pass nothing.
"""

from enum import StrEnum
from typing import Any, Protocol


class Phase(StrEnum):
    """What a rank does, as its training reports it. A run's status shows the values, which stay as they are."""

    RENDEZVOUS = "meeting"
    TRAINING = "training"
    EVALUATING = "evaluating"
    SAVING = "saving"
    LEFT = "left"
    """The rank has left; its process is about to end."""


CONNECTED_PHASES = (Phase.TRAINING, Phase.EVALUATING, Phase.SAVING)
"""What a rank does once it has joined the others."""


class Reporter(Protocol):
    """Receives facts and events of this process. Methods return at once, from any thread, and never raise."""

    def note(self, **facts: Any) -> None:
        """Report facts that replace those of the same name: rank, step, phase. Cheap enough for every step."""

    def event(self, name: str, **facts: Any) -> None:
        """Report that something happened. All events are delivered, in order."""


class NoReporter:
    """Reports to nobody."""

    def note(self, **facts: Any) -> None:
        """Do nothing."""

    def event(self, name: str, **facts: Any) -> None:
        """Do nothing."""


NO_REPORTER: Reporter = NoReporter()
"""The default where a reporter can be given."""
