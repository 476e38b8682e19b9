"""The lines that a job's processes write, also across pods that are replaced and containers that are started again."""

import time
from collections.abc import Callable, Iterator

from esmm_dist.errors import ConfigError
from launcher.cluster import names
from launcher.cluster.api.client import Api
from launcher.cluster.api.errors import ClusterError
from launcher.cluster.api.kinds import Object
from launcher.cluster.log_lines import STAMP
from launcher.cluster.schedule_runs import newest_run, pods_of_run
from launcher.cluster.snapshot import JobSnapshot, read_snapshot
from launcher.cluster.status import troubles_of

POLL_S = 1.0

_NOT_THERE = (400, 404)
"""Refusals of a log whose container waits to start, or is gone meanwhile."""


def logs(
    api: Api, job: str, which: str | None, *, follow: bool, tail: int | None, say: Callable[[str], None]
) -> Iterator[str]:
    """Yield lines of a process's log.

    Args:
        api: the cluster
        job: the job's name
        which: ``driver``, ``worker-0``, ``server-1``, ``rank-0``. None: the driver, the pod of a task of one pod, or
            all pods that answer
        follow: whether to go on until the job has ended
        tail: number of last lines to begin with. None: all that are kept
        say: receives why there are no lines yet

    Raises:
        ConfigError: There is no such job, or no such process.
    """
    snapshot = read_snapshot(api, job)
    component, name = find_process(snapshot, which)
    reader, side_by_side, said = LogReader(api, tail=tail), LogsOfPods(api, tail=tail), None
    while True:
        pods = [pod for pod in snapshot.pods_of(component) if name is None or pod["metadata"]["name"] == name]
        if snapshot.file.schedule is not None:  # of the newest run
            pods = pods_of_run(pods, newest_run(snapshot.runs))
        lines = side_by_side.read(pods) if snapshot.file.task == "serve" else reader.read(pods)
        if not pods and not follow:
            raise ConfigError(_no_pod(snapshot, which or component))
        yield from lines
        if not follow or (snapshot.ended and not lines):
            return
        if not lines and (troubles := "; ".join(troubles_of(snapshot))) != said:
            said = troubles
            say(troubles or "no lines yet")
        if not lines:
            time.sleep(POLL_S)
        snapshot = read_snapshot(api, job)


class LogReader:
    """Reads the lines of one place in a job, each once, over all pods that hold it one after the other.

    Args:
        api: the cluster
        tail: number of last lines that the first read returns. None: all that are kept
    """

    def __init__(self, api: Api, *, tail: int | None = None) -> None:
        self._api, self._tail = api, tail
        self._last: dict[str, str] = {}
        """Time of the last line, by the pod's uid."""
        self._shown: dict[tuple[str, int], int] = {}
        """Lines without a time that were returned, by the pod's uid and the container's starts."""

    def read(self, pods: list[Object]) -> list[str]:
        """Return the lines that are new since the last call, oldest pod first; none of a pod that has not started."""
        lines: list[str] = []
        for pod in sorted(pods, key=lambda each: str(each["metadata"].get("creationTimestamp"))):
            lines += self._read_pod(pod)
        if self._tail is not None:
            lines, self._tail = lines[-self._tail :] if self._tail else [], None
        return lines

    def _read_pod(self, pod: Object) -> list[str]:
        uid, name = str(pod["metadata"]["uid"]), str(pod["metadata"]["name"])
        last = self._last.get(uid, "")
        containers = (pod.get("status") or {}).get("containerStatuses") or []
        restarts = sum(int(each.get("restartCount") or 0) for each in containers)
        try:
            lines = self._previous(name) if restarts and not last and (uid, restarts) not in self._shown else []
            earlier = len(lines)
            lines += self._api.logs(name, since=_second_of(last))
        except ClusterError as e:
            if e.http_status in _NOT_THERE:
                return []
            raise
        if not all(map(STAMP.match, lines)):
            return self._untimed(lines, earlier, (uid, restarts))
        new = [line for line in lines if line.partition(" ")[0] > last]
        if new:
            self._last[uid] = new[-1].partition(" ")[0]
        return [line.partition(" ")[2] for line in new]

    def _untimed(self, lines: list[str], earlier: int, container: tuple[str, int]) -> list[str]:
        """Return what is new in a log without times, which is always whole. Some virtual nodes give such."""
        shown = self._shown.get(container, 0)
        self._shown[container] = len(lines) - earlier
        return lines[:earlier] + lines[earlier + shown :]

    def _previous(self, name: str) -> list[str]:
        try:
            return self._api.logs(name, previous=True)
        except ClusterError as e:
            if e.http_status in _NOT_THERE:
                return []
            raise


