"""What older files leave unsaid is taken for what it meant: the hash of ids, and that labels are names."""

import json
from pathlib import Path

import pytest

from esmm_dist.checkpoint.format import CheckpointFile, CheckpointManifest, read_checkpoint_manifest
from esmm_dist.errors import CheckpointError, InputDataError
from esmm_dist.schema.checksum import mapping_crc32c
from esmm_dist.schema.fields import Field, Schema
from esmm_dist.schema.manifest import DatasetManifest, read_manifest
from esmm_dist.schema.sources import AliCcpSource, FlatSource
from esmm_dist.schema.stored import with_old_meaning
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
    assert with_old_meaning({"schema": 3}) == {"schema": 3}
    assert with_old_meaning({"schema": {"source": None}}) == {"schema": {"after": {}, "source": None}}


def test_a_label_with_after_in_its_name_is_a_name_in_a_data_set_from_before_trees(tmp_path: Path):
    """A manifest as it was written then: it counts by label names, and has no ``after`` in its schema."""
    mapping = json.loads(manifest_of(AliCcpSource()).to_json())
    del mapping["crc32c"], mapping["schema"]["after"]
    mapping["schema"]["labels"] = ["click", "buy after click", "pay after buy"]
    counts = {"click": 2, "buy after click": 1, "pay after buy": 1}
    train = {"records": 3, "impressions": 3, "label_counts": counts, "broken_chains": {}, "shards": []}
    mapping["splits"] = {"train": train}
    text = json.dumps({**mapping, "crc32c": mapping_crc32c(mapping)}, indent=1) + "\n"
    (tmp_path / "manifest.json").write_text(text)
    read = read_manifest(tmp_path)
    assert (
        read.schema.labels == ("click", "buy after click", "pay after buy") == tuple(read.splits["train"].label_counts)
    )
    assert read.schema.label_tree.parents == (-1, 0, 1)
    (tmp_path / "manifest.json").write_text(read.to_json())
    assert read_manifest(tmp_path) == read


def test_so_is_one_in_a_checkpoint_from_before_trees(tmp_path: Path):
    schema = Schema(name="s", labels=("click", "buy after click"), after={}, fields=(Field(name="item", owner="item"),))
    manifest = CheckpointManifest(
        step=1,
        saved_at="2026-01-01T00:00:00Z",
        schema=schema,
        settings={},
        state={},
        metrics={},
        dense=CheckpointFile(path="dense.npz", file_bytes=0, crc32c=0),
        tables=(),
    )
    mapping = json.loads(manifest.to_json())
    del mapping["crc32c"], mapping["schema"]["after"]
    (tmp_path / "manifest.json").write_text(json.dumps({**mapping, "crc32c": mapping_crc32c(mapping)}))
    assert read_checkpoint_manifest(Folder.open(str(tmp_path))) == manifest
