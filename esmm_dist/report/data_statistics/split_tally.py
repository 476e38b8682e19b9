"""Add up the batches of one split."""

import numpy as np

from esmm_dist.arrays import F64
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.report.data_statistics.histogram import CountTally
from esmm_dist.schema.fields import Schema


class SplitTally:
    """Labels and weights of one split, and the lists of its fields."""

    def __init__(self, schema: Schema) -> None:
        """Add up nothing yet."""
        self.records = self.impressions = 0
        self.labels = np.zeros(len(schema.labels), np.int64)
        self.weight: float | None = 0.0 if schema.has_sample_weights else None
        self.label_weights: F64 = np.zeros(len(schema.labels))
        self.fields = {each.name: CountTally() for each in schema.fields}

    def add(self, batch: GroupedBatch) -> None:
        """Add the labels and weights of a batch."""
        self.records += int((batch.impressions_per_group > 0).sum())  # a skipped record left one without any
        self.impressions += batch.num_impressions
        self.labels += batch.labels.sum(axis=0)
        if batch.sample_weights is not None and self.weight is not None:
            weights = batch.sample_weights.astype(np.float64)
            self.weight += float(weights.sum())
            self.label_weights += weights @ batch.labels
