"""The pipe from a worker to its agent: JSON lines with its heartbeats, facts, events and last words.

::

    {"beat": 1}                                               every second, from a thread of its own
    {"ready": 1}                                              imports are done; a start is waited for
    {"facts": {"rank": 0, "step": 120}}                       only those that changed
    {"event": "saved", "time": 1764000000.5, "facts": {...}}  all of them, in order
    {"error": "data d is no folder.", "exit_status": 2}       last words
"""

import atexit
import functools
import json
import os
import stat
import threading
import time
from collections import deque
from typing import Any

from launcher.terminal.json_line import json_value

REPORT_FD = "ESMM_REPORT_FD"
"""Environment variable with the descriptor that the agent reads from. Unset: there is no agent."""

HEARTBEAT_EVERY_S = 1.0
"""Seconds between two heartbeats."""

NOTES_EVERY_S = 0.2
"""Seconds between two checks for facts that changed: a status is read about as often, and a step is much shorter."""

LAST_WORDS_S = 1.0
"""Seconds that the end of the process waits for an agent that does not read. It reads within milliseconds, or hangs."""

LONGEST_ERROR = 8_000
"""Characters of an error that are sent; the reader cuts lines at 65,536 bytes."""


class WorkerLink:
    """The worker's end of the pipe. It is a ``Reporter``; without a descriptor it sends nothing.

    One daemon thread writes, and may wait for a reader that is slow: callers never do. Meanwhile facts replace each
    other and events queue up. When the reader is gone, all is dropped. Callers may be any threads. The end of the
    process (``close``) waits until all is written, at most ``LAST_WORDS_S``.
    """

    def __init__(self, descriptor: int | None) -> None:
        """Begin to send heartbeats.

        Args:
            descriptor: write end of the pipe, owned by this object from now on; None: there is no agent
        """
        self._descriptor = descriptor
        self._changed = threading.Condition()
        self._facts: dict[str, Any] = {}
        self._lines: deque[dict[str, Any]] = deque()
        self._writing = False
        self._closing = False
        self._thread = threading.Thread(target=self._write_all, name="worker-link", daemon=True)
        if descriptor is not None:
            self._thread.start()

    def note(self, **facts: Any) -> None:
        """Report facts that replace those of the same name."""
        if self._descriptor is not None:
            with self._changed:  # and no wake-up: the thread checks soon enough
                self._facts.update(facts)

    def event(self, name: str, **facts: Any) -> None:
        """Report that something happened, after the facts noted before it."""
        self._queue({"event": name, "time": time.time(), "facts": facts})

    def ready(self) -> None:
        """Report that this process waits for its start."""
        self._queue({"ready": 1})

    def error(self, text: str, exit_status: int) -> None:
        """Report why the process is about to end; blocks until that is written, at most ``LAST_WORDS_S``."""
        self._queue({"error": text[:LONGEST_ERROR], "exit_status": exit_status})
        with self._changed:
            self._changed.wait_for(lambda: self._descriptor is None or self._all_written(), LAST_WORDS_S)

    def close(self) -> None:
        """Write what is left, and stop. Harmless when called twice."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(LAST_WORDS_S)

    def _queue(self, line: dict[str, Any]) -> None:
        with self._changed:
            if self._descriptor is not None:
                self._take_facts()
                self._lines.append(line)
                self._changed.notify_all()

    def _take_facts(self) -> None:
        if self._facts:
            self._lines.append({"facts": self._facts})
            self._facts = {}

    def _all_written(self) -> bool:
        return not (self._lines or self._writing)

    def _write_all(self) -> None:
        assert self._descriptor is not None
        next_heartbeat = 0.0
        try:
            while True:
                with self._changed:
                    self._writing = False
                    self._changed.notify_all()
                    self._changed.wait_for(lambda: self._lines or self._closing, NOTES_EVERY_S)
                    self._take_facts()
                    lines = list(self._lines)
                    self._lines.clear()
                    self._writing, closing = True, self._closing
                if time.monotonic() >= next_heartbeat:
                    next_heartbeat = time.monotonic() + HEARTBEAT_EVERY_S
                    lines.append({"beat": 1})
                for line in lines:
                    _write_line(self._descriptor, line)
                if closing:
                    break
        except OSError:  # the agent is gone, and this process soon too: the kernel kills it
            pass
        with self._changed:
            os.close(self._descriptor)
            self._descriptor = None
            self._facts.clear()
            self._lines.clear()
            self._changed.notify_all()


@functools.cache
def worker_link() -> WorkerLink:
    """Return this process's link to its agent; one that sends nothing if the environment names none.

    The variable is removed: processes that this one starts do not get the pipe.
    """
    text = os.environ.pop(REPORT_FD, "")
    if not text.isdigit() or not _is_pipe(int(text)):
        return WorkerLink(None)
    os.set_inheritable(int(text), False)
    link = WorkerLink(int(text))
    atexit.register(link.close)
    return link


def _is_pipe(descriptor: int) -> bool:
    try:
        return stat.S_ISFIFO(os.fstat(descriptor).st_mode)
    except OSError:
        return False


def _write_line(descriptor: int, line: dict[str, Any]) -> None:
    try:
        text = json.dumps(json_value(line), allow_nan=False, default=str)
    except (TypeError, ValueError):  # an array, say: a fact that is odd must not silence all others
        text = json.dumps(line, default=str)
    data = text.encode() + b"\n"
    while data:
        data = data[os.write(descriptor, data) :]
