"""How long one synchronous step takes, and what it waits for.

A worker has two threads: one reads the next batches and finds their unique ids, the other makes the step::

    prefetch  | read | unique ids | pull of rows that this step leaves alone ............ |   of the next batch
    main      | pull of others | pooling | towers | other | allreduce | push |                of this one
    server i  |     pulls      |                                      | sums, optimizer |

A step takes as long as the longer of the two, and not less than the work that its cores, or the cores that all
processes share, have to do in it. Where both are near each other, they get in each other's way (``contention``).
"""

from dataclasses import dataclass
from typing import Literal

from launcher.plan.constants import PlanConstants
from launcher.plan.workload import BatchShare, Workload

_NS, _US, _MS = 1e-9, 1e-6, 1e-3
_ID_BYTES = 8


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Workers, servers and the network between them."""

    workers: int
    """Number of workers"""
    servers: int
    """Number of servers; 0: the table lives within the only worker"""
    worker_cores: float
    """Cores of each worker"""
    server_cores: float
    """Cores of each server"""
    shared_cores: float | None = None
    """Cores of one machine that all processes share; None: each has its own"""
    network_gbps: float = 10.0
    """Bandwidth of each process's link, each way, 1e9 bits a second"""
    network_ms: float = 0.2
    """Round trip between two processes, ms"""
    wire_bytes: int = 4
    """Bytes of a value on the network"""
    update_mode: Literal["sync", "bounded", "async"] = "sync"
    """When gradients change the rows; in all but sync rows are pulled ahead"""

    @property
    def bytes_per_s(self) -> float:
        """Bytes a second of a link, each way."""
        return self.network_gbps * 1e9 / 8


@dataclass(frozen=True, kw_only=True)
class StepTime:
    """One step."""

    seconds: float
    """Time from step to step"""
    bounds: dict[str, float]
    """Seconds that the step takes at least, by what would have to be faster"""
    path: dict[str, float]
    """Seconds that a worker's main thread spends in each part of its own work (pull, pooling, towers, other, allreduce,
    push) and waiting for servers, network and round trips: they follow each other"""
    worker_work: dict[str, float]
    """CPU seconds of one worker, by part"""
    server_work: dict[str, float]
    """CPU seconds of one server, by part"""
    worker_bytes: tuple[float, float]
    """Bytes that a worker receives and sends for rows, gradients and allreduce"""
    server_bytes: tuple[float, float]
    """Bytes that a server receives and sends"""

    @property
    def cpu_s(self) -> tuple[float, float]:
        """CPU seconds of one worker, of one server."""
        return sum(self.worker_work.values()), sum(self.server_work.values())


@dataclass(frozen=True, kw_only=True)
class _Call:
    """A pull or a push of one worker to all servers: seconds and bytes."""

    client_s: float = 0.0
    server_s: float = 0.0
    served_s: float = 0.0
    network_s: float = 0.0
    waits_s: float = 0.0
    received: float = 0.0
    sent: float = 0.0

    @property
    def wall_s(self) -> float:
        """Time from beginning to end."""
        return self.client_s + self.served_s + self.network_s + self.waits_s


def step_time(workload: Workload, cluster: Cluster, constants: PlanConstants) -> StepTime:
    """Return how long a step takes, of workers that all have the same share of a batch."""
    share = workload.share(cluster.workers)
    ahead = _share_pulled_ahead(workload, cluster, constants, share)
    work, path = _worker_steps(workload, cluster, constants, share)
    ahead_s, server_work = 0.0, {"pulls": 0.0, "pushes": 0.0}
    received = sent = 0.0
    if cluster.servers == 0:
        work |= _embedded(workload, constants, share)
        path |= {"pull": work["pull"], "push": work["push"]}
    else:
        early = _call(workload, cluster, constants, share.unique_ids * ahead, push=False)
        pull = _call(workload, cluster, constants, share.unique_ids * (1 - ahead), push=False)
        push = _call(workload, cluster, constants, share.unique_ids, push=True)
        ahead_s = early.wall_s
        path |= {"pull": pull.client_s, "push": push.client_s, "servers": pull.served_s + push.served_s}
        path["network"] += pull.network_s + push.network_s
        path["round trips"] += pull.waits_s + push.waits_s
        work |= {"pull": pull.client_s + early.client_s, "push": push.client_s}
        server_work = {"pulls": pull.server_s + early.server_s, "pushes": push.server_s}
        received = pull.received + early.received + push.received
        sent = pull.sent + early.sent + push.sent
    per_server = cluster.workers / max(cluster.servers, 1)
    server_bytes = (sent * per_server, received * per_server) if cluster.servers else (0.0, 0.0)
    ring = _ring_bytes(workload, cluster, constants)
    worker_bytes = (received + ring, sent + ring)
    busy = constants.allreduce_busy_cores if cluster.workers > 1 else 0.0
    bounds = {
        "steps": sum(path.values()),
        "reading": work["read"] + work["unique ids"] + ahead_s,
        "worker cores": sum(work.values()) / _free_cores(cluster.worker_cores, busy),
        "server cores": sum(server_work.values()) / cluster.server_cores,
        "worker network": max(worker_bytes) / cluster.bytes_per_s,
        "server network": max(server_bytes) / cluster.bytes_per_s,
    }
    if cluster.shared_cores is not None:
        total = cluster.workers * sum(work.values()) + cluster.servers * sum(server_work.values())
        bounds["shared cores"] = total / _free_cores(cluster.shared_cores, cluster.workers * busy)
    return StepTime(
        seconds=_overlapped(bounds, constants.contention),
        bounds=bounds,
        path=path,
        worker_work=work,
        server_work=server_work,
        worker_bytes=worker_bytes,
        server_bytes=server_bytes,
    )


