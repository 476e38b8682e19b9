"""All that an evaluation finds out about one task."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from esmm_dist.model.metrics.deciles import Decile
from esmm_dist.model.metrics.segment_sums import SegmentMetrics
from esmm_dist.model.metrics.summary import TaskMetrics


@dataclass(frozen=True, kw_only=True)
class TaskReport:
    """Metrics of one task, over all impressions and over parts of them."""

    metrics: TaskMetrics
    deciles: tuple[Decile, ...]
    segments: tuple[tuple[SegmentMetrics, ...], ...] = ()
    """For each kind of key its segments; none for cvr where none of their impressions was clicked."""

    def to_mapping(self) -> dict[str, Any]:
        """Return plain values; nan stays nan."""
        return asdict(self)

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> "TaskReport":
        """Read what ``to_mapping`` returned, tuples as lists."""
        return cls(
            metrics=TaskMetrics(**mapping["metrics"]),
            deciles=tuple(Decile(**each) for each in mapping["deciles"]),
            segments=tuple(tuple(SegmentMetrics(**each) for each in kind) for kind in mapping["segments"]),
        )
