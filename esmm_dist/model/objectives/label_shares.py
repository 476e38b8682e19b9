"""How often each label occurs in the training data: the constants of objectives."""

from dataclasses import dataclass

from esmm_dist.schema.manifest import DatasetManifest


@dataclass(frozen=True, kw_only=True)
class LabelShares:
    """Shares of the train split. They are of the whole split, so that they are the same at each step and rank."""

    of_labels: tuple[float, ...]
    """Share of the impressions with each label, counted without sample weights, in [0, 1]."""
    keep_negatives: float = 1.0
    """Share of the log's impressions without the first label that the split has kept, in (0, 1]."""

    @classmethod
    def of(cls, manifest: DatasetManifest) -> "LabelShares":
        """Return the shares of a data set; zeros without a train split."""
        train, labels = manifest.splits.get("train"), manifest.schema.labels
        counts = [0 if train is None else train.label_counts[label] for label in labels]
        impressions = max(1, 0 if train is None else train.impressions)
        return cls(of_labels=tuple(n / impressions for n in counts), keep_negatives=manifest.keep_negatives)

    @classmethod
    def ones(cls, num_labels: int) -> "LabelShares":
        """Return shares by which nothing is scaled."""
        return cls(of_labels=(1.0,) * num_labels)

    @property
    def kept(self) -> float:
        """Return the number of impressions that the split has, over the number that it was chosen from."""
        first = self.of_labels[0]
        return 1 / (first + (1 - first) / self.keep_negatives)
