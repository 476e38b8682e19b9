"""The manifest of a data set: written, read back, and refused where it is damaged."""

import json
from pathlib import Path

import pytest

from esmm_dist.errors import InputDataError
from esmm_dist.schema import load_schema
from esmm_dist.schema.manifest import DatasetManifest, Shard, Split, read_manifest


def manifest() -> DatasetManifest:
    shard = Shard(path="train/x", lane=0, part=0, records=1, impressions=2, file_bytes=3, crc32c=4)
    split = Split(
        records=1,
        impressions=2,
        label_counts={"click": 1, "conversion": 0},
        broken_chains={"conversion": 0},
        shards=(shard,),
    )
    return DatasetManifest(
        schema=load_schema("aliccp"),
        compression="ZLIB",
        lanes=1,
        group_size=8,
        splits={"train": split},
        vocabulary_file="vocabulary.parquet",
        vocabulary_size=5,
    )


def test_manifest_is_read_as_it_was_written(tmp_path: Path):
    (tmp_path / "manifest.json").write_text(manifest().to_json())
    assert read_manifest(tmp_path) == manifest()


def test_manifest_whose_bytes_changed_is_refused_even_where_it_still_makes_sense(tmp_path: Path):
    (tmp_path / "manifest.json").write_text(manifest().to_json().replace('"records": 1', '"records": 3'))
    with pytest.raises(InputDataError, match=r"manifest\.json has another checksum than the one it ends with"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("records", [0, -5])
def test_blocks_without_records_are_refused(tmp_path: Path, records: int):
    mapping = json.loads(manifest().to_json())
    mapping["splits"]["train"]["shuffle_block_records"] = records
    del mapping["crc32c"]
    (tmp_path / "manifest.json").write_text(json.dumps(mapping))
    with pytest.raises(InputDataError, match=f"shuffle_block_records is {records}; 1 is the least. Make the data set"):
        read_manifest(tmp_path)


def test_manifest_from_before_there_was_a_checksum_is_read(tmp_path: Path):
    mapping = json.loads(manifest().to_json())
    del mapping["crc32c"]
    (tmp_path / "manifest.json").write_text(json.dumps(mapping))
    assert read_manifest(tmp_path) == manifest()


def test_folder_without_a_manifest_is_no_data_set(tmp_path: Path):
    with pytest.raises(InputDataError, match=r"holds no manifest\.json, so it is not a finished data set"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"manifest\.json cannot be read"),
        ("[" * 100_000, r"manifest\.json cannot be read \(maximum recursion depth"),
        ("[]", r"is not the manifest of a data set"),
        ('{"format": "other"}', r"is not the manifest of a data set"),
        ('{"format": "esmm_dist.dataset", "format_version": 99}', r"has format version 99; this program reads 1"),
        ('{"format": "esmm_dist.dataset", "format_version": 1}', r"manifest\.json: schema is missing"),
    ],
)
def test_damaged_or_foreign_manifest_is_refused(tmp_path: Path, text: str, message: str):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(InputDataError, match=message):
        read_manifest(tmp_path)
