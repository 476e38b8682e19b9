"""Looks for new versions in a thread of its own, so that a slow store keeps no signal and no worker waiting."""

import os
import queue
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from esmm_dist.errors import EsmmError, ServedModelError
from esmm_dist.progress import NoProgress
from esmm_dist.serving.versions.offered_version import OfferedVersion
from esmm_dist.serving.versions.version_watch import NothingToServeError, VersionWatch
from esmm_dist.words import amount_text

_LONGEST_PAUSE_S = 60.0
"""Between two tries of what a disk or a store refuses."""

_LONGEST_END_S = 5.0
"""For a look under way when the server ends. A disk or a store that hangs keeps nobody waiting: the thread is left."""


@dataclass(frozen=True, kw_only=True)
class VersionEvent:
    """What the thread has to say."""

    offered: OfferedVersion | None = None
    """A version to load; the thread waits for ``settle`` before it looks again."""
    text: str = ""
    """A line to show; empty: none."""
    reason: str = ""
    """Why there is no version yet; empty: as before."""
    is_refusal: bool = False
    """Whether the text says that a version is refused, for the count."""


class VersionThread:
    """Asks a ``VersionWatch`` every few seconds. Use it as a context manager, in the main thread.

    Ownership: the watch is the thread's. What is to be done with a version goes over a queue, and the descriptor of
    this object becomes readable with it. Shutdown: leaving the block ends a copy under way within a second.
    """

    def __init__(self, watch: VersionWatch, poll_s: float) -> None:
        """Begin with nothing.

        Args:
            watch: finds versions
            poll_s: seconds between two looks
        """
        self._watch, self._poll_s = watch, poll_s
        self._events: queue.SimpleQueue[VersionEvent] = queue.SimpleQueue()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._commands: queue.SimpleQueue[tuple[str, OfferedVersion | None]] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._said = ""
        self._skipped: dict[str, str] = {}
        self._pause_s = poll_s
        self._thread = threading.Thread(target=self._run, name="versions", daemon=True)

    def fileno(self) -> int:
        """Return a descriptor that is readable when there are events."""
        return self._wake

    def take(self) -> list[VersionEvent]:
        """Return the events since the last call."""
        try:
            os.eventfd_read(self._wake)
        except BlockingIOError:
            return []
        found = []
        while not self._events.empty():
            found.append(self._events.get())
        return found

    def settle(self, offered: OfferedVersion, *, taken: bool) -> None:
        """Say what became of a version that was offered; the thread looks for the next one from now on."""
        self._commands.put(("taken" if taken else "refused", offered))

    def forget(self) -> None:
        """Have the version to serve offered again: it cannot be loaded from where it was."""
        self._commands.put(("forget", None))

    def __enter__(self) -> "VersionThread":
        """Begin to look."""
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Stop."""
        self._stopped.set()
        self._commands.put(("stop", None))
        self._thread.join(_LONGEST_END_S)
        os.close(self._wake)

    def _run(self) -> None:
        pending = False
        while not self._stopped.is_set():
            if not pending:
                try:
                    pending = self._look()
                except _StoppedError:
                    return
            pending = self._obey(None if pending else self._pause_s, pending)

    def _look(self) -> bool:
        """Look once; return whether a version is on offer now."""
        offered = None
        self._pause_s, pause_s = self._poll_s, self._pause_s
        try:
            offered = self._watch.look(_FetchProgress(self._stopped, self._show))
        except NothingToServeError as e:
            have_own_lines = any(why in str(e) for why in self._watch.skipped.values())
            self._say_why(str(e), shown=not have_own_lines)
        except ServedModelError as e:
            self._say_why(str(e), is_refusal=True)
        except EsmmError as e:  # a store that does not answer, a disk that is full
            self._say_why(f"{e} It is tried again.")
            self._pause_s = min(2 * pause_s, max(self._poll_s, _LONGEST_PAUSE_S))
        except _StoppedError:
            raise
        except Exception as e:
            text = f"Looking for versions failed: {type(e).__name__}: {e}. It is tried again."
            if text != self._said:
                traceback.print_exc()
            self._say_why(text)
        skipped = dict(self._watch.skipped)
        for name, why in skipped.items():
            if self._skipped.get(name) != why:
                self._put(VersionEvent(text=f"Version {name} is passed over: {why}", is_refusal=True))
        self._skipped = skipped
        if offered is not None:
            self._said = ""
            self._put(VersionEvent(offered=offered))
        return offered is not None

    def _obey(self, wait_s: float | None, pending: bool) -> bool:
        """Wait for a command or for some time; return whether a version is still on offer."""
        try:
            command, offered = self._commands.get(timeout=wait_s)
        except queue.Empty:
            return pending
        if command in ("taken", "refused"):
            assert offered is not None
            self._watch.settle(offered, taken=command == "taken")
            return False
        if command == "forget":
            self._watch.forget()
        return pending

    def _say_why(self, text: str, *, is_refusal: bool = False, shown: bool = True) -> None:
        """Say why there is no new version, once as long as it stays the same."""
        if text != self._said:
            self._said = text
            self._put(VersionEvent(text=text if shown else "", reason=text, is_refusal=is_refusal))

    def _show(self, text: str) -> None:
        self._put(VersionEvent(text=text))

    def _put(self, event: VersionEvent) -> None:
        self._events.put(event)
        os.eventfd_write(self._wake, 1)


class _StoppedError(Exception):
    """The server ends."""


class _FetchProgress(NoProgress):
    """Shows that a copy begins, and ends it when an event is set."""

    def __init__(self, stopped: threading.Event, show: Callable[[str], None]) -> None:
        self._stopped, self._show = stopped, show

    def start(self, task: str, total: float | None, unit: str, done: float = 0.0) -> None:
        """Show what is copied."""
        self._show(f"{task}: {amount_text(total or 0, unit)}")

    def advance(self, amount: float, note: str = "") -> None:
        """Raise if the event is set."""
        if self._stopped.is_set():
            raise _StoppedError("the server ends")
