"""What a training has to do: impressions, ids, batches and towers."""

import itertools
from dataclasses import dataclass

from launcher.plan.unique_ids import UniqueIds


@dataclass(frozen=True, kw_only=True)
class Towers:
    """One network a label, of dense layers; some objectives have more."""

    labels: int
    """Number of towers"""
    inputs: int
    """Columns of the pooled fields that go in"""
    hidden_units: tuple[int, ...]
    """Widths of the hidden layers"""

    @property
    def products(self) -> int:
        """Weights of the matrices of one tower: multiplications of one impression forward."""
        widths = (self.inputs, *self.hidden_units, 1)
        return sum(a * b for a, b in itertools.pairwise(widths))

    @property
    def parameters(self) -> int:
        """Weights and biases of all towers."""
        return self.labels * (self.products + sum(self.hidden_units) + 1)

    @property
    def operations(self) -> float:
        """Operations for an impression: a multiplication and an addition a weight, forward and twice back."""
        return 6.0 * self.labels * self.products


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What a training has to do, whatever does it."""

    impressions: int
    """Train impressions of a pass"""
    epochs: int
    """Passes"""
    batch_impressions: float
    """Impressions of a step over all workers"""
    group_size: float
    """Impressions of a record, on average"""
    ids: int
    """Rows of the tables at the end"""
    ids_per_user: float
    """Ids of a record's user, on average"""
    ids_per_impression: float
    """Ids of an impression's own fields, on average"""
    unique: UniqueIds
    """Number of different ids of a batch"""
    dim: int
    """Columns of a row, D"""
    slot_columns: int
    """Slot variables of a row"""
    towers: Towers
    """The dense part"""

    @property
    def steps(self) -> float:
        """Steps of all passes."""
        return max(self.impressions / self.batch_impressions, 1.0) * self.epochs

    @property
    def ids_per_record(self) -> float:
        """Ids of a record with its impressions."""
        return self.ids_per_user + self.group_size * self.ids_per_impression

    def share(self, workers: int, steps: int = 1) -> "BatchShare":
        """Return a worker's share of one batch, or of several that follow each other."""
        impressions = self.batch_impressions * steps / workers
        records = impressions / self.group_size
        return BatchShare(
            records=records,
            impressions=impressions,
            ids=records * self.ids_per_record,
            unique_ids=self.unique.expected(records, impressions),
        )


@dataclass(frozen=True, kw_only=True)
class BatchShare:
    """What one worker has of a batch."""

    records: float
    """User contexts"""
    impressions: float
    """Impressions"""
    ids: float
    """Ids in the records, N"""
    unique_ids: float
    """Different ids, U"""
