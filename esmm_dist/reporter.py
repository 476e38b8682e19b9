"""How a process of a run tells whoever watches over it what it does, without knowing who that is."""

from typing import Any, Protocol


class Reporter(Protocol):
    """Told facts and events; both return at once, and never fail."""

    def note(self, **facts: Any) -> None:
        """Say how things are: the newest value of each name counts. Cheap enough for every step."""

    def event(self, name: str, **facts: Any) -> None:
        """Say that something happened; every event is kept, in order."""


class NoReporter:
    """Tells nobody."""

    def note(self, **facts: Any) -> None:
        """Do nothing."""

    def event(self, name: str, **facts: Any) -> None:
        """Do nothing."""
