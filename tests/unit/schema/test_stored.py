"""Files of version 0.1.0 do not say by which hash their ids are; this version takes them for what they are."""

import json
from pathlib import Path

import pytest

from esmm_dist.checkpoint.format import CheckpointFile, CheckpointManifest, read_checkpoint_manifest
from esmm_dist.errors import CheckpointError, InputDataError
from esmm_dist.schema.checksum import mapping_crc32c
from esmm_dist.schema.fields import Field, Schema
from esmm_dist.schema.manifest import DatasetManifest, read_manifest
from esmm_dist.schema.sources import AliCcpSource, FlatSource
from esmm_dist.schema.stored import with_named_hash
from esmm_dist.storage.folder import Folder

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


def test_a_checkpoint_of_a_flat_log_that_names_no_hash_is_refused_by_name(tmp_path: Path):
    manifest = CheckpointManifest(
        step=1,
        saved_at="2026-01-01T00:00:00Z",
        schema=manifest_of(FLAT).schema,
        settings={},
        state={},
        metrics={},
        dense=CheckpointFile(path="dense.npz", file_bytes=0, crc32c=0),
        tables=(),
    )
    path = tmp_path / "manifest.json"
    path.write_text(manifest.to_json())
    assert read_checkpoint_manifest(Folder.open(str(tmp_path))) == manifest
    mapping = json.loads(manifest.to_json())
    del mapping["crc32c"], mapping["schema"]["source"]["id_hash"]
    path.write_text(json.dumps({**mapping, "crc32c": mapping_crc32c(mapping)}))
    with pytest.raises(CheckpointError, match="source.id_hash is 'blake2b'"):
        read_checkpoint_manifest(Folder.open(str(tmp_path)))


def test_a_data_set_of_the_aliccp_form_is_read_as_before(tmp_path: Path):
    assert read_manifest(written(tmp_path, AliCcpSource(), named=False)) == manifest_of(AliCcpSource())


def test_what_is_no_schema_is_left_to_those_who_check_it():
    assert with_named_hash({"schema": 3}) == {"schema": 3}
    assert with_named_hash({"schema": {"source": None}}) == {"schema": {"source": None}}
