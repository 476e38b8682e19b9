"""What is said of a data set, by hand-made manifests."""

import os
from dataclasses import replace

from esmm_dist.api.data_set import DataSet
from esmm_dist.schema.manifest import DatasetManifest, Shard, Split
from tests.support.tiny_dataset import tiny_schema


def shard(size):
    return Shard(path="x", lane=0, part=0, records=1, impressions=1, file_bytes=size, crc32c=0)


def split(sizes, impressions, broken=0):
    return Split(
        records=40, impressions=impressions, label_counts={"click": 30, "conversion": 4},
        broken_chains={"conversion": broken}, shards=tuple(shard(size) for size in sizes),
    )  # fmt: skip


def manifest(**changes):
    values = {
        "schema": tiny_schema(), "compression": "ZLIB", "lanes": 2, "group_size": 8, "vocabulary_file": "vocabulary",
        "vocabulary_size": 1234, "splits": {"train": split([3000, 1000], 200), "test": split([], 0)},
    }  # fmt: skip
    return DatasetManifest(**{**values, **changes})


NAME = tiny_schema().name


def report_lines(of: DatasetManifest) -> list[str]:
    return DataSet(path="data", manifest=of).lines()


def test_each_split_is_told_with_its_labels_and_its_size():
    assert report_lines(manifest()) == [
        f"Data set data: schema {NAME}, 1,234 feature ids in use",
        # 4,000 bytes over 200 impressions
        "  train: 200 impressions in 40 records, 30 clicks, 4 conversions; 4 kB in 2 shards, 20 bytes an impression",
        "  test: 0 impressions in 40 records, 30 clicks, 4 conversions; 0 B in 0 shards",
    ]


def test_labels_whose_earlier_label_is_missing_are_told():
    lines = report_lines(manifest(splits={"train": split([100], 10, broken=1500)}))
    assert "4 conversions (1,500 conversions without click: kept, but not positive);" in lines[1]


def test_one_is_one():
    lines = report_lines(manifest(splits={"train": split([100], 10, broken=1)}))
    assert "4 conversions (1 conversion without click: kept, but not positive);" in lines[1]


def test_anomalies_are_told_by_label_and_the_one_before_it():
    schema = tiny_schema(labels=("click", "cart", "favourite after click"))
    counts = {"click": 5, "cart": 3, "favourite": 2}
    of_split = replace(split([100], 10), label_counts=counts, broken_chains={"cart": 0, "favourite": 1200})
    lines = report_lines(manifest(schema=schema, splits={"train": of_split}))
    assert "5 clicks, 3 carts, 2 favourites (1,200 favourites without click: kept, but not positive);" in lines[1]


def test_a_data_set_that_keeps_a_runs_ids_has_no_vocabulary_to_count():
    assert report_lines(manifest(vocabulary_size=0))[0] == f"Data set data: schema {NAME}, the ids of a run's rows"


def test_warnings_come_last():
    lines = report_lines(manifest(report={"warnings": ["Field 'a' says little."]}))
    assert lines[-1] == "Warning: Field 'a' says little."


def test_a_data_set_shows_itself_and_stands_where_a_path_is_expected():
    found = DataSet(path="s3://bucket/data", manifest=manifest())
    assert repr(found) == "\n".join(found.lines())
    assert (os.fspath(found), found.schema, found.impressions) == (
        "s3://bucket/data",
        tiny_schema(),
        {"train": 200, "test": 0},
    )
