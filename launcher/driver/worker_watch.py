"""One start of a worker: what its agent's answers mean for it, and when it must be killed. Decides only; no I/O."""

from dataclasses import dataclass

from esmm_dist.errors import LeftError
from esmm_dist.reporter import CONNECTED_PHASES, Phase
from launcher.agent.status import AgentStatus
from launcher.driver.agent_watch import SILENT_S, AgentView

RENDEZVOUS_AGAIN_S = 6.0
"""Seconds after a rank was lost during a rendezvous. A rank that has not begun another one by then waits for the lost
one, within Horovod, and would be aborted after gloo's timeout."""

KILLED = 137
"""Exit status of a worker whose end nobody has seen: as if by SIGKILL."""


@dataclass(frozen=True, kw_only=True)
class WorkerEnd:
    """The end of a start of a worker."""

    exit_code: int
    event: str = ""
    """Event to record; empty: it ended as it should."""
    reason: str = ""
    gives_up: bool = False
    """Whether no worker that follows can do better: a setting is wrong."""


@dataclass(frozen=True, kw_only=True)
class Kill:
    """The worker must be killed; its end follows."""

    reason: str


class WorkerWatch:
    """Decides about one start of a worker. Not thread-safe."""

    def __init__(self, run_id: int, stall_seconds: float) -> None:
        """Begin with the start.

        Args:
            run_id: the start's id at its agent
            stall_seconds: seconds without a heartbeat after which the worker has stalled
        """
        self._run_id, self._stall_s = run_id, stall_seconds
        self._kill: tuple[str, str] | None = None  # event and reason of the end that follows
        self._rendezvous_since: float | None = None
        self.was_connected = False
        """Whether the worker has been connected to all others."""

    def judge(
        self, view: AgentView, current: AgentView | None, now: float, *, is_over: bool, broken_at: float
    ) -> WorkerEnd | Kill | None:
        """Return the end of the worker, or that it must be killed; None while it goes on.

        Args:
            view: the agent, as it was when it started the worker
            current: the agent of that name now; None: there is none
            now: monotonic seconds
            is_over: whether the worker has nothing left to do: its ranks have ended
            broken_at: when a rank was lost during a rendezvous, in monotonic seconds
        """
        if current is not view:
            why = "its agent is gone" if current is None else "its agent was started again"
            return WorkerEnd(exit_code=KILLED, event="agent_lost", reason=why)
        if (silent_s := view.silent_s(now)) > max(SILENT_S, self._stall_s):
            why = f"its agent has not answered for {silent_s:.0f} s"
            return WorkerEnd(exit_code=KILLED, event="agent_lost", reason=why)
        status = view.status
        if status is None or status.id is None or status.id < self._run_id:
            return None  # older than the start
        if status.id > self._run_id:
            return WorkerEnd(
                exit_code=KILLED, event="worker_lost", reason="another driver has started its agent's worker"
            )
        if status.facts.get("phase") == Phase.LEFT:  # the others need not wait for the end of its process
            return _left(LeftError.exit_status)
        if not status.running:
            return self._ended(status)
        return self._running(status, now, is_over=is_over, broken_at=broken_at)

    def _running(self, status: AgentStatus, now: float, *, is_over: bool, broken_at: float) -> Kill | None:
        if self._kill is not None:
            return None  # it is being killed
        phase = status.facts.get("phase")
        self.was_connected = self.was_connected or phase in CONNECTED_PHASES
        self._rendezvous_since = (self._rendezvous_since or now) if phase == Phase.RENDEZVOUS else None
        if is_over:
            return self._killed("", "", "its ranks have ended")
        if status.beat_age_s is not None and status.beat_age_s > self._stall_s:
            return self._killed("worker_stalled", f"no heartbeat for {status.beat_age_s:.0f} s", "stalled")
        # A second of margin: the worker may have begun just before the loss was noticed
        if self._rendezvous_since is not None and self._rendezvous_since - 1 < broken_at < now - RENDEZVOUS_AGAIN_S:
            why = "it waited for ranks that were lost during the rendezvous"
            return self._killed("worker_stalled", why, why)
        return None

    def _killed(self, event: str, reason: str, reason_for_agent: str) -> Kill:
        self._kill = event, reason
        return Kill(reason=reason_for_agent)

    def _ended(self, status: AgentStatus) -> WorkerEnd:
        code, error = KILLED if status.exit_code is None else status.exit_code, status.error or ""
        if code == 0:
            return WorkerEnd(exit_code=0)
        if self._kill is not None:
            event, reason = self._kill
            return WorkerEnd(exit_code=code, event=event, reason=reason)
        if code == LeftError.exit_status:
            return _left(code)
        how = f"killed by signal {-code}" if code < 0 else f"exit status {code}"
        # A setting that is wrong is wrong for the next worker too
        return WorkerEnd(exit_code=code, event="worker_lost", reason=error or how, gives_up=code == 2 and bool(error))


def _left(code: int) -> WorkerEnd:
    return WorkerEnd(exit_code=code, event="worker_left", reason="it was asked to leave")
