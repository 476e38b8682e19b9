"""Constants and a workload whose plan can be computed by hand."""

from dataclasses import dataclass, fields, replace

from launcher.plan.constants import PlanConstants
from launcher.plan.step_time import Cluster
from launcher.plan.workload import Towers, Workload


@dataclass(frozen=True)
class ShareOfIds:
    """As many different ids as a share of all."""

    a_record: float = 10.0

    def expected(self, records: float, impressions: float) -> float:
        return self.a_record * records


def zero_constants(**given: float) -> PlanConstants:
    """Return constants that are all 0, or as given; towers cost nothing."""
    values = {field.name: "here" if field.type in (str, "str") else 0.0 for field in fields(PlanConstants)} | {
        "tower_gflops": 1e12,
        "wire_overhead": 1.0,
        "window_mb": 1e12,
        "pull_ahead": 1.0,
    }
    return PlanConstants(**(values | given))  # type: ignore[arg-type]


WORKLOAD = Workload(
    impressions=1_000_000,
    epochs=1,
    batch_impressions=1000.0,
    group_size=10.0,
    ids=1_000_000,
    ids_per_user=80.0,
    ids_per_impression=2.0,
    unique=ShareOfIds(),
    dim=16,
    slot_columns=16,
    towers=Towers(labels=2, inputs=100, hidden_units=(10,)),
)
"""100 records of 100 ids a step; 1,000 of them different."""

CLUSTER = Cluster(workers=1, servers=1, worker_cores=2, server_cores=2, network_gbps=8.0, network_ms=0.0)
"""A link moves 1e9 bytes a second."""


def cluster(**changes: object) -> Cluster:
    """Return CLUSTER with changes."""
    return replace(CLUSTER, **changes)  # type: ignore[arg-type]
