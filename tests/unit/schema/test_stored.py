"""Files of version 0.1.0 do not say by which hash their ids are; this version takes them for what they are."""

import json
from pathlib import Path

import pytest

from esmm_dist.errors import InputDataError
from esmm_dist.schema.fields import Field, Schema
from esmm_dist.schema.manifest import DatasetManifest, read_manifest
from esmm_dist.schema.sources import AliCcpSource, FlatSource
from esmm_dist.schema.stored import with_named_hash

FLAT = FlatSource(form="flat", files={"train": "t.csv"}, labels={"click": "c", "order": "o"})


def manifest_of(source: AliCcpSource | FlatSource) -> DatasetManifest:
    schema = Schema(name="s", labels=("click", "order"), fields=(Field(name="item", owner="item"),), source=source)
    return DatasetManifest(
        schema=schema,
        compression="ZLIB",
        lanes=1,
        group_size=1,
        splits={},
        vocabulary_file="vocabulary.parquet",
        vocabulary_size=0,
    )


def written(folder: Path, source: AliCcpSource | FlatSource, *, named: bool) -> Path:
    mapping = json.loads(manifest_of(source).to_json())
    del mapping["crc32c"]  # of a data set from before there was one
    if not named:
        mapping["schema"]["source"].pop("id_hash", None)
    (folder / "manifest.json").write_text(json.dumps(mapping))
    return folder


def test_a_data_set_of_a_flat_log_that_names_no_hash_is_refused_by_name(tmp_path: Path):
    with pytest.raises(InputDataError, match="source.id_hash is 'blake2b'.* Make the data set again"):
        read_manifest(written(tmp_path, FLAT, named=False))
    assert read_manifest(written(tmp_path, FLAT, named=True)) == manifest_of(FLAT)


def test_a_data_set_of_the_aliccp_form_is_read_as_before(tmp_path: Path):
    assert read_manifest(written(tmp_path, AliCcpSource(), named=False)) == manifest_of(AliCcpSource())


def test_what_is_no_schema_is_left_to_those_who_check_it():
    assert with_named_hash({"schema": 3}) == {"schema": 3}
    assert with_named_hash({"schema": {"source": None}}) == {"schema": {"source": None}}
