"""A tiny grouped data set, written with plain TensorFlow: what ``preprocess`` writes, small enough to reason about."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from esmm_dist.process.quiet import import_tensorflow
from esmm_dist.schema.checksum import file_crc32c
from esmm_dist.schema.fields import Field, Schema
from esmm_dist.schema.manifest import MANIFEST_NAME, Compression, DatasetManifest, Shard, Split
from esmm_dist.schema.sources import FlatSource

Values = list[tuple[int, float]]
"""(feature id, weight) of one field."""

USERS, HISTORY, ITEMS, TAGS = 1000, 2000, 3000, 4000
"""First feature id of each field."""


@dataclass(frozen=True, kw_only=True)
class Impression:
    sample_id: int
    labels: tuple[int, ...]
    fields: list[Values]
    weight: float = 1.0
    """Written where the schema has sample weights."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """One record."""

    fields: list[Values]
    impressions: list[Impression]


def tiny_schema(**changes: Any) -> Schema:
    """Return two user fields (one of them weighted lists) and two item fields, with a chain of two labels."""
    fields = (
        Field(name="user", owner="user"),
        Field(name="history", owner="user", multi_hot=True, weighted=True, combiner="mean"),
        Field(name="item", owner="item"),
        Field(name="tags", owner="item", multi_hot=True),
    )
    return Schema(**{"name": "tiny", "labels": ("click", "conversion"), "fields": fields, **changes})


def weighted_schema(weight: str | None = "weight") -> Schema:
    """Return the tiny schema of a flat log, with the column of its sample weights or None."""
    labels = {"click": "clicked", "conversion": "bought"}
    return tiny_schema(source=FlatSource(form="flat", files={"train": "log.csv"}, labels=labels, weight=weight))


def weighted(groups: list[Group], weight_of: Callable[[int], float]) -> list[Group]:
    """Return groups whose impressions have the weights that a function gives their sample ids."""
    return [
        replace(group, impressions=[replace(i, weight=weight_of(i.sample_id)) for i in group.impressions])
        for group in groups
    ]


def tiny_groups(number: int, *, seed: int = 1, first_sample: int = 0) -> list[Group]:
    """Return ``number`` groups of 1 to 4 impressions whose labels can be learned.

    Even items are clicked with probability 0.8, odd ones with 0.2; clicks of even users convert with probability 0.9,
    those of odd users with 0.3.
    """
    random = np.random.default_rng(seed)
    groups, sample = [], first_sample
    for _ in range(number):
        user = int(random.integers(20))
        history = [(HISTORY + int(i), float(i % 3 + 1)) for i in random.integers(0, 30, random.integers(0, 5))]
        impressions = []
        for _ in range(random.integers(1, 5)):
            item = int(random.integers(12))
            click = int(random.random() < (0.8 if item % 2 == 0 else 0.2))
            conversion = click * int(random.random() < (0.9 if user % 2 == 0 else 0.3))
            tags = [(TAGS + int(i), 1.0) for i in random.integers(0, 8, random.integers(0, 3))]
            fields = [[(ITEMS + item, 1.0)], tags]
            impressions.append(Impression(sample_id=sample, labels=(click, conversion), fields=fields))
            sample += 1
        groups.append(Group(fields=[[(USERS + user, 1.0)], history], impressions=impressions))
    return groups


def write_dataset(
    folder: Path,
    splits: dict[str, list[Group]],
    *,
    schema: Schema | None = None,
    lanes: int = 4,
    parts: int = 2,
    compression: Compression = "ZLIB",
) -> DatasetManifest:
    """Write a data set; record i goes to lane i modulo ``lanes``, and each lane is cut into ``parts`` shards."""
    schema = schema or tiny_schema()
    written = {}
    for split, groups in splits.items():
        (folder / split).mkdir(parents=True)
        shards = []
        for lane in range(lanes):
            mine = groups[lane::lanes]
            for part, places in enumerate(np.array_split(np.arange(len(mine)), parts)):
                path = f"{split}/lane-{lane:03d}-part-{part:03d}.tfrecord"
                shards.append(_write_shard(folder, path, [mine[i] for i in places], schema, lane, part, compression))
        impressions = [i for group in groups for i in group.impressions]
        written[split] = Split(
            records=len(groups),
            impressions=len(impressions),
            label_counts={label: sum(i.labels[k] for i in impressions) for k, label in enumerate(schema.labels)},
            broken_chains=dict.fromkeys(schema.labels[1:], 0),
            shards=tuple(shards),
        )
    all_groups = [group for groups in splits.values() for group in groups]
    manifest = DatasetManifest(
        schema=schema,
        compression=compression,
        lanes=lanes,
        group_size=4,
        splits=written,
        vocabulary_file="vocabulary.parquet",
        vocabulary_size=len({i for group in all_groups for values in group_values(group) for i, _ in values}),
    )
    (folder / MANIFEST_NAME).write_text(manifest.to_json())
    return manifest


def flat_schema(sample_id_form: Literal["number", "text"]) -> Schema:
    """Return ``tiny_schema`` of a flat log that names its impressions by numbers or by texts."""
    labels = {"click": "clicked", "conversion": "bought"}
    form = sample_id_form
    return tiny_schema(
        source=FlatSource(form="flat", files={"train": "a.csv"}, labels=labels, sample_id="id", sample_id_form=form)
    )


def sample_name(sample_id: int) -> bytes:
    """Return the text that names an impression where texts do: of several lengths, and not only ASCII."""
    return f"ø{sample_id:x}{'-' * (sample_id % 5)}".encode()


def group_values(group: Group) -> list[Values]:
    """Return the values of all fields of a group, its impressions' among them."""
    return [*group.fields, *(values for impression in group.impressions for values in impression.fields)]


