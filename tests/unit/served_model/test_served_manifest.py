"""The manifest of a served model: its text is that of the golden file, whatever is written later."""

from pathlib import Path

import pytest

from esmm_dist.schema.fields import Field, Schema
from esmm_dist.schema.numeric import Numeric
from esmm_dist.schema.sources import FlatSource
from esmm_dist.served_model.manifest import (
    ServedBase,
    ServedFile,
    ServedManifest,
    ServedShard,
    ServedTable,
    read_served_manifest,
)
from esmm_dist.storage.folder import Folder

GOLDEN = Path(__file__).with_name("golden_served_manifest_1.json")


def described(path: str, number: int) -> ServedFile:
    return ServedFile(path=path, file_bytes=100 + number, crc32c=number)


MANIFEST = ServedManifest(
    model_id="00112233445566778899aabbccddeeff",
    base=ServedBase(model_id="ffeeddccbbaa99887766554433221100", version="3"),
    run="s3://bucket/run",
    step=1038,
    seed=5,
    schema=Schema(
        name="shop",
        labels=("click", "conversion"),
        fields=(
            Field(name="user_id", owner="user"),
            Field(name="price", owner="item", numeric=Numeric(buckets="quantile 3", edges=(1.5, 20.0))),
        ),
        source=FlatSource(form="flat", files={"train": "log.csv"}, labels={"click": "clicked", "conversion": "bought"}),
    ),
    seen_fields=("user_id",),
    lists=("tags",),
    uses_norms=True,
    calibrated=True,
    tables=(
        ServedTable(
            name="main",
            embedding_dim=16,
            row_type="int8",
            rows=12,
            start_rows=None,
            shards=(
                ServedShard(
                    first_bucket=0,
                    last_bucket=4096,
                    rows=2,
                    ids=described("tables/main-0000.ids.npy", 1),
                    begins=described("tables/main-0000.begins.npy", 2),
                    values=described("tables/main-0000.rows.npy", 3),
                    scales=described("tables/main-0000.scales.npy", 4),
                    removed=described("tables/main-0000.removed.npy", 5),
                ),
            ),
        ),
    ),
    towers=(described("towers/saved_model.pb", 6),),
    settings={"row_type": "int8", "min_count": 2, "calibrate": True, "fields": ["user_id"], "note": None},
)


def test_the_text_is_that_of_the_golden_file():
    assert MANIFEST.to_json() == GOLDEN.read_text(encoding="utf-8")


def test_the_golden_file_is_read_as_what_it_was_written_from(tmp_path):
    (tmp_path / "manifest.json").write_bytes(GOLDEN.read_bytes())
    assert read_served_manifest(Folder.open(tmp_path)) == MANIFEST


def test_files_are_those_of_towers_and_tables():
    numbers = [file.crc32c for file in MANIFEST.files()]
    assert sorted(numbers) == [1, 2, 3, 4, 5, 6]


def test_a_missing_manifest_is_told_from_a_damaged_one(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_served_manifest(Folder.open(tmp_path))
