"""Who the ranks are: Horovod's ElasticDriver, fed with what the agents say, and the workers that it wants started.

Each life of a worker is a host of its own to the ElasticDriver (``worker-0.3`` is its fourth life): Horovod bars a host
on which a process failed, and there is nothing wrong with one where a process was killed.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from esmm_dist.errors import LeftError, RetryError
from esmm_dist.ranks.rendezvous.signing import PLACE
from launcher.driver.agents import AgentView, AgentWatch
from launcher.driver.announcements import Announcements
from launcher.driver.rendezvous import RendezvousServer

SILENT_S = 10.0
"""An agent that does not answer for so long is lost, and its worker with it."""

TRIES_TO_JOIN = 3
"""Starts in a row of a worker that ends before it has met the others."""

POLL_S = 0.1

MET_PHASES = ("training", "evaluating", "saving")
"""What a worker does that has met the others."""

MEET_AGAIN_S = 6.0
"""A rank was lost while others joined: those that do not meet anew within this time wait for it, within Horovod, and
would be aborted after gloo's timeout."""

GLOO_TIMEOUT_S = 30
"""Seconds within which the ranks must meet, and after which one that is lost without a trace is noticed."""

WAIT_S = 600.0
"""Seconds that ranks wait for others when there are fewer than the least number."""


