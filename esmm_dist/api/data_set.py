"""A data set on disk, as ``preprocess`` has written it."""

from dataclasses import dataclass
from typing import Any

from esmm_dist.inference.tables.coverage_table import coverage_table
from esmm_dist.reported import Reported
from esmm_dist.schema.coverage import dataset_coverage
from esmm_dist.schema.fields import Schema
from esmm_dist.schema.manifest import DatasetManifest
from esmm_dist.words import short_bytes


@dataclass(frozen=True, kw_only=True, repr=False)
class DataSet(Reported):
    """A data set: what ``train`` and ``evaluate`` take."""

    path: str
    """Its folder, a path or a URI."""
    manifest: DatasetManifest

    def __fspath__(self) -> str:
        """Return the folder, so that a data set can stand where a path is expected."""
        return self.path

    @property
    def schema(self) -> Schema:
        """The schema of its log, with the edges of its numbers."""
        return self.manifest.schema

    @property
    def impressions(self) -> dict[str, int]:
        """Impressions of each split."""
        return {name: split.impressions for name, split in self.manifest.splits.items()}

    @property
    def report(self) -> dict[str, Any]:
        """What was read, rejected and chosen."""
        return dict(self.manifest.report)

    def lines(self) -> list[str]:
        """Return the report, a line each."""
        manifest = self.manifest
        ids = (
            f"{manifest.vocabulary_size:,} feature ids in use"
            if manifest.vocabulary_size
            else "the ids of a run's rows"
        )
        lines = [f"Data set {self.path}: schema {manifest.schema.name}, {ids}"]
        for name, split in manifest.splits.items():
            size = sum(shard.file_bytes for shard in split.shards)
            each = f", {size / split.impressions:.0f} bytes an impression" if split.impressions else ""
            labels = ", ".join(_counted(count, label) for label, count in split.label_counts.items())
            tree = manifest.schema.label_tree
            broken = [
                f"{_counted(split.broken_chains[label], label)} without {tree.names[parent]}"
                for label, parent in zip(tree.names, tree.parents, strict=True)
                if split.broken_chains.get(label)
            ]
            kept = f" ({', '.join(broken)}: kept, but not positive)" if broken else ""
            lines.append(
                f"  {name}: {split.impressions:,} impressions in {split.records:,} records, {labels}{kept}; "
                f"{short_bytes(size)} in {len(split.shards)} shards{each}"
            )
        fields = dataset_coverage(manifest)
        if fields:
            lines += [
                "",
                *coverage_table(fields),
                "empty: impressions without an id in the log; unknown: without a kept one",
            ]
        lines += [f"Warning: {line}" for line in manifest.report.get("warnings", [])]
        return lines


def _counted(count: int, label: str) -> str:
    return f"{count:,} {label}{'' if count == 1 else 's'}"
