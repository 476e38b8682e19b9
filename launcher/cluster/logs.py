"""The lines that a job's processes write, also across pods that are replaced and containers that are started again."""

import re
import time
from collections.abc import Callable, Iterator

from esmm_dist.errors import ConfigError
from launcher.cluster import names
from launcher.cluster.api import Api, ClusterError, Object
from launcher.cluster.status import Seen, look, troubles_of

POLL_S = 1.0

_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)[.\d]*(Z|[+-]\d\d:\d\d) ")
"""What is in front of a line. Nodes give their own time zone's."""


def logs(
    api: Api,
    job: str,
    which: str | None,
    *,
    follow: bool,
    tail: int | None = None,
    say: Callable[[str], None] = lambda text: None,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[str]:
    """Return lines of a process's log.

    Args:
        api: The cluster.
        job: The job's name.
        which: ``driver``, ``worker-0``, ``server-1``, ``rank-0``. None: the driver, or the pod of a task of one pod.
        follow: Whether to go on until the job has ended.
        tail: Begin with the last so many lines. None: with all that are kept.
        say: Told why there are no lines yet.
        sleep: Waits so many seconds.

    Raises:
        ConfigError: There is no such job, or no such process.
    """
    seen = look(api, job)
    component, name = _whose(seen, which)
    reader, said = LogReader(api, tail=tail), ""
    while True:
        pods = [pod for pod in seen.pods_of(component) if name is None or pod["metadata"]["name"] == name]
        lines = reader.read(pods)
        if not pods and not follow:
            raise ConfigError(_no_pod(seen, which or component))
        yield from lines
        if not follow or (seen.ended and not lines):
            return
        if not lines and (told := "; ".join(troubles_of(seen))) != said:
            said = told
            say(told or "no lines yet")
        if not lines:
            sleep(POLL_S)
        seen = look(api, job)


class LogReader:
    """Reads the lines of one place in a job, each once, over all pods that hold it one after the other."""

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
        restarts = sum(int(each.get("restartCount") or 0) for each in _containers(pod))
        try:
            lines = self._previous(name) if restarts and not last and (uid, restarts) not in self._shown else []
            earlier = len(lines)
            lines += self._api.logs(name, since=_second_of(last))
        except ClusterError as e:
            if e.http_status in (400, 404):  # it waits to start, or is gone meanwhile
                return []
            raise
        if not all(map(_STAMP.match, lines)):
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
            if e.http_status in (400, 404):
                return []
            raise


def _whose(seen: Seen, which: str | None) -> tuple[str, str | None]:
    """Return the component, and the pod's name where that is fixed."""
    if seen.file.task != "train":
        if which is not None:
            raise ConfigError(
                f"Job {seen.job} is a {seen.file.task}, which runs in one pod: leave out --rank, --server and --driver."
            )
        return "task", None
    component, _, number = (which or "driver").rpartition("-") if "-" in (which or "") else (which or "driver", "", "")
    if component == "rank":
        workers = seen.status.workers if seen.status is not None else ()
        for each in workers:
            if each.rank == int(number):
                return "worker", each.name
        ranks = sorted(each.rank for each in workers if each.rank is not None)
        raise ConfigError(
            f"Job {seen.job} ({seen.state}) has no rank {number} now. It has {', '.join(map(str, ranks)) or 'none'}; "
            f"--worker {number} shows the lines of a worker's pod."
        )
    return component, f"{names.worker(seen.job) if component == 'worker' else names.server(seen.job)}-{number}" if (
        number
    ) else None


def _no_pod(seen: Seen, which: str) -> str:
    here = [str(pod["metadata"]["name"]).removeprefix(f"{seen.job}-") for pod in seen.pods]
    why = "; ".join(troubles_of(seen))
    return (
        f"Job {seen.job} ({seen.state}) has no pod of {which} now, so its lines are gone with it. "
        f"{'Pods: ' + ', '.join(here) if here else 'It has no pods'}."
        f"{f' {why}.' if why else ''} What happened is in esmm status {seen.job}."
    )


def _second_of(stamp: str) -> str:
    """Return the time of a line to the second, which is all that can be asked for: lines of that second come twice."""
    found = _STAMP.match(f"{stamp} ")
    return found[1] + found[2] if found else ""


def _containers(pod: Object) -> list[Object]:
    return list((pod.get("status") or {}).get("containerStatuses") or [])
