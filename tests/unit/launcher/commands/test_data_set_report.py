"""What ``esmm preprocess`` says of a data set, by hand-made manifests."""

from dataclasses import replace
from pathlib import Path

from esmm_dist.schema.manifest import DatasetManifest, Shard, Split
from launcher.commands.data_set_report import report_lines, report_mapping
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


OUT = Path("data")
NAME = tiny_schema().name


def test_each_split_is_told_with_its_labels_and_its_size():
    assert report_lines(OUT, manifest()) == [
        f"Data set data: schema {NAME}, 1,234 feature ids in use",
        # 4,000 bytes over 200 impressions
        "  train: 200 impressions in 40 records, 30 clicks, 4 conversions; 4 kB in 2 shards, 20 bytes an impression",
        "  test: 0 impressions in 40 records, 30 clicks, 4 conversions; 0 B in 0 shards",
    ]


def test_labels_whose_earlier_label_is_missing_are_told():
    lines = report_lines(OUT, manifest(splits={"train": split([100], 10, broken=1500)}))
    assert "4 conversions (1,500 conversions without click: kept, but not positive);" in lines[1]


def test_one_is_one():
    lines = report_lines(OUT, manifest(splits={"train": split([100], 10, broken=1)}))
    assert "4 conversions (1 conversion without click: kept, but not positive);" in lines[1]


def test_anomalies_are_told_by_label_and_the_one_before_it():
    schema = tiny_schema(labels=("click", "cart", "favourite after click"))
    counts = {"click": 5, "cart": 3, "favourite": 2}
    of_split = replace(split([100], 10), label_counts=counts, broken_chains={"cart": 0, "favourite": 1200})
    lines = report_lines(OUT, manifest(schema=schema, splits={"train": of_split}))
    assert "5 clicks, 3 carts, 2 favourites (1,200 favourites without click: kept, but not positive);" in lines[1]


def test_a_data_set_that_keeps_a_runs_ids_has_no_vocabulary_to_count():
    assert report_lines(OUT, manifest(vocabulary_size=0))[0] == f"Data set data: schema {NAME}, the ids of a run's rows"


def test_warnings_come_last():
    lines = report_lines(OUT, manifest(report={"warnings": ["Field 'a' says little."]}))
    assert lines[-1] == "Warning: Field 'a' says little."


def test_a_program_gets_the_same_as_numbers():
    report = {"warnings": [], "lines": {"train": 3}}
    found = report_mapping(OUT, replace(manifest(), report=report))
    assert found == {
        "data": "data",
        "schema": NAME,
        "vocabulary_size": 1234,
        "splits": {
            "train": {
                "impressions": 200, "records": 40, "label_counts": {"click": 30, "conversion": 4},
                "broken_chains": {"conversion": 0}, "bytes": 4000, "shards": 2,
            },
            "test": {
                "impressions": 0, "records": 40, "label_counts": {"click": 30, "conversion": 4},
                "broken_chains": {"conversion": 0}, "bytes": 0, "shards": 0,
            },
        },
        "report": report,
    }  # fmt: skip
