"""A damaged file of a version is named, with what to do; an undamaged model goes on answering."""

import json
import shutil
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from esmm_dist.errors import EsmmError, ServedModelError
from esmm_dist.schema.checksum import mapping_crc32c
from esmm_dist.served_model.manifest import ServedFile, read_served_manifest
from esmm_dist.served_model.mapped_model import MappedModel
from esmm_dist.served_model.npy_files import write_npy
from esmm_dist.storage.folder import Folder
from tests.support.damage import flip_bit, remove
from tests.support.served_models import random_rows, write_change, write_version

REPAIR = "Copy the version again from where it was exported, or export it again."


def a_foreign_file(path):
    """Put what another table's export wrote in its place: of the same size, whole, and another."""
    if path.suffix != ".npy":
        path.write_bytes(bytes(reversed(path.read_bytes())))
        return
    array = np.load(path)
    np.save(path, array + 1)


def cut(path):
    """Take the last bytes away; the very last one of a manifest says nothing."""
    path.write_bytes(path.read_bytes()[:-3])


@pytest.fixture(scope="module")
def versions(tmp_path_factory):
    """Two versions, a full one and a delta of it, int8: with every kind of file."""
    folder = tmp_path_factory.mktemp("versions")
    rows = random_rows(range(300), 4)
    tables = {"main": rows, "items": random_rows([1], 3)}
    base = MappedModel.open([write_version(folder / "1", tables, "int8")])
    changed = {**rows, 5: -rows[5]}
    del changed[9]
    write_change(folder / "2.delta", {"main": changed, "items": {}}, base, "int8")
    return folder


def test_the_versions_have_every_kind_of_file(versions):
    names = {path.name for path in versions.rglob("*") if path.is_file()}
    kinds = ["ids.npy", "rows.npy", "scales.npy", "begins.npy"]
    assert names == {
        "manifest.json",
        "saved_model.pb",
        "main.start_rows.npy",
        "items.start_rows.npy",
        "main-0000.removed.npy",
        "items-0000.removed.npy",
        *(f"{table}-0000.{kind}" for table in ("main", "items") for kind in kinds),
    }


FILES = [
    ("1", "manifest.json"),
    ("1", "towers/saved_model.pb"),
    ("1", "tables/main-0000.ids.npy"),
    ("1", "tables/main-0000.rows.npy"),
    ("1", "tables/main-0000.scales.npy"),
    ("1", "tables/main-0000.begins.npy"),
    ("1", "tables/main.start_rows.npy"),
    ("2.delta", "manifest.json"),
    ("2.delta", "towers/saved_model.pb"),
    ("2.delta", "tables/main-0000.rows.npy"),
    ("2.delta", "tables/main-0000.removed.npy"),
    ("2.delta", "tables/items-0000.removed.npy"),
]


@pytest.mark.parametrize("damage", [flip_bit, cut, remove, a_foreign_file])
@pytest.mark.parametrize(("version", "name"), FILES)
def test_a_damaged_file_is_named_with_what_to_do(versions, tmp_path, damage, version, name):
    folder = shutil.copytree(versions, tmp_path / "versions")
    base = MappedModel.open([versions / "1"])
    damage(folder / version / "served" / name)
    open_it = base.with_delta if version == "2.delta" else lambda folder: MappedModel.open([folder])
    with pytest.raises(ServedModelError) as raised:
        open_it(folder / version)
    assert str(folder / version / "served" / name) in str(raised.value)
    assert "again" in str(raised.value)
    if damage is not remove and damage is not cut and name != "manifest.json":
        assert str(raised.value).endswith(f"has another checksum than the manifest: its bytes changed. {REPAIR}")
    assert base.tables["main"].knows(np.array([9])).all()  # the old model answers


@pytest.mark.parametrize("damage", [cut, remove])
def test_without_checksums_what_is_cut_or_missing_is_still_named(versions, tmp_path, damage):
    folder = shutil.copytree(versions, tmp_path / "versions")
    damage(folder / "1/served/tables/main-0000.rows.npy")
    with pytest.raises(ServedModelError, match=r"main-0000.rows.npy (has [\d,]+ bytes, the manifest says|is missing)"):
        MappedModel.open([folder / "1"], verify=False)


def test_a_folder_in_the_place_of_a_file_is_named(versions, tmp_path):
    folder = shutil.copytree(versions, tmp_path / "versions")
    path = folder / "1/served/tables/main-0000.rows.npy"
    size = path.stat().st_size
    path.unlink()
    path.mkdir()
    manifest = read_served_manifest(Folder.open(folder / "1/served"))
    [shard] = manifest.tables[0].shards
    shard = replace(shard, values=replace(shard.values, file_bytes=path.stat().st_size))
    rewrite(folder / "1", with_shard(manifest, shard))
    assert size
    with pytest.raises(ServedModelError, match=r"main-0000.rows.npy cannot be read: Is a directory. Check its perm"):
        MappedModel.open([folder / "1"])


def rewrite(folder, manifest):
    (folder / "served/manifest.json").write_text(manifest.to_json())


def with_shard(manifest, *shards):
    return replace(manifest, tables=(replace(manifest.tables[0], shards=shards), *manifest.tables[1:]))


