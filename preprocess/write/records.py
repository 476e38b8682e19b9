"""Stage 5: join, filter, group and encode one partition; write its records ordered by key.

Beside the framed records is an index with one entry for each record (``INDEX_DTYPE``); dealing into lanes reads it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from esmm_dist.arrays import I64, U8
from esmm_dist.errors import ConfigError
from esmm_dist.schema.feature_id import missing_id
from esmm_dist.schema.fields import Field, Schema
from preprocess.join.groups import RecordGroups, group_impressions
from preprocess.join.lookup_files import EveryId, VocabularyFilter
from preprocess.join.partition import Partition, PartitionSource, load_partition
from preprocess.read.feature_rows import FeatureRows, splits_of
from preprocess.work.folder import replaced
from preprocess.work.workers import Result
from preprocess.write.day_counts import count_days
from preprocess.write.encode import (
    FramedRecords,
    UserParts,
    encode_targets,
    framed_records,
    impression_encoder,
    no_user,
    user_encoder,
)

INDEX_DTYPE = np.dtype([("key", "<u8"), ("offset", "<u8"), ("length", "<u4"), ("crc", "<u4"), ("impressions", "<u4")])
"""``offset``, ``length``: bytes of the record with its frame; ``crc``: its masked CRC-32C, orders records whose keys
are equal."""

MAX_RECORD_BYTES = 2**31 - 1
"""No reader of protocol buffers takes a longer message."""

_IMPRESSIONS_AT_ONCE = 4096  # encoded together: enough for NumPy, little enough for the cache


@dataclass(frozen=True, kw_only=True)
class RecordsJob:
    """What all partitions of a run share."""

    work: Path
    schema: Schema
    group_size: int
    seed: int
    keeps_all: bool = False
    """Whether ids that are not in the vocabulary are kept too (``Inspection``)."""


def write_records(job: RecordsJob, source: PartitionSource) -> Result:
    """Write the records of one partition and their index; return what was counted."""
    partition = load_partition(job.work, source)
    kept, lost = _without_unknown(partition, job)
    targets = kept.impressions.targets
    groups = group_impressions(
        kept.impressions.keys,
        targets.sample_ids,
        split=source.split,
        group_size=job.group_size,
        seed=job.seed,
        known_ranges=dict(source.known_ranges),
    )
    labels = job.schema.label_tree.reached(targets.labels).astype(np.uint8)
    broken = (targets.labels > labels).sum(axis=0)
    kept = _with_labels(kept, labels)
    index = _write(job, source.name, kept, groups)
    index["offset"] = splits_of(index["length"].astype(np.int64))[:-1]
    index.tofile(index_path(job.work, source.name))
    return {
        "records": len(index),
        "impressions": len(labels),
        "bytes": int(index["length"].sum(dtype=np.int64)),
        "label_counts": labels.sum(axis=0, dtype=np.int64).tolist(),
        "broken_chains": broken.tolist(),
        "days": count_days(targets.days, labels, targets.labels),
        "sample_weight": None if targets.weights is None else float(targets.weights.sum(dtype=np.float64)),
        "missing_common_rows": int((kept.common_row < 0).sum()),
        "common_rows": kept.common_lines,
        "unused_common_rows": kept.unused_common_rows(),
        "dropped_occurrences": lost["dropped"].tolist(),
        "empty_impressions": lost["empty"].tolist(),
        "unknown_impressions": lost["unknown"].tolist(),
    }


def records_path(work: Path, name: str) -> Path:
    """Return the path of the framed records of a partition."""
    return work / "records" / f"{name}.records"


def index_path(work: Path, name: str) -> Path:
    """Return the path of the index of a partition's records."""
    return work / "records" / f"{name}.index"


def _without_unknown(partition: Partition, job: RecordsJob) -> tuple[Partition, dict[str, I64]]:
    """Drop the ids that are not in the vocabulary.

    Returns:
        The rest, and for each field of the schema in impressions: ids that were ``dropped``, impressions that are
        ``empty`` in the log, and those whose ids are all ``unknown``.
    """
    schema, vocabulary = job.schema, EveryId() if job.keeps_all else VocabularyFilter(job.work, job.schema)
    impressions = partition.impressions
    ones = np.ones(len(impressions.keys), np.int64)
    common, of_user = _filter(partition.common, schema.user_fields, vocabulary, partition.uses(), schema)
    features, own = _filter(impressions.features, schema.impression_fields, vocabulary, ones, schema)
    lost = {name: of_user[name] + own[name] for name in own}
    user_places = [schema.fields.index(field) for field in schema.user_fields]
    lost["empty"][user_places] += int((partition.common_row < 0).sum())
    return replace(partition, common=common, impressions=replace(impressions, features=features)), lost


