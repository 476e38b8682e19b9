"""Stage 5: join, filter, group and encode one partition; write its records ordered by key.

Beside the framed records stands an index, one entry a record (``INDEX_DTYPE``), that the dealing into lanes reads.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from esmm_dist.errors import ConfigError
from esmm_dist.schema.fields import Field, Schema
from preprocess.join.groups import Groups, group_impressions
from preprocess.join.partition import Partition, PartitionSource, load_partition
from preprocess.join.vocabulary import VocabularyFilter
from preprocess.read.feature_rows import FeatureRows, splits_of
from preprocess.workers import Result
from preprocess.write.encode import TargetEncoder, impression_encoder, no_user, user_encoder
from preprocess.write.example_proto import example
from preprocess.write.tfrecord import frame

I64 = npt.NDArray[np.int64]

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


def write_records(job: RecordsJob, source: PartitionSource) -> Result:
    """Write the records of one partition and their index; return what was counted."""
    partition = load_partition(job.work, source)
    vocabulary = VocabularyFilter(job.work, job.schema)
    uses = partition.uses()
    common, lost_user = _filter(partition.common, job.schema.user_fields, job.schema, vocabulary, uses)
    impressions = partition.impressions
    ones = np.ones(len(impressions.keys), np.int64)
    features, lost_own = _filter(impressions.features, job.schema.impression_fields, job.schema, vocabulary, ones)
    lost = {name: lost_user[name] + lost_own[name] for name in lost_user}
    without_user = int((partition.common_row < 0).sum())
    lost["empty"][[job.schema.fields.index(field) for field in job.schema.user_fields]] += without_user
    groups = group_impressions(
        impressions.keys,
        impressions.sample_ids,
        split=source.split,
        group_size=job.group_size,
        seed=job.seed,
        known_ranges=dict(source.known_ranges),
    )
    labels = np.minimum.accumulate(impressions.labels, axis=1)
    broken = (impressions.labels > labels).sum(axis=0)
    index = _write(job, source, partition, common, features, labels, groups)
    index["offset"] = splits_of(index["length"].astype(np.int64))[:-1]
    index.tofile(index_path(job.work, source.name))
    return {
        "records": len(index),
        "impressions": len(impressions.keys),
        "bytes": int(index["length"].sum(dtype=np.int64)),
        "label_counts": labels.sum(axis=0, dtype=np.int64).tolist(),
        "broken_chains": broken.tolist(),
        "sample_weight": None if impressions.weights is None else float(impressions.weights.sum(dtype=np.float64)),
        "missing_common_rows": without_user,
        "common_rows": partition.common_lines,
        "unused_common_rows": partition.unused_common_rows(),
        "dropped_occurrences": lost["dropped"].tolist(),
        "empty_impressions": lost["empty"].tolist(),
        "unknown_impressions": lost["unknown"].tolist(),
    }


def records_path(work: Path, name: str) -> Path:
    """Return where the framed records of a partition stand."""
    return work / "records" / f"{name}.records"


def index_path(work: Path, name: str) -> Path:
    """Return where the index of a partition's records stands."""
    return work / "records" / f"{name}.index"


def _filter(
    rows: FeatureRows, owned: tuple[Field, ...], schema: Schema, vocabulary: VocabularyFilter, uses: I64
) -> tuple[FeatureRows, dict[str, I64]]:
    """Drop ids that are not in the vocabulary.

    Returns:
        The rest, and for each field of the schema in impressions: ids that were ``dropped``, impressions that are
        ``empty`` in the log, and those whose ids are all ``unknown``.
    """
    keep = np.ones(len(rows.ids), np.bool_)
    dropped, empty, without = (np.zeros(len(schema.fields), np.int64) for _ in range(3))
    places = [schema.fields.index(field) for field in owned]
    field_of_feature, row_of_feature = rows.field_of_feature(), rows.row_of_feature()
    for index, (in_schema, field) in enumerate(zip(places, owned, strict=True)):
        at = np.flatnonzero(field_of_feature == index)
        kept = vocabulary.contains(schema.id_space_index(field), rows.ids[at])
        gone = at[~kept]
        keep[gone] = False
        dropped[in_schema] = int(uses[row_of_feature[gone]].sum())
    kept_rows = rows if keep.all() else rows.keep(keep)
    empty[places] = uses @ (rows.lengths == 0)
    without[places] = uses @ (kept_rows.lengths == 0)
    return kept_rows, {"dropped": dropped, "empty": empty, "unknown": without - empty}


def _write(
    job: RecordsJob,
    source: PartitionSource,
    partition: Partition,
    common: FeatureRows,
    features: FeatureRows,
    labels: npt.NDArray[np.uint8],
    groups: Groups,
) -> npt.NDArray[np.void]:
    encode_user = user_encoder(job.schema.user_fields)
    users = encode_user.encode(common, np.arange(len(common.lengths) + 1))
    # The last entry, which is index -1, is the user part of impressions without a common row.
    users += encode_user.encode(no_user(job.schema.user_fields), np.array([0, 1]))
    encode_features, encode_targets = impression_encoder(job.schema.impression_fields), TargetEncoder()
    index = np.zeros(len(groups.record_keys), INDEX_DTYPE)
    index["key"], index["impressions"] = groups.record_keys, np.diff(groups.splits)
    path = records_path(job.work, source.name)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    groups_at_once = max(1, _IMPRESSIONS_AT_ONCE // job.group_size)
    with temporary.open("wb") as file:
        for first in range(0, len(index), groups_at_once):
            splits = groups.splits[first : first + groups_at_once + 1]
            members = groups.order[splits[0] : splits[-1]]
            splits = splits - splits[0]
            own = encode_features.encode(features.take(members), splits)
            names, weights = partition.impressions.names, partition.impressions.weights
            targets = encode_targets.encode(
                partition.impressions.sample_ids[members],
                labels[members],
                splits,
                None if names is None else names.take(members),
                None if weights is None else weights[members],
            )
            user_rows = partition.common_row[members[splits[:-1]]].tolist()
            framed = [
                frame(example(b"".join((users[user], own_lists, target_lists))))
                for user, own_lists, target_lists in zip(user_rows, own, targets, strict=True)
            ]
            here = slice(first, first + len(framed))
            lengths = [len(record) for record in framed]
            _check_lengths(lengths, job.group_size)
            index["length"][here] = lengths
            index["crc"][here] = [int.from_bytes(record[-4:], "little") for record in framed]
            file.write(b"".join(framed))
    temporary.replace(path)
    return index


def _check_lengths(lengths: list[int], group_size: int) -> None:
    longest = max(lengths, default=0)
    if longest > MAX_RECORD_BYTES:
        raise ConfigError(
            f"A record of up to {group_size} impressions has {longest:,} bytes, and readers take {MAX_RECORD_BYTES:,} "
            "at the most. Set a smaller group_size."
        )