class LogsOfPods:
    """Reads the lines of pods that run at the same time, each with the end of its pod's name in front.

    Args:
        api: the cluster
        tail: number of last lines of each pod that the first read returns. None: all that are kept
    """

    def __init__(self, api: Api, *, tail: int | None = None) -> None:
        self._api, self._tail = api, tail
        self._readers: dict[str, LogReader] = {}
        """By the pod's uid."""

    def read(self, pods: list[Object]) -> list[str]:
        """Return the lines that are new since the last call, pod by pod."""
        lines: list[str] = []
        for pod in pods:
            reader = self._readers.setdefault(str(pod["metadata"]["uid"]), LogReader(self._api, tail=self._tail))
            end = str(pod["metadata"]["name"]).rpartition("-")[2]
            lines += [f"[{end}] {line}" for line in reader.read([pod])]
        self._tail = None  # of a pod that comes later all lines are new
        return lines


def find_process(snapshot: JobSnapshot, which: str | None) -> tuple[str, str | None]:
    """Return the component of a process, and its pod's name where that is fixed.

    Args:
        snapshot: the job
        which: ``driver``, ``worker-0``, ``server-1``, ``rank-0``. None: the driver, or the pod of a task of one pod

    Raises:
        ConfigError: The job has no such process.
    """
    job = snapshot.job
    if snapshot.file.task == "serve":
        if which is not None:
            raise ConfigError(
                f"Job {job} is a serve job: the lines of all its pods are shown. Leave out --rank, --worker, --server "
                f"and --driver; kubectl logs POD -n {snapshot.namespace} shows those of one."
            )
        return "serving", None
    if snapshot.file.task != "train":
        if which is not None:
            raise ConfigError(
                f"Job {job} is a {snapshot.file.task} job, which runs in one pod: leave out --rank, --worker, --server "
                "and --driver."
            )
        return "task", None
    component, _, number = (which or "driver").partition("-")
    if component == "rank":
        return "worker", _worker_of_rank(snapshot, int(number))
    pod_names = {"worker": f"{names.worker(job)}-{number}", "server": f"{names.server(job)}-{number}"}
    return component, pod_names.get(component)


def _worker_of_rank(snapshot: JobSnapshot, rank: int) -> str:
    workers = snapshot.status.workers if snapshot.status is not None else ()
    by_rank = {each.rank: each.name for each in workers if each.rank is not None}
    if rank not in by_rank:
        raise ConfigError(
            f"Job {snapshot.job} ({snapshot.state}) has no rank {rank} now. Its ranks: "
            f"{', '.join(map(str, sorted(by_rank))) or 'none'}. --worker {rank} shows the lines of a worker's pod."
        )
    return by_rank[rank]


def _no_pod(snapshot: JobSnapshot, which: str) -> str:
    pods = [str(pod["metadata"]["name"]).removeprefix(f"{snapshot.job}-") for pod in snapshot.pods]
    troubles = "".join(f" {each}." for each in troubles_of(snapshot))
    return (
        f"Job {snapshot.job} ({snapshot.state}) has no pod of {which} now, so its lines are gone with it. Its pods: "
        f"{', '.join(pods) or 'none'}.{troubles} esmm status {snapshot.job} shows what happened."
    )


def _second_of(stamp: str) -> str:
    """Return the time of a line to the second, which is all that can be asked for: lines of that second come twice."""
    found = STAMP.match(f"{stamp} ")
    return found[1] + found[2] if found else ""