def _write_shard(
    folder: Path, path: str, groups: list[Group], schema: Schema, lane: int, part: int, compression: Compression
) -> Shard:
    tf = import_tensorflow()
    with tf.io.TFRecordWriter(str(folder / path), "ZLIB" if compression == "ZLIB" else "") as writer:
        for group in groups:
            writer.write(serialized(group, schema))
    return Shard(
        path=path,
        lane=lane,
        part=part,
        records=len(groups),
        impressions=sum(len(group.impressions) for group in groups),
        file_bytes=(folder / path).stat().st_size,
        crc32c=file_crc32c(folder / path),
    )


def serialized(group: Group, schema: Schema) -> bytes:
    """Return the bytes of one record."""
    tf = import_tensorflow()
    user = group.fields
    impression = [values for i in group.impressions for values in i.fields]
    features = {
        "user_ids": _ints([id_ for values in user for id_, _ in values]),
        "user_lengths": _ints([len(values) for values in user]),
        "impression_ids": _ints([id_ for values in impression for id_, _ in values]),
        "impression_lengths": _ints([len(values) for values in impression]),
        "sample_ids": _ints([i.sample_id for i in group.impressions]),
        "labels": _ints([label for i in group.impressions for label in i.labels]),
    }
    for name, fields, values in (
        ("user_weights", schema.user_fields, user),
        ("impression_weights", schema.impression_fields, impression),
    ):
        if any(field.weighted for field in fields):
            weights = [weight for ids in values for _, weight in ids]
            features[name] = tf.train.Feature(float_list=tf.train.FloatList(value=weights))
    if schema.has_sample_weights:
        weights = [i.weight for i in group.impressions]
        features["sample_weights"] = tf.train.Feature(float_list=tf.train.FloatList(value=weights))
    if schema.has_text_sample_ids:
        names = [sample_name(i.sample_id) for i in group.impressions]
        features["sample_names"] = tf.train.Feature(bytes_list=tf.train.BytesList(value=names))
    example = tf.train.Example(features=tf.train.Features(feature=features))
    data: bytes = example.SerializeToString()
    return data


def _ints(values: list[int]) -> Any:
    tf = import_tensorflow()
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