def put(folder, file: ServedFile, array) -> ServedFile:
    """Put another array into a file, and return its description."""
    return write_npy(folder / "served", file.path, array)


CASES = {
    "ids": (np.zeros(300, np.int32), "main-0000.ids.npy holds int32 [300], expected int64 [300]. "),
    "values": (np.zeros((300, 5), np.int8), "main-0000.rows.npy holds int8 [300, 5], expected int8 [300, 4]. "),
    "scales": (np.zeros(3, np.float32), "main-0000.scales.npy holds float32 [3], expected float32 [300]. "),
    "begins": (np.zeros(4097, np.int64), "main-0000.begins.npy does not ascend from 0 to 300. "),
}


@pytest.mark.parametrize("kind", list(CASES))
def test_a_whole_file_that_is_no_such_array_is_refused_before_it_is_read(versions, tmp_path, kind):
    folder = shutil.copytree(versions / "1", tmp_path / "1")
    manifest = read_served_manifest(Folder.open(folder / "served"))
    [shard] = manifest.tables[0].shards
    array, text = CASES[kind]
    changes: dict[str, Any] = {kind: put(folder, getattr(shard, kind), array)}
    rewrite(folder, with_shard(manifest, replace(shard, **changes)))
    with pytest.raises(ServedModelError) as raised:
        MappedModel.open([folder])
    assert text + REPAIR in str(raised.value)


def test_a_file_that_is_no_array_is_refused(versions, tmp_path):
    folder = shutil.copytree(versions / "1", tmp_path / "1")
    manifest = read_served_manifest(Folder.open(folder / "served"))
    [shard] = manifest.tables[0].shards
    (folder / "served" / shard.ids.path).write_bytes(b"")
    rewrite(folder, with_shard(manifest, replace(shard, ids=replace(shard.ids, file_bytes=0, crc32c=0))))
    with pytest.raises(ServedModelError, match=r"main-0000.ids.npy cannot be mapped: "):
        MappedModel.open([folder])


def test_removed_ids_of_other_buckets_are_refused(versions, tmp_path):
    folder = shutil.copytree(versions / "2.delta", tmp_path / "2.delta")
    manifest = read_served_manifest(Folder.open(folder / "served"))
    [shard] = manifest.tables[0].shards
    shard = replace(shard, first_bucket=0, last_bucket=1, begins=put(folder, shard.begins, np.array([0, shard.rows])))
    rewrite(folder, with_shard(manifest, shard))
    with pytest.raises(ServedModelError, match=r"main-0000.removed.npy holds ids of other buckets. Copy"):
        MappedModel.open([versions / "1"]).with_delta(folder)


def with_members(folder, **changes):
    """Change members of a manifest; its checksum fits."""
    path = folder / "served/manifest.json"
    mapping = {**json.loads(path.read_text()), **changes}
    del mapping["crc32c"]
    path.write_text(json.dumps({**mapping, "crc32c": mapping_crc32c(mapping)}, indent=1))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"format": "esmm_dist.checkpoint"}, "is not the manifest of a served model. Give a folder that esmm export"),
        ({"format_version": 2}, "has format version 2, not 1. Serve it with the version of esmm_dist that wrote it"),
        ({"step": "soon"}, "step: Input should be a valid integer"),
        (
            {"towers": [{"path": "../x", "file_bytes": 1, "crc32c": 2}]},
            "names '../x', which is outside of its folder. Export the version again, or copy it again.",
        ),
    ],
)
def test_a_manifest_that_no_export_writes_is_refused(versions, tmp_path, changes, text):
    folder = shutil.copytree(versions / "1", tmp_path / "1")
    with_members(folder, **changes)
    with pytest.raises(ServedModelError) as raised:
        MappedModel.open([folder])
    assert str(raised.value).startswith(str(folder / "served/manifest.json"))
    assert text in str(raised.value)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"first_bucket": 7, "last_bucket": 7}, "has a shard of table 'main' with buckets 7 to 7. "),
        ({"last_bucket": 4097}, "has a shard of table 'main' with buckets 0 to 4097. "),
        ({"scales": None}, "has a shard of table 'main' whose scales do not fit rows of int8. "),
    ],
)
def test_a_shard_that_no_export_writes_is_refused(versions, tmp_path, change, text):
    folder = shutil.copytree(versions / "1", tmp_path / "1")
    manifest = read_served_manifest(Folder.open(folder / "served"))
    [shard] = manifest.tables[0].shards
    rewrite(folder, with_shard(manifest, replace(shard, **change)))
    with pytest.raises(ServedModelError, match=text):
        MappedModel.open([folder])


def test_start_rows_belong_to_full_versions_alone(versions, tmp_path):
    folder = shutil.copytree(versions / "1", tmp_path / "1")
    manifest = read_served_manifest(Folder.open(folder / "served"))
    rewrite(folder, replace(manifest, tables=(replace(manifest.tables[0], start_rows=None), *manifest.tables[1:])))
    with pytest.raises(ServedModelError, match="has a table 'main' whose start rows do not fit a model. "):
        MappedModel.open([folder])


def test_a_folder_without_a_manifest_is_no_model(tmp_path):
    with pytest.raises(EsmmError, match=rf"{tmp_path}/served/manifest.json is missing: {tmp_path} is no served model"):
        MappedModel.open([tmp_path])