def _filter(
    rows: FeatureRows, owned: Sequence[Field], vocabulary: VocabularyFilter | EveryId, uses: I64, schema: Schema
) -> tuple[FeatureRows, dict[str, I64]]:
    """Drop ids of the fields of one owner, as ``_without_unknown`` does; ``uses`` are impressions of each row."""
    keep = np.ones(len(rows.ids), np.bool_)
    dropped, empty, unknown = (np.zeros(len(schema.fields), np.int64) for _ in range(3))
    places = [schema.fields.index(field) for field in owned]
    field_of_feature, row_of_feature = rows.field_of_feature(), rows.row_of_feature()
    by_field = np.argsort(field_of_feature, kind="stable")  # in linear time
    begins = splits_of(rows.lengths.sum(axis=0, dtype=np.int64))
    is_empty = rows.lengths == 0
    for index, (in_schema, field) in enumerate(zip(places, owned, strict=True)):
        at = by_field[begins[index] : begins[index + 1]]
        if field.missing == "id" and not field.cross:  # the value is missing, and has an id of its own
            is_empty[row_of_feature[at[rows.ids[at] == missing_id(field.id_space)]], index] = True
        kept = vocabulary.contains(schema.id_space_index(field), rows.ids[at])
        gone = at[~kept]
        keep[gone] = False
        dropped[in_schema] = int(uses[row_of_feature[gone]].sum())
    kept_rows = rows if keep.all() else rows.keep(keep)
    empty[places] = uses @ is_empty
    unknown[places] = uses @ ((kept_rows.lengths == 0) & ~is_empty)
    return kept_rows, {"dropped": dropped, "empty": empty, "unknown": unknown}


def _with_labels(partition: Partition, labels: U8) -> Partition:
    impressions = partition.impressions
    return replace(partition, impressions=replace(impressions, targets=replace(impressions.targets, labels=labels)))


def _write(job: RecordsJob, name: str, partition: Partition, groups: RecordGroups) -> npt.NDArray[np.void]:
    """Write the records of a partition; return their index, all but the offsets."""
    encode = _Encoders(job.schema, partition)
    index = np.zeros(len(groups.record_keys), INDEX_DTYPE)
    index["key"], index["impressions"] = groups.record_keys, np.diff(groups.splits)
    groups_at_once = max(1, _IMPRESSIONS_AT_ONCE // job.group_size)
    with replaced(records_path(job.work, name)) as temporary, temporary.open("wb") as file:
        for first in range(0, len(index), groups_at_once):
            splits = groups.splits[first : first + groups_at_once + 1]
            framed = encode.records(groups.order[splits[0] : splits[-1]], splits - splits[0])
            here = slice(first, first + len(framed.crcs))
            lengths = np.diff(framed.splits)
            _check_lengths(lengths, job.group_size)
            index["length"][here], index["crc"][here] = lengths, framed.crcs
            file.write(framed.data.data)
    return index


class _Encoders:
    """Encodes the records of one partition."""

    def __init__(self, schema: Schema, partition: Partition) -> None:
        """Encode the user parts, each of which may stand in several records."""
        self._partition = partition
        # The last part is that of impressions without a common row.
        rows = FeatureRows.joined([partition.common, no_user(schema.user_fields)])
        self._num_users = len(rows.lengths)
        self._users = UserParts.of(user_encoder(schema.user_fields).encode(rows, np.arange(self._num_users + 1)))
        self._features = impression_encoder(schema.impression_fields)

    def records(self, members: I64, splits: I64) -> FramedRecords:
        """Return framed records: record i holds the impressions members[splits[i] : splits[i + 1]]."""
        impressions = self._partition.impressions
        own = self._features.encode(impressions.features.take(members), splits)
        users = self._partition.common_row[members[splits[:-1]]]
        return framed_records(
            self._users,
            np.where(users < 0, self._num_users - 1, users),
            [*own, *encode_targets(impressions.targets.take(members), splits)],
        )


def _check_lengths(lengths: I64, group_size: int) -> None:
    longest = int(lengths.max(initial=0))
    if longest > MAX_RECORD_BYTES:
        raise ConfigError(
            f"A record of up to {group_size} impressions has {longest:,} bytes, and readers take {MAX_RECORD_BYTES:,} "
            "at the most. Set a smaller group_size."
        )