def _free_cores(cores: float, busy: float) -> float:
    """Return the cores that are left beside threads that are always busy; half at least, for these wait too."""
    return max(cores - busy, cores / 2)


def _overlapped(bounds: dict[str, float], contention: float) -> float:
    """Return the longest bound, and a part of what the cores do beside it."""
    chain = max(bounds["steps"], bounds["reading"])
    busy = max(bounds["worker cores"], bounds.get("shared cores", 0.0))
    return max(max(bounds.values()), max(chain, busy) + contention * min(chain, busy))


def _share_pulled_ahead(workload: Workload, cluster: Cluster, constants: PlanConstants, share: BatchShare) -> float:
    """Return the part of a batch's rows that can be pulled while the step before it runs."""
    if cluster.servers == 0 or share.unique_ids == 0:
        return 0.0
    if cluster.update_mode != "sync":
        return 1.0
    # Ids of the next share that the whole step before leaves alone: those that it would add to it
    whole = workload.share(1)
    records, impressions = whole.records + share.records, whole.impressions + share.impressions
    added = workload.unique.expected(records, impressions) - whole.unique_ids
    return constants.pull_ahead * min(max(added / share.unique_ids, 0.0), 1.0)


def _worker_steps(
    workload: Workload, cluster: Cluster, constants: PlanConstants, share: BatchShare
) -> tuple[dict[str, float], dict[str, float]]:
    """Return a worker's work and its main thread's path, but for pull and push."""
    flops = share.impressions * workload.towers.operations
    dense_bytes = 4.0 * workload.towers.parameters
    work = {
        "read": share.records * constants.read_us_per_record * _US
        + share.impressions * constants.read_us_per_impression * _US
        + share.ids * constants.read_ns_per_id * _NS,
        "unique ids": share.ids * constants.lookup_ns_per_id * _NS,
        "pooling": share.ids * workload.dim * constants.pool_ns_per_value * _NS,
        "towers": flops / (constants.tower_gflops * 1e9),
        "other": share.impressions * constants.step_us_per_impression * _US + constants.step_ms * _MS,
    }
    path = {
        "pooling": work["pooling"],
        "towers": work["towers"] / max(cluster.worker_cores, 1.0),
        "other": work["other"],
        "network": 0.0,
        "round trips": 0.0,
    }
    if cluster.workers > 1:
        moved = dense_bytes * constants.allreduce_ns_per_byte * _NS
        work["allreduce"] = moved
        trips = constants.allreduce_round_trips + cluster.workers - 2
        path["allreduce"] = constants.allreduce_ms * _MS + moved
        path["network"] = _ring_bytes(workload, cluster, constants) / cluster.bytes_per_s
        path["round trips"] = trips * cluster.network_ms * _MS
    return work, path


def _ring_bytes(workload: Workload, cluster: Cluster, constants: PlanConstants) -> float:
    """Return the bytes that each worker sends, and receives, in an allreduce around the ring of all workers."""
    dense_bytes = 4.0 * workload.towers.parameters
    return 2 * (cluster.workers - 1) / cluster.workers * dense_bytes * constants.wire_overhead


def _embedded(workload: Workload, constants: PlanConstants, share: BatchShare) -> dict[str, float]:
    ids, values = share.unique_ids * _NS, share.unique_ids * workload.dim * _NS
    return {
        "pull": ids * constants.embedded_pull_ns_per_id + values * constants.embedded_pull_ns_per_value,
        "push": ids * constants.embedded_push_ns_per_id + values * constants.embedded_push_ns_per_value,
    }


def _call(workload: Workload, cluster: Cluster, constants: PlanConstants, ids: float, *, push: bool) -> _Call:
    """Return what it costs that every worker pulls, or pushes, so many ids at about the same time."""
    if ids == 0 and not push:
        return _Call()
    values = ids * workload.dim
    client_id, client_value, server_id, server_value = (
        (
            constants.client_push_ns_per_id,
            constants.client_push_ns_per_value,
            constants.server_push_ns_per_id,
            constants.server_push_ns_per_value,
        )
        if push
        else (
            constants.client_pull_ns_per_id,
            constants.client_pull_ns_per_value,
            constants.server_pull_ns_per_id,
            constants.server_pull_ns_per_value,
        )
    )
    client_s = (ids * client_id + values * client_value) * _NS + cluster.servers * constants.client_call_ms * _MS
    one_s = (ids * server_id + values * server_value) / cluster.servers * _NS + constants.server_call_ms * _MS
    server_s = cluster.workers * one_s
    ids_bytes, values_bytes = _ID_BYTES * ids, cluster.wire_bytes * values
    sent = (ids_bytes + values_bytes if push else ids_bytes) * constants.wire_overhead
    received = 0.0 if push else values_bytes * constants.wire_overhead
    # The busiest link: a worker's own, or a server's, on which all workers' calls meet
    busiest = max(1.0, cluster.workers / cluster.servers)
    network_s = (sent + received) * busiest / cluster.bytes_per_s
    trips = constants.call_round_trips + (sent + received) / cluster.servers / (constants.window_mb * 1e6)
    waits_s = constants.call_wait_ms * _MS + trips * cluster.network_ms * _MS
    # Pulls are answered side by side; a step's pushes are applied as one, by one thread
    served_s = server_s if push else server_s / min(cluster.workers, max(cluster.server_cores, 1.0))
    return _Call(
        client_s=client_s,
        server_s=server_s,
        served_s=served_s,
        network_s=network_s,
        waits_s=waits_s,
        received=received,
        sent=sent,
    )
