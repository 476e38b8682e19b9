"""The state of a job in the cluster's API: its driver publishes it there, and reads there what is asked of it.

::

    ConfigMap J         annotation esmm-dist/wish {"do": "stop", "id": ...}   read every 2 s
    ConfigMap J-status  status.json (RunStatus), events.jsonl                 written every 5 s when changed
    StatefulSets        J-worker, J-server                                    scaled to 0 when the run has ended
"""

import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any, Protocol

from esmm_dist.errors import ConfigError
from esmm_dist.process.retry import doubling, retry
from esmm_dist.progress import Progress
from launcher.cluster import names
from launcher.cluster.api import kinds
from launcher.cluster.api.client import Api
from launcher.cluster.api.errors import ClusterError
from launcher.cluster.in_pod.job_objects import JobObjects
from launcher.run_files.run_report import RunReport
from launcher.run_files.run_status import RunStatus, parse_status

REQUEST_S = 2.0
PUBLISH_S = 5.0
ALIVE_S = 10.0
"""A status in which nothing has changed is published so often all the same: an old one means a lost driver."""

MOST_EVENTS = 200
MOST_EVENT_BYTES = 400_000
"""A ConfigMap holds a megabyte in all."""

END_PATIENCE_S = 300.0
"""An API that cannot be reached for so long at the end of a run is given up: the Job starts the driver again."""


class Source(Protocol):
    """What the state of a run comes from: the driver."""

    def status(self) -> RunStatus:
        """Return the state of the run."""

    def event_lines(self, most: int) -> Sequence[str]:
        """Return the newest events, each a line of JSON."""

    def finish(self) -> None:
        """Have all workers save and end."""