class Ranks:
    """One life of the ranks: from the first meeting until all have ended, or can meet no more.

    Ownership: Horovod starts threads that call in; what they share is guarded by ``_lock``. ``stop`` may be called from
    any thread.
    """

    def __init__(
        self,
        watch: AgentWatch,
        *,
        token: str,
        host: str,
        interface: str,
        min_workers: int,
        max_workers: int,
        stall_seconds: float,
        on_end: Callable[[str, str, Mapping[str, Any]], None],
        on_start: Callable[[str, Mapping[str, Any]], None],
    ) -> None:
        """Prepare to start ranks.

        Args:
            watch: Knows the agents.
            token: The job's secret, which workers show at the rendezvous.
            host: This machine's address, as workers reach it.
            interface: Network interface of the workers.
            min_workers: The least number of ranks.
            max_workers: The most.
            stall_seconds: See ``DriverConfig``.
            on_end: Told of workers that end other than well: (event, name, facts).
            on_start: Told of each start: (name, facts).
        """
        logging.getLogger().setLevel(logging.CRITICAL)  # Horovod tells each step of its own to the root logger
        self._watch, self._on_end, self._stall_seconds = watch, on_end, stall_seconds
        self._on_start, self._interface = on_start, interface
        self._lock = threading.Lock()
        self._life: dict[str, int] = {}
        self._held: dict[str, str] = {}  # names of started workers: their hosts
        self._joined: dict[str, threading.Event] = {}
        self._trained: set[str] = set()  # hosts whose worker has met all others once
        self.fatal: str | None = None
        """Why it is of no use to start any worker again."""
        self.exits: dict[str, int] = {}
        """Exit statuses by host, of workers that have ended."""
        self._closed = False
        self._losses = 0  # of ranks that had met the others
        self._void_at = 0.0  # when the last of them was lost while others joined; monotonic seconds
        self._announcements: dict[tuple[str, int], Announcements] = {}
        self._server = RendezvousServer(token, host)
        self._driver = _elastic_driver(self._announcements)(
            self._server, self, min_workers, max_workers, timeout=WAIT_S, cooldown_range=None, verbose=0
        )

    def start(self, num_ranks: int) -> None:
        """Start the first ranks; blocks until as many agents are ready."""
        from horovod.runner.gloo_run import create_run_env_vars

        place = self._server.start(self)
        run_env = create_run_env_vars(place.host, [self._interface], place.port, elastic=True)
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
        """Note that a worker has met all others; return whether it is known."""
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
        """Whether all have ended, or can meet no more."""
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
        """Whether all that had met are gone: whoever was about to join them waits for nobody."""
        with self._lock:
            met = [host for host, joined in self._joined.items() if joined.is_set()]
            return bool(met) and not set(met) & set(self._held.values())

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
            for name, view in () if self._closed else self._watch.views.items():
                if name not in self._held and _is_ready(view):
                    hosts[f"{name}.{self._life.get(name, 0)}"] = 1
            return hosts

    def _draining(self, name: str) -> bool:
        view = self._watch.views.get(name)
        return view is None or (view.status is not None and view.status.draining)

    def _run_worker(self, slot: Any, events: Sequence[threading.Event]) -> tuple[int, float]:
        """Start a worker and return when it has ended: (exit status, time). Horovod calls it in a thread."""
        host = str(slot.hostname)
        name = host.rpartition(".")[0]
        with self._lock:
            self._held[name] = host
            self._joined[host] = threading.Event()
        try:
            code = 1
            losses = self._losses
            for _ in range(TRIES_TO_JOIN):
                code = self._run_once(name, host, slot, events, losses)
                # The others wait for it, and would all be aborted if it did not come: no new one is assigned meanwhile
                joined, void = self._joined[host].is_set(), self._losses > losses
                if joined or void or code == 0 or self.fatal or any(e.is_set() for e in events):
                    break
            return code, time.time()
        finally:
            with self._lock:
                if self._joined[host].is_set() and code != 0:
                    self._losses += 1
                    if any(other not in self._trained for other in self._held.values() if other != host):
                        self._void_at = time.monotonic()
                self._life[name] = self._life.get(name, 0) + 1
                self._held.pop(name, None)
                self.exits[host] = code

    def _run_once(self, name: str, host: str, slot: Any, events: Sequence[threading.Event], losses: int) -> int:
        from horovod.runner.gloo_run import create_slot_env_vars

        view = self._watch.views.get(name)
        if view is None:
            return 137
        try:
            run_id = view.client.start({**self._run_env, **create_slot_env_vars(slot)})
        except RetryError as e:
            self._on_end("agent_lost", name, {"reason": str(e)})
            return 137
        self._on_start(name, {"rank": slot.rank, "size": slot.size})
        code, event, reason = self._watched(
            view, run_id, events, lambda: self._losses > losses and not self._joined[host].is_set()
        )
        if event:
            self._on_end(event, name, {"exit_code": code, "reason": reason, "joined": self._joined[host].is_set()})
        return code

    def _watched(
        self, view: AgentView, run_id: int, events: Sequence[threading.Event], is_void: Callable[[], bool]
    ) -> tuple[int, str, str]:
        """Wait for the end of a worker; return its exit status, and what is to be told of it.

        Args:
            view: Of its agent.
            run_id: Of its start.
            events: Once any is set, it is to end.
            is_void: Whether a rank was lost that it waits for: what it was to join will never be complete.
        """
        told: list[str] = []
        meeting_since: float | None = None
        while True:
            time.sleep(POLL_S)
            now, status = time.monotonic(), view.status
            if (successor := self._watch.views.get(view.name)) is not view:
                if successor is not None:  # the start may have reached this one already
                    self._kill(successor, run_id, "its agent was started again")
                    return 137, "agent_lost", "its agent was started again"
                return 137, "agent_lost", "its agent is gone"
            if view.silent_s(now) > max(SILENT_S, self._stall_seconds):
                return 137, "agent_lost", f"its agent has not answered for {view.silent_s(now):.0f} s"
            if status is None or status.id is None or status.id < run_id:
                continue  # of before the start
            if status.id > run_id:
                return 137, "worker_lost", "another driver has started its agent's worker"
            if status.facts.get("phase") == "left":  # the others need not wait until its process has ended
                return LeftError.exit_status, "worker_left", "it was told to leave"
            if not status.running:
                return self._ended(status.exit_code if status.exit_code is not None else 137, view, told)
            if told:
                continue  # it is being killed
            phase = status.facts.get("phase")
            if phase in MET_PHASES:
                self._trained.add(self._held.get(view.name, ""))
            meeting_since = (meeting_since or now) if phase == "meeting" else None
            in_void = meeting_since is not None and meeting_since - 1 < self._void_at < now - MEET_AGAIN_S
            if any(event.is_set() for event in events) or is_void():
                told.append("")
                self._kill(view, run_id, "the ranks are over")
            elif status.beat_age_s is not None and status.beat_age_s > self._stall_seconds:
                told.append(f"no sign of life for {status.beat_age_s:.0f} s")
                self._kill(view, run_id, "stalled")
            elif in_void:
                told.append("it waited for ranks that were lost while they met")
                self._kill(view, run_id, told[0])

    def _kill(self, view: AgentView, run_id: int, reason: str) -> None:
        with contextlib.suppress(RetryError):
            view.client.stop(run_id, how="kill", reason=reason)

    def _ended(self, code: int, view: AgentView, told: Sequence[str]) -> tuple[int, str, str]:
        status = view.status
        error = (status.error if status is not None else None) or ""
        if code == 0:
            return 0, "", ""
        if told:
            return code, "worker_stalled" if told[0] else "", told[0]
        if code == LeftError.exit_status:
            return code, "worker_left", "it was told to leave"
        if code == 2 and error:  # a setting that is wrong is wrong for the next worker too
            self.fatal = self.fatal or error
        return code, "worker_lost", error or _how(code)


def _elastic_driver(announcements: Mapping[tuple[str, int], Announcements]) -> Any:
    """Return Horovod's driver, which announces changes where workers ask for them: none of them need listen."""
    from horovod.runner.elastic.driver import ElasticDriver

    class AnnouncingDriver(ElasticDriver):  # type: ignore[misc]
        def get_worker_client(self, slot_info: Any) -> Announcements | None:
            return announcements.get((slot_info.hostname, slot_info.local_rank))

    return AnnouncingDriver


def _is_ready(view: AgentView) -> bool:
    return view.status is not None and view.status.state == "ready" and view.silent_s(time.monotonic()) < SILENT_S


def _how(code: int) -> str:
    return f"killed by signal {-code}" if code < 0 else f"exit status {code}"


@contextlib.contextmanager
def stopped_at_end(ranks: Ranks) -> Iterator[Ranks]:
    """Stop ranks when the block ends."""
    try:
        yield ranks
    finally:
        ranks.stop()
