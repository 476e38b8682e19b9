"""Load one partition of a split and join impressions to their user's common row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from esmm_dist.arrays import I64, U64, Array
from preprocess.join.repeats import load_repeats
from preprocess.read.feature_rows import FeatureRows
from preprocess.read.row_files import JOIN_COLUMNS, RowFile, RowKind, Targets
from preprocess.read.texts import Texts
from preprocess.work.blocks import read_block


@dataclass(frozen=True, kw_only=True)
class PartitionSource:
    """The files with the rows of one partition."""

    name: str
    """Unique within the run; names the tasks and files that are made of it."""
    split: str
    index: int
    """Partition within the files."""
    common: tuple[RowFile, ...]
    skeleton: tuple[RowFile, ...]
    row_bytes: int
    known_ranges: tuple[tuple[int, int], ...] = ()
    """(context, number of ranges) of contexts that are only partly in this partition (``skew``)."""


@dataclass(frozen=True, kw_only=True)
class PartitionRows:
    """n impressions of a partition, in log order."""

    keys: U64
    positions: I64
    targets: Targets
    features: FeatureRows

    def take(self, index: I64) -> "PartitionRows":
        """Return the impressions at ``index`` (int64 [K]), in its order."""
        return PartitionRows(
            keys=self.keys[index],
            positions=self.positions[index],
            targets=self.targets.take(index),
            features=self.features.take(index),
        )


@dataclass(frozen=True, kw_only=True)
class Partition:
    """The joined rows of one partition."""

    common_keys: U64
    """Ascending, uint64 [C]."""
    common: FeatureRows
    """C rows, in the order of ``common_keys``."""
    impressions: PartitionRows
    common_row: I64
    """For each impression the index of its user's common row, or -1 if there is none: int64 [n]."""
    common_lines: int
    """Distinct common lines that belong to this partition; a copy that is also in another one does not count."""

    def unused_common_rows(self) -> int:
        """Count the common rows that no impression uses; copies are always in use."""
        return int((self.uses() == 0).sum())

    def uses(self) -> I64:
        """Count the impressions that use each common row: int64 [C]."""
        return np.bincount(self.common_row[self.common_row >= 0], minlength=len(self.common_keys))


def load_partition(work: Path, source: PartitionSource) -> Partition:
    """Read the rows of a partition, drop repeated lines, and join."""
    common = _read_all(source.common, source.index, "common")
    order = np.argsort(common["key"], kind="stable")  # files come in log order, so the first line of a key is first
    keys = common["key"][order]
    first = np.ones(len(keys), np.bool_)
    first[1:] = keys[1:] != keys[:-1]
    kept, common_keys = order[first], keys[first]
    impressions = _load_impressions(work, source)
    return Partition(
        common_keys=common_keys,
        common=_features(common).take(kept),
        impressions=impressions,
        common_row=find(common_keys, impressions.keys),
        common_lines=int((common["position"][kept] >= 0).sum()),
    )


def _load_impressions(work: Path, source: PartitionSource) -> PartitionRows:
    rows = _read_all(source.skeleton, source.index, "skeleton")
    targets = Targets(
        sample_ids=rows["sample_id"],
        labels=rows["labels"],
        names=names_of(rows),
        weights=rows.get("weight"),
        days=rows.get("day"),
    )
    impressions = PartitionRows(keys=rows["key"], positions=rows["position"], targets=targets, features=_features(rows))
    is_first = find(load_repeats(work, "skeleton", source.split), impressions.positions) < 0
    return impressions if is_first.all() else impressions.take(np.flatnonzero(is_first))


def names_of(rows: Mapping[str, Array]) -> Texts | None:
    """Return the texts that name the impressions of skeleton rows; None if their sample ids do."""
    return Texts(lengths=rows["name_lengths"], data=rows["names"]) if "names" in rows else None


def _read_all(files: Sequence[RowFile], index: int, kind: RowKind) -> dict[str, Array]:
    blocks = []
    for file in files:
        block = read_block(file.path, index, JOIN_COLUMNS[kind])
        block["position"] = block.pop("line") + file.base
        if file.first_sample_id:
            block["sample_id"] = block["sample_id"] + file.first_sample_id
        blocks.append(block)
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def _features(rows: dict[str, Array]) -> FeatureRows:
    return FeatureRows(lengths=rows["lengths"], ids=rows["ids"], values=rows["values"])


def find(sorted_keys: Array, keys: Array) -> I64:
    """Return the index of each key in ``sorted_keys``, or -1: int64 [n]."""
    if not len(sorted_keys):
        return np.full(len(keys), -1, np.int64)
    place = np.minimum(np.searchsorted(sorted_keys, keys), len(sorted_keys) - 1)
    found: I64 = np.where(sorted_keys[place] == keys, place, -1)
    return found
