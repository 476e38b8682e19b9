"""What a delta changes, in numbers."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from esmm_dist.served_model.manifest import ServedManifest, ServedShard
from esmm_dist.served_model.mapped_model import MappedModel


@dataclass(frozen=True, kw_only=True)
class DeltaRows:
    """Rows of all tables that differ from the base's, and what that takes."""

    base: str
    """Name of the version that the delta is made from."""
    changed: int
    """Rows that the base has, with other values."""
    new: int
    """Rows that the base has not."""
    removed: int
    """Ids that have a row in the base alone."""
    served_bytes: int
    """Bytes of what esmm serve reads of the delta."""
    share_of_full: float
    """The same as a share of the full version below the base."""

    @property
    def written(self) -> int:
        """Rows that the delta holds."""
        return self.changed + self.new

    def line(self) -> str:
        """Return the report."""
        return (
            f"Since version {self.base}: {self.changed:,} changed rows, {self.new:,} new, {self.removed:,} removed; "
            f"{self.served_bytes / 1e6:,.1f} MB to serve, {100 * self.share_of_full:.2g} % of a full version"
        )


def count_delta(served: Path, manifest: ServedManifest, base: MappedModel, *, name: str, full_bytes: int) -> DeltaRows:
    """Count the rows of a delta.

    Args:
        served: folder ``served`` of the delta
        manifest: its manifest
        base: the model that it was made from
        name: name of the base
        full_bytes: bytes of the full version below it
    """
    written = sum(shard.rows for table in manifest.tables for shard in table.shards)
    removed = sum(_removed(served, shard) for table in manifest.tables for shard in table.shards)
    grown = sum(table.rows - base.tables[table.name].num_rows for table in manifest.tables)
    served_bytes = sum(file.file_bytes for file in manifest.files())
    return DeltaRows(
        base=name,
        changed=written - grown - removed,
        new=grown + removed,
        removed=removed,
        served_bytes=served_bytes,
        share_of_full=served_bytes / full_bytes,
    )


def _removed(served: Path, shard: ServedShard) -> int:
    return 0 if shard.removed is None else len(np.load(served / shard.removed.path, mmap_mode="r"))
