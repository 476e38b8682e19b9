"""The agents of a run: where they are, and what each said last."""

import contextlib
import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from esmm_dist.errors import RetryError
from launcher.agent.client import AgentClient
from launcher.agent.status import AgentStatus

POLL_S = 0.25
MOST_AT_ONCE = 16


class AgentDirectory(Protocol):
    """Knows where agents are; those of a cluster are found in its API."""

    def addresses(self) -> Mapping[str, str]:
        """Return HOST:PORT by the worker's name."""

    def wanted(self) -> int:
        """Return the number of workers that are wanted."""

    def trouble(self) -> str:
        """Return why these answers may be old; empty if they are not."""


class FileDirectory:
    """The agents of ``esmm local``, in a file: ``{"wanted": 2, "agents": {"worker-0": "127.0.0.1:1234"}}``."""

    def __init__(self, path: Path) -> None:
        """Read the file each time that it is asked."""
        self._path = path
        self._last: dict[str, Any] = {"wanted": 1, "agents": {}}

    def addresses(self) -> Mapping[str, str]:
        """Return HOST:PORT by the worker's name."""
        return dict(self._read()["agents"])

    def wanted(self) -> int:
        """Return the number of workers that are wanted."""
        return int(self._read()["wanted"])

    def trouble(self) -> str:
        """Return nothing: a file can always be read."""
        return ""

    def _read(self) -> dict[str, Any]:
        with contextlib.suppress(FileNotFoundError):  # before it is written for the first time there is nobody
            self._last = json.loads(self._path.read_text(encoding="utf-8"))
        return self._last


@dataclass(kw_only=True)
class AgentView:
    """One agent, as it was seen last."""

    name: str
    client: AgentClient
    status: AgentStatus | None = None
    answered_at: float = 0.0
    """Monotonic seconds."""
    seen_event: int = 0
    address: str = ""

    def silent_s(self, now: float) -> float:
        """Seconds since its last answer."""
        return now - self.answered_at


@dataclass(kw_only=True)
class AgentWatch:
    """Asks all agents for their status, over and over, in a thread. Read ``views`` from any thread.

    Args:
        directory: Where they are.
        token: Their secret.
        on_event: Told each event of a worker: (name, instance of its agent, event). In a thread of the watch.
        tls: For agents over TLS; None: plain HTTP.
    """

    directory: AgentDirectory
    token: str | None
    on_event: Callable[[str, str, Mapping[str, Any]], None]
    tls: ssl.SSLContext | None = None
    views: dict[str, AgentView] = field(default_factory=dict)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to ask."""
        self._thread = threading.Thread(target=self._watch, name="agents", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ask no more; waits for the questions under way."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self) -> None:
        with ThreadPoolExecutor(max_workers=MOST_AT_ONCE, thread_name_prefix="agent") as pool:
            while not self._stopped.wait(POLL_S):
                self._find()
                successors = [view for view in pool.map(self._ask, list(self.views.values())) if view is not None]
                self.views = self.views | {view.name: view for view in successors}

    def _find(self) -> None:
        addresses = self.directory.addresses()
        views = {name: view for name, view in self.views.items() if addresses.get(name) == view.address}
        for name, address in addresses.items():
            if name not in views:
                client = AgentClient(address, self.token, tls=self.tls)
                views[name] = AgentView(name=name, client=client, answered_at=time.monotonic(), address=address)
        self.views = views

    def _ask(self, view: AgentView) -> AgentView | None:
        """Ask one agent; return its view anew if another process answers at its address than before."""
        try:
            status = view.client.status(after=view.seen_event)
        except RetryError:
            return None
        now = time.monotonic()
        if view.status is not None and status.instance != view.status.instance:
            # Its events are counted from 1 again: the next question asks for all of them
            status = replace(status, events=())
            return AgentView(name=view.name, client=view.client, status=status, answered_at=now, address=view.address)
        view.status, view.answered_at = status, now
        for event in status.events:
            view.seen_event = max(view.seen_event, int(event["number"]))
            self.on_event(view.name, status.instance, event)
        return None
