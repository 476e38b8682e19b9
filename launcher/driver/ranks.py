"""Who the ranks are: Horovod's ElasticDriver, which learns from the agents, and the workers that it wants started.

Each life of a worker is a host of its own to the ElasticDriver (``worker-0.3`` is its fourth life): Horovod bars a host
on which a process failed, and nothing is wrong with a host where a process was killed.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from esmm_dist.errors import RetryError
from esmm_dist.ranks.rendezvous.signing import PLACE
from launcher.driver.agent_watch import AgentView, AgentWatch
from launcher.driver.announcements import Announcements
from launcher.driver.config import DriverConfig
from launcher.driver.rendezvous_server import RendezvousServer
from launcher.driver.worker_watch import KILLED, Kill, WorkerEnd, WorkerWatch

TRIES_TO_JOIN = 3
"""Starts in a row of a worker that ends before it is connected to the others."""

POLL_S = 0.1

GLOO_TIMEOUT_S = 30
"""Seconds within which a rendezvous must end, and after which a rank that is lost without a trace is noticed."""

WAIT_S = 600.0
"""Seconds that ranks wait for others when there are fewer than the least number."""


class WorkerEvents(Protocol):
    """Receives what happens to workers, in threads of ``Ranks``."""

    def worker_started(self, name: str, facts: Mapping[str, Any]) -> None:
        """Note a start: rank and size."""

    def worker_reported(self, facts: Mapping[str, Any]) -> None:
        """Note what a worker had reported by its end: rank, step, ..."""

    def worker_ended(self, event: str, name: str, facts: Mapping[str, Any]) -> None:
        """Note an end other than that of the training: exit code and reason."""


class Ranks:
    """One life of the ranks: from the first rendezvous until all have ended, or no other rendezvous is possible.

    Ownership: Horovod starts threads that call in; what they share is guarded by ``_lock``. ``stop`` may be called from
    any thread.
    """

    def __init__(self, agents: AgentWatch, config: DriverConfig, token: str, listener: WorkerEvents) -> None:
        """Prepare to start ranks.

        Args:
            agents: knows the agents
            config: the driver's settings: its address, the number of ranks, when a worker has stalled
            token: the job's secret, which workers show at the rendezvous
            listener: receives starts and ends of workers
        """
        logging.getLogger().setLevel(logging.CRITICAL)  # Horovod logs each of its steps to the root logger
        self._agents, self._config, self._listener = agents, config, listener
        self._lock = threading.Lock()
        self._life: dict[str, int] = {}
        self._held: dict[str, str] = {}  # names of started workers: their hosts
        self._joined: dict[str, threading.Event] = {}
        self._connected: set[str] = set()  # hosts whose worker was connected to all others once
        self.fatal: str | None = None
        """Why it is of no use to start any worker again."""
        self.exits: dict[str, int] = {}
        """Exit statuses by host, of workers that have ended."""
        self._closed = False
        self._losses = 0  # of ranks that were connected
        self._broken_at = 0.0  # when the last of them was lost while others were joining; monotonic seconds
        self._announcements: dict[tuple[str, int], Announcements] = {}
        self._server = RendezvousServer(token, config.host)
        self._driver = _elastic_driver(self._announcements)(
            self._server, self, config.min_workers, config.max_workers, timeout=WAIT_S, cooldown_range=None, verbose=0
        )

    def start(self, num_ranks: int) -> None:
        """Start the first ranks; blocks until as many agents are ready."""
        from horovod.runner.gloo_run import create_run_env_vars

        place = self._server.start(self)
        run_env = create_run_env_vars(place.host, [self._config.interface], place.port, elastic=True)
        # Workers find the rendezvous by PLACE, and gloo a relay in its own process
        own = ("HOROVOD_GLOO_RENDEZVOUS_ADDR", "HOROVOD_GLOO_RENDEZVOUS_PORT")
        self._run_env = {n: str(v) for n, v in run_env.items() if n.startswith("HOROVOD_") and n not in own}
        self._run_env["HOROVOD_GLOO_TIMEOUT_SECONDS"] = str(GLOO_TIMEOUT_S)
        self._run_env[PLACE] = str(place)
        self._driver.wait_for_available_slots(num_ranks)
        self._driver.start(num_ranks, self._run_worker)

    def place_of(self, host: str, slot: int) -> str:
        """Return rank and size of a worker that stays; blocks until all that are left have asked."""
        self._driver.record_ready(host, slot)
        return str(self._driver.get_slot_info(host, slot).to_response_string())

    def joined(self, host: str, slot: int) -> bool:
        """Note that a worker is connected to all others; return whether the worker is known."""
        with self._lock:
            if host not in self._joined:
                return False
            self._announcements.setdefault((host, slot), Announcements())
            self._joined[host].set()
            return True

    def changes(self, host: str, slot: int, after: int, timeout_s: float) -> int | None:
        """Return the number of announcements to a worker; blocks until there are more. None: it has not joined."""
        announcements = self._announcements.get((host, slot))
        return None if announcements is None else announcements.wait(after, timeout_s)

    @property
    def finished(self) -> bool:
        """Whether all have ended, or no other rendezvous is possible."""
        return bool(self._driver.finished())

    @property
    def running(self) -> list[str]:
        """Names of the workers that run."""
        with self._lock:
            return list(self._held)

    @property
    def all_done(self) -> bool:
        """Whether each of the last ranks has done its work."""
        with self._lock:
            hosts = list(self._driver.host_assignments)
            return bool(hosts) and all(self.exits.get(host) == 0 for host in hosts)

    @property
    def hopeless(self) -> bool:
        """Whether all that had joined are gone: those that are joining wait for nobody."""
        with self._lock:
            joined = [host for host, event in self._joined.items() if event.is_set()]
            return bool(joined) and not set(joined) & set(self._held.values())

    def close(self) -> None:
        """Take no new worker from now on."""
        self._closed = True

    def stop(self) -> None:
        """End what still runs."""
        if not self._driver.finished():
            self._driver.stop()

    def find_available_hosts_and_slots(self) -> dict[str, int]:
        """Return the hosts that Horovod may use, each with one slot; it asks every second."""
        with self._lock:
            hosts = dict.fromkeys((host for name, host in self._held.items() if not self._draining(name)), 1)
            for name, view in () if self._closed else self._agents.views.items():
                if name not in self._held and view.is_ready(time.monotonic()):
                    hosts[f"{name}.{self._life.get(name, 0)}"] = 1
            return hosts

    def _draining(self, name: str) -> bool:
        view = self._agents.views.get(name)
        return view is None or (view.status is not None and view.status.draining)

    def _run_worker(self, slot: Any, events: Sequence[threading.Event]) -> tuple[int, float]:
        """Start a worker and return when it has ended: (exit status, time). Horovod calls it in a thread."""
        host = str(slot.hostname)
        name = host.rpartition(".")[0]
        with self._lock:
            self._held[name] = host
            self._joined[host] = threading.Event()
        code = 1
        try:
            losses = self._losses
            for _ in range(TRIES_TO_JOIN):
                code = self._run_once(name, slot, events, losses)
                # The others wait for it, and would all be aborted if it did not come: no new one is assigned meanwhile
                is_over = self._joined[host].is_set() or self._is_over(host, events, losses)
                if is_over or code == 0 or self.fatal:
                    break
            return code, time.time()
        finally:
            with self._lock:
                self._note_end(name, host, code)

    def _note_end(self, name: str, host: str, code: int) -> None:
        if self._joined[host].is_set() and code != 0:
            self._losses += 1
            if any(other not in self._connected for other in self._held.values() if other != host):
                self._broken_at = time.monotonic()
        self._life[name] = self._life.get(name, 0) + 1
        self._held.pop(name, None)
        self.exits[host] = code

    def _is_over(self, host: str, events: Sequence[threading.Event], losses: int) -> bool:
        """Return whether a worker has nothing left to do: the ranks end, or one that it waits for was lost."""
        lost = self._losses > losses and not self._joined[host].is_set()
        return lost or any(event.is_set() for event in events)

    def _run_once(self, name: str, slot: Any, events: Sequence[threading.Event], losses: int) -> int:
        """Start a worker and wait for its end; return its exit status."""
        from horovod.runner.gloo_run import create_slot_env_vars

        host, view = str(slot.hostname), self._agents.views.get(name)
        if view is None:
            return KILLED
        try:
            run_id = view.client.start({**self._run_env, **create_slot_env_vars(slot)})
        except RetryError as e:
            self._listener.worker_ended("agent_lost", name, {"reason": str(e)})
            return KILLED
        self._listener.worker_started(name, {"rank": slot.rank, "size": slot.size})
        watch = WorkerWatch(run_id, self._config.stall_seconds)
        while not isinstance(end := self._watch_once(watch, view, host, events, losses), WorkerEnd):
            if end is not None:
                _kill(view, run_id, end.reason)
        if view.status is not None and view.status.id == run_id:
            self._listener.worker_reported(view.status.facts)
        successor = self._agents.views.get(name)
        if end.event == "agent_lost" and successor is not None and successor is not view:
            _kill(successor, run_id, end.reason)  # the start may have reached this one already
        if end.gives_up:
            self.fatal = self.fatal or end.reason
        if end.event:
            facts = {"exit_code": end.exit_code, "reason": end.reason, "joined": self._joined[host].is_set()}
            self._listener.worker_ended(end.event, name, facts)
        return end.exit_code

    def _watch_once(
        self, watch: WorkerWatch, view: AgentView, host: str, events: Sequence[threading.Event], losses: int
    ) -> WorkerEnd | Kill | None:
        time.sleep(POLL_S)
        decision = watch.judge(
            view,
            self._agents.views.get(view.name),
            time.monotonic(),
            is_over=self._is_over(host, events, losses),
            broken_at=self._broken_at,
        )
        if watch.was_connected:
            self._connected.add(host)
        return decision


def _kill(view: AgentView, run_id: int, reason: str) -> None:
    with contextlib.suppress(RetryError):
        view.client.stop(run_id, how="kill", reason=reason)


def _elastic_driver(announcements: Mapping[tuple[str, int], Announcements]) -> Any:
    """Return Horovod's driver, which announces changes where workers ask for them: none of them need listen."""
    from horovod.runner.elastic.driver import ElasticDriver

    class AnnouncingDriver(ElasticDriver):  # type: ignore[misc]
        def get_worker_client(self, slot_info: Any) -> Announcements | None:
            return announcements.get((slot_info.hostname, slot_info.local_rank))

    return AnnouncingDriver


@contextlib.contextmanager
def stopped_at_end(ranks: Ranks) -> Iterator[Ranks]:
    """Stop ranks when the block ends."""
    try:
        yield ranks
    finally:
        ranks.stop()