class RunState:
    """Publishes and obeys, in a thread of its own from ``begin`` to ``close``. What the API refuses holds up nobody.

    Args:
        api: the cluster
        objects: what belongs to the job
        progress: receives how the run goes; one message when the API refuses, and one when it no longer does
        sleep: waits so many seconds
    """

    def __init__(
        self,
        api: Api,
        objects: JobObjects,
        progress: Progress,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._api, self._objects, self._progress, self._sleep = api, objects, progress, sleep
        self._source: Source | None = None
        self._report = RunReport(progress)
        self._last: tuple[RunStatus, Sequence[str]] | None = None
        self._published: tuple[dict[str, Any], str] = ({}, "")
        self._published_at = self._asked_at = float("-inf")
        self._troubles: set[str] = set()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="run-state", daemon=True)

    def find_end(self) -> RunStatus | None:
        """Return how the run has ended, if a driver before this one has published that.

        A run that was stopped counts only while the request to stop it is there.

        Raises:
            ClusterError: The API does not answer, or refuses.
        """
        data = self._api.get(kinds.CONFIG_MAP, names.status(self._objects.job)).get("data") or {}
        try:
            status = parse_status(data[names.STATUS_KEY].encode())
        except (KeyError, ConfigError):  # nobody has published anything yet
            return None
        if status.state == "stopped" and not self._stop_is_requested():
            return None
        return status if status.ended else None

    def begin(self, source: Source) -> None:
        """Begin to publish what a driver says, and to tell it what is asked of it."""
        self._source = source
        self._thread.start()

    def close(self) -> None:
        """Publish and obey no more, and keep the driver's last words; waits for the call under way."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._source is not None:
            self._last = self._source.status(), self._source.event_lines(MOST_EVENTS)
            self._report.report(self._last[0])

    def end(self, otherwise: RunStatus) -> RunStatus:
        """Publish how the run has ended, and give back its pods.

        Args:
            otherwise: status to publish if the driver has never given one

        Returns:
            What was published.

        Raises:
            ClusterError: The API does not answer for 5 minutes, or refuses.
        """
        status, events = self._last or (otherwise, [])
        # In this order: a driver that is ended in between must not find pods gone and no reason for it
        self._insist(lambda: self._publish(status, events))
        self.give_back()
        return status

    def give_back(self) -> None:
        """Scale the workers and servers to 0, which a driver before this one may have left undone.

        Raises:
            ClusterError: As ``end``.
        """
        for name in self._objects.stateful_sets:
            self._insist(partial(self._api.scale, kinds.STATEFUL_SET, name, 0))

    def update(self) -> None:
        """Publish and obey what is due."""
        assert self._source is not None
        now = time.monotonic()
        if now >= self._asked_at + REQUEST_S:
            self._asked_at = now
            self._try("stop requests can", "be read", self._obey)
        if now >= self._published_at + PUBLISH_S:
            status, events = self._source.status(), self._source.event_lines(MOST_EVENTS)
            if now >= self._published_at + ALIVE_S or _content(status, events) != self._published:
                self._try("the status can", "be published", lambda: self._publish(status, events))

    def _work(self) -> None:
        assert self._source is not None
        while not self._stopped.wait(0.5):
            self.update()
            self._report.report(self._source.status())

    def _obey(self) -> None:
        assert self._source is not None
        if self._stop_is_requested():
            self._source.finish()

    def _stop_is_requested(self) -> bool:
        config = self._api.get(kinds.CONFIG_MAP, names.config(self._objects.job))
        annotations = config.get("metadata", {}).get("annotations") or {}
        try:
            request = json.loads(annotations.get(names.REQUEST, "null"))
        except ValueError:
            return False
        return isinstance(request, dict) and request.get("do") == "stop"

    def _publish(self, status: RunStatus, events: Sequence[str]) -> None:
        lines = newest_within(events, most=MOST_EVENTS, most_bytes=MOST_EVENT_BYTES)
        data = {names.STATUS_KEY: status.to_json(), names.EVENTS_KEY: "".join(f"{line}\n" for line in lines)}
        self._published_at = time.monotonic()  # one that fails is tried again after as long
        self._api.patch(kinds.CONFIG_MAP, names.status(self._objects.job), {"data": data})
        self._published = _content(status, events)

    def _try(self, can: str, what: str, do: Callable[[], None]) -> None:
        """Do it; say once that it fails, and once that it works again.

        Args:
            can: subject and verb of what is said: ``the status can``
            what: the rest of it: ``be published``
            do: asks the API
        """
        try:
            do()
        except ClusterError as e:
            if can not in self._troubles:
                self._troubles.add(can)
                self._progress.message(f"Training goes on, but {can}not {what}: {e}")
            return
        if can in self._troubles:
            self._troubles.remove(can)
            self._progress.message(f"{can[0].upper()}{can[1:]} {what} again.")

    def _insist(self, do: Callable[[], object]) -> None:
        """Do it, again if it fails: what does not exist any more needs nothing."""

        def attempt() -> None:
            try:
                do()
            except ClusterError as e:
                if e.http_status != 404:
                    raise

        def raise_refusal(error: ClusterError, pause_s: float) -> None:
            if error.http_status in (401, 403):
                raise error

        pauses_s = doubling(0.5, longest_s=10.0)
        retry(attempt, ClusterError, pauses_s, within_s=END_PATIENCE_S, on_failure=raise_refusal, sleep=self._sleep)


def newest_within(lines: Sequence[str], *, most: int, most_bytes: int) -> list[str]:
    """Return the newest of the lines, in their order: ``most`` at most, and of ``most_bytes`` together."""
    kept: list[str] = []
    for line in reversed(lines[-most:]):
        most_bytes -= len(line.encode()) + 1
        if most_bytes < 0:
            break
        kept.append(line)
    return kept[::-1]


def _content(status: RunStatus, events: Sequence[str]) -> tuple[dict[str, Any], str]:
    """Return what counts as a change: everything but when it was written."""
    return asdict(status) | {"written_at": 0.0}, events[-1] if events else ""
