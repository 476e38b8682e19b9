"""How a training tells where it stands to whoever watches it, apart from what people read.

A process that is watched passes a link to its watcher (``launcher/agent/worker_link.py``); others pass nothing.
"""

from typing import Any, Protocol


class Reporter(Protocol):
    """A listener to facts and events of this process. Methods return at once, from any thread, and never raise."""

    def note(self, **facts: Any) -> None:
        """Tell facts that replace those of the same name: rank, step, phase. Cheap enough for every step."""

    def event(self, name: str, **facts: Any) -> None:
        """Tell that something happened. All are delivered, in order."""


class NoReporter:
    """Tells nobody."""

    def note(self, **facts: Any) -> None:
        """Do nothing."""

    def event(self, name: str, **facts: Any) -> None:
        """Do nothing."""


NO_REPORTER: Reporter = NoReporter()
"""The default where a reporter can be given."""
