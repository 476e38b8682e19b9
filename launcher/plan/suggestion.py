"""Which number of workers and servers suits a training."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from launcher.plan.constants import PlanConstants
from launcher.plan.memory import Sizes, sizes
from launcher.plan.step_time import Cluster, StepTime, step_time
from launcher.plan.workload import Workload

FAIR_SHARE = 0.7
"""The least of the best impressions a core-second that a suggestion keeps: beyond it, cores mostly wait."""

MEMORY_SHARE = 0.8
"""Share of a machine's memory that is planned for; the rest is for what grows for a moment."""

_MOST_WORKERS = 64
_STEPS_UP = (1, 1.5)  # numbers that are tried: 1, 2, 3, 4, 6, 8, 12, ...


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A cluster, with what it would do."""

    cluster: Cluster
    step: StepTime
    sizes: Sizes
    hours: float
    """Hours of all steps, and of the checkpoint at the end"""

    @property
    def cores(self) -> float:
        """Cores of all processes."""
        own = self.cluster.workers * self.cluster.worker_cores + self.cluster.servers * self.cluster.server_cores
        return own if self.cluster.shared_cores is None else self.cluster.shared_cores


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """The cluster that is suggested, and why."""

    candidate: Candidate
    reason: str
    """One sentence"""


@dataclass(frozen=True, kw_only=True)
class PlanLimits:
    """What a suggestion must keep to; None: anything."""

    memory_bytes: float
    """Memory of a server, or of the worker that holds the table"""
    hours: float | None = None
    """Hours of the training"""
    workers: int | None = None
    """Given number of workers"""
    servers: int | None = None
    """Given number of servers"""


def evaluate_cluster(workload: Workload, cluster: Cluster, constants: PlanConstants) -> Candidate:
    """Return what a cluster would do."""
    step = step_time(workload, cluster, constants)
    of_cluster = sizes(workload, cluster, constants)
    seconds = workload.steps * step.seconds + of_cluster.save_s + constants.start_s
    return Candidate(cluster=cluster, step=step, sizes=of_cluster, hours=seconds / 3600)


def suggest(workload: Workload, cluster: Cluster, constants: PlanConstants, limits: PlanLimits) -> Suggestion:
    """Return the cluster that suits a training.

    Args:
        workload: what has to be done
        cluster: cores of each process, network and mode; its numbers of workers and servers are replaced
        constants: what things cost
        limits: what the cluster must keep to
    """
    least = least_servers(workload, cluster, constants, limits)
    found = [
        evaluate_cluster(workload, replace(cluster, workers=workers, servers=servers), constants)
        for workers, servers in _numbers(limits, least)
    ]
    why_servers = (
        "the table fits into the worker"
        if least == 0
        else f"{_servers(least)} hold the table in {limits.memory_bytes / 1e9:.3g} GB each"
    )
    if limits.hours is not None:
        in_time = [each for each in found if each.hours <= limits.hours]
        if in_time:
            best = min(in_time, key=lambda each: (each.cores, each.hours))
            return Suggestion(
                candidate=best, reason=f"the fewest cores that end within {limits.hours:g} h; {why_servers}"
            )
        fastest = min(found, key=lambda each: (each.hours, each.cores))
        reason = f"none of those tried ends within {limits.hours:g} h; this is the fastest; {why_servers}"
        return Suggestion(candidate=fastest, reason=reason)
    value = {id(each): 1 / (each.hours * each.cores) for each in found}
    bar = FAIR_SHARE * max(value.values())
    best = min((each for each in found if value[id(each)] >= bar), key=lambda each: (each.hours, each.cores))
    reason = f"the fastest whose cores do at least {FAIR_SHARE:.0%} of what they do at best; {why_servers}"
    return Suggestion(candidate=best, reason=reason)


def least_servers(workload: Workload, cluster: Cluster, constants: PlanConstants, limits: PlanLimits) -> int:
    """Return the smallest number of servers whose memory holds the table; 0 if the one worker's does."""
    usable = limits.memory_bytes * MEMORY_SHARE
    alone = sizes(workload, replace(cluster, workers=1, servers=0), constants)
    if alone.worker_bytes <= usable and (limits.workers or 1) == 1:
        return 0
    free = max(usable - constants.server_base_mb * 1e6, usable / 100)
    return max(1, math.ceil(alone.table_bytes / free))


def _numbers(limits: PlanLimits, least: int) -> Iterator[tuple[int, int]]:
    """Yield the numbers of workers and servers to try."""
    for workers in [limits.workers] if limits.workers is not None else list(_growing(1, _MOST_WORKERS)):
        if limits.servers is not None:
            if workers == 1 or limits.servers:
                yield workers, limits.servers
            continue
        if workers == 1 and least == 0:
            yield 1, 0
        if workers > 1 or least > 0:
            first = max(least, 1)
            yield from ((workers, servers) for servers in _growing(first, max(first, workers)))


def _growing(first: int, last: int) -> Iterator[int]:
    """Yield 1, 2, 3, 4, 6, 8, 12, ... times ``first``, up to ``last``."""
    found, size = {first}, first
    while size <= last:
        found |= {n for step in _STEPS_UP if (n := round(size * step)) <= last}
        size *= 2
    yield from sorted(found)


def _servers(number: int) -> str:
    return "1 server" if number == 1 else f"{number} servers"
