"""The version that a process answers with, replaced as a whole when the next one is loaded."""

import threading

from esmm_dist.serving.scoring.snapshot import Snapshot


class LoadedVersions:
    """Holds one ``Snapshot`` at a time.

    Ownership: whoever took a snapshot keeps it alive. The files of the one before are unmapped when the last request
    that took it has been answered. Thread-safe.
    """

    def __init__(self) -> None:
        """Begin without a version."""
        self._lock = threading.Lock()
        self._current: Snapshot | None = None
        self._waits_for = "no version of the model has been loaded yet"

    def current(self) -> Snapshot | None:
        """Return the newest version that is loaded; None: there is none yet."""
        return self._current

    def why_not_ready(self) -> str:
        """Return why no request can be answered, in a sentence; empty: they can."""
        with self._lock:
            return "" if self._current is not None else self._waits_for

    def wait_for(self, reason: str) -> None:
        """Note what the first version waits for, in a sentence."""
        with self._lock:
            self._waits_for = reason

    def put(self, snapshot: Snapshot) -> None:
        """Put a version into service: requests that begin from now on are answered with it."""
        with self._lock:
            self._current = snapshot
