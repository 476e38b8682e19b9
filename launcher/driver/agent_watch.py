"""The agents of a run, each as it answered last."""

import ssl
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from esmm_dist.errors import RetryError
from launcher.agent.client import AgentClient
from launcher.agent.status import AgentStatus
from launcher.driver.agent_directory import AgentDirectory

POLL_S = 0.25
MOST_AT_ONCE = 16

SILENT_S = 10.0
"""An agent that does not answer for so long is lost, and its worker with it."""


@dataclass(kw_only=True)
class AgentView:
    """One agent's process, as it answered last. Another process at its address gets a view of its own."""

    name: str
    client: AgentClient
    address: str = ""
    status: AgentStatus | None = None
    answered_at: float = 0.0
    """Monotonic seconds."""
    last_event: int = 0
    """Number of the newest event that was read."""

    def silent_s(self, now: float) -> float:
        """Return the seconds since its last answer."""
        return now - self.answered_at

    def is_ready(self, now: float) -> bool:
        """Return whether a worker waits there for a start."""
        return self.status is not None and self.status.state == "ready" and self.silent_s(now) < SILENT_S

    @property
    def running(self) -> AgentStatus | None:
        """Return the status if a worker runs there, else None."""
        return self.status if self.status is not None and self.status.running else None


@dataclass(kw_only=True)
class AgentWatch:
    """Asks all agents for their status, over and over, in a thread. ``views`` may be read from any thread.

    Args:
        directory: knows where the agents are
        token: the job's secret
        on_event: receives each event of a worker, in a thread of the watch: (name, instance of its agent, event)
        tls: for agents over TLS; None: plain HTTP
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
        """Ask no more; waits for the calls under way."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def update_addresses(self) -> None:
        """Add views of agents that have come or moved, and drop those of agents that are gone."""
        addresses = self.directory.addresses()
        views = {name: view for name, view in self.views.items() if addresses.get(name) == view.address}
        for name, address in addresses.items():
            if name not in views:
                client = AgentClient(address, self.token, tls=self.tls)
                views[name] = AgentView(name=name, client=client, answered_at=time.monotonic(), address=address)
        self.views = views

    def ask(self, view: AgentView) -> AgentView | None:
        """Ask one agent; return a new view if another process answers at its address than before."""
        try:
            status = view.client.status(after=view.last_event)
        except RetryError:
            return None
        now = time.monotonic()
        if view.status is not None and status.instance != view.status.instance:
            # Its events are counted from 1 again: the next call asks for all of them
            status = replace(status, events=())
            return AgentView(name=view.name, client=view.client, status=status, answered_at=now, address=view.address)
        view.status, view.answered_at = status, now
        for event in status.events:
            view.last_event = max(view.last_event, int(event["number"]))
            self.on_event(view.name, status.instance, event)
        return None

    def _watch(self) -> None:
        with ThreadPoolExecutor(max_workers=MOST_AT_ONCE, thread_name_prefix="agent") as pool:
            while not self._stopped.wait(POLL_S):
                self.update_addresses()
                successors = [view for view in pool.map(self.ask, list(self.views.values())) if view is not None]
                self.views = self.views | {view.name: view for view in successors}
