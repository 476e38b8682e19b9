"""A tracker that a training never waits for."""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress

from esmm_dist.errors import EsmmError
from esmm_dist.progress import Progress
from esmm_dist.train.trackers.tracker import TrackedPoint, TrackedRun, TrackedStatus, Tracker

MOST_POINTS = 10_000
"""Points that wait for a service that is slow or down; later ones are lost, and counted."""

_BATCH = 100
_BEGIN_S, _RETRY_S, _CLOSE_S = 10.0, 5.0, 30.0


class BackgroundTracker:
    """Hands points to a tracker from a thread of its own.

    A service that is down or slow costs points, and nothing else: they wait in memory, and are tried again every few
    seconds. ``start`` waits up to ten seconds for the service, to say at once if it is not there.

    Shutdown: ``close`` waits up to 30 s for what is pending, and says how many points were lost. The thread is a
    daemon, so that a client that hangs does not hold up the end of the process.
    """

    def __init__(
        self,
        name: str,
        tracker: Tracker,
        run: TrackedRun,
        *,
        progress: Progress,
        keep_run_id: Callable[[str], None],
        pauses_s: tuple[float, float, float] = (_BEGIN_S, _RETRY_S, _CLOSE_S),
    ) -> None:
        """Start nothing yet.

        Args:
            name: name of the service, for messages
            tracker: client of the service
            run: name and settings of the run
            progress: receives messages, from the caller's thread
            keep_run_id: receives the id, from the thread
            pauses_s: how long ``start`` waits, how long until a failed call is made again, and how long ``close`` waits
        """
        self._name, self._tracker, self._run, self._progress = name, tracker, run, progress
        self._run_id, self._keep_run_id = run.run_id, keep_run_id
        self._begin_s, self._retry_s, self._close_s = pauses_s
        self._points: deque[TrackedPoint] = deque()
        self._changed = threading.Condition()
        self._has_tried = self._has_begun = self._closing = False
        self._lost = 0
        self._error = ""
        self._status: TrackedStatus | None = None
        self._thread = threading.Thread(target=self._work, name=f"log to {name}", daemon=True)

    def start(self) -> None:
        """Begin the run in the service; say so if that fails, or takes too long. Harmless when called twice."""
        if self._thread.ident is not None:
            return
        self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._has_tried, self._begin_s)
            if self._has_begun:
                return
            why = self._error or f"it has not answered for {self._begin_s:g} s."
        self._progress.message(
            f"Warning: {self._name} cannot be logged to now: {why} Training goes on, and tries again meanwhile."
        )

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Hand over values at a step; returns at once. Nothing before ``start`` or after ``close``."""
        if self._thread.ident is None or self._closing:
            return
        with self._changed:
            if len(self._points) >= MOST_POINTS:
                self._lost += 1
                return
            self._points.append(TrackedPoint(step=step, at=time.time(), values=dict(values)))
            self._changed.notify_all()

    def close(self, status: TrackedStatus | None) -> None:
        """End the run in the service, and say what was lost; harmless when called twice.

        Args:
            status: how the training has ended; None: another process goes on with it
        """
        if self._thread.ident is None or self._closing:
            return
        with self._changed:
            self._status, self._closing = status, True
            self._changed.notify_all()
        self._thread.join(self._close_s)
        with self._changed:
            lost, why = self._lost + len(self._points), self._error
        if lost or self._thread.is_alive():
            if not why:
                why = (
                    f"it has not answered for {self._close_s:g} s"
                    if self._thread.is_alive()
                    else "it was away for a while"
                )
            self._progress.message(
                f"Warning: {lost:,} point{'s' * (lost != 1)} of the log did not reach {self._name}: {why}"
            )

    def _work(self) -> None:
        """Begin, log and end; after a failure again later, and once more when all is to end."""
        while not self._tried(self._begin):
            if self._pause():
                return
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._points or self._closing)
                batch = [self._points[index] for index in range(min(_BATCH, len(self._points)))]
            if not batch:
                break
            if self._tried(lambda points=batch: self._tracker.log(points)):  # type: ignore[misc]
                with self._changed:
                    for _ in batch:
                        self._points.popleft()
            elif self._pause():
                break
        self._tried(lambda: self._tracker.end(self._status))

    def _begin(self) -> None:
        self._run_id = self._tracker.begin(self._run, self._run_id)
        with self._changed:
            self._has_begun = True
        with suppress(EsmmError):  # of a storage that refuses: the next process begins another run in the service
            self._keep_run_id(self._run_id)

    def _tried(self, act: Callable[[], None]) -> bool:
        """Return whether a call of the client went well; what went wrong is kept."""
        try:
            act()
        except Exception as e:  # whatever a client raises, training goes on
            lines = str(e).strip().splitlines()
            error = lines[0][:300] if lines else type(e).__name__
        else:
            error = ""
        with self._changed:
            self._error, self._has_tried = error, True
            self._changed.notify_all()
        return not error

    def _pause(self) -> bool:
        """Wait until the next try; return whether that was the last one."""
        with self._changed:
            was_closing = self._closing
            if not was_closing:
                self._changed.wait_for(lambda: self._closing, self._retry_s)
        return was_closing
