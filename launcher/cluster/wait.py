"""Wait until a job of a cluster is in a state."""

from collections.abc import Callable

from launcher.cluster.api.client import Api
from launcher.cluster.snapshot import JobSnapshot, read_snapshot
from launcher.cluster.status import state_line, troubles_of
from launcher.terminal.wait import Wait

POLL_S = 1.0


def wait_for(api: Api, job: str, reached: Callable[[JobSnapshot], bool], wait: Wait, *, what: str) -> JobSnapshot:
    """Read a job's snapshot each second until it is in a state; return the last one.

    Args:
        api: the cluster
        job: the job's name
        reached: whether the job is in the state; what it raises is passed on
        wait: how long to wait; its progress receives the state and the troubles when they change
        what: the state as a clause: ``3 workers train``

    Raises:
        RetryError: The job is not in the state in time; the message has the troubles.
    """
    return wait.until(
        lambda: read_snapshot(api, job),
        reached,
        what=what,
        describe=lambda snapshot: "; ".join([state_line(snapshot), *troubles_of(snapshot)]),
        remedy=f"Job {job} goes on by itself; look at esmm status {job}.",
        every_s=POLL_S,
    )
