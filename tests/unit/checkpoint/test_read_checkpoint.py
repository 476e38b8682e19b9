"""A damaged checkpoint is refused by the name of the file, and the one before is used."""

import json
from pathlib import Path

import numpy as np
import pytest

from esmm_dist.checkpoint.format import CheckpointManifest, checkpoint_folders, read_checkpoint_manifest
from esmm_dist.checkpoint.listing import list_checkpoints
from esmm_dist.checkpoint.reader import Checkpoint, newest_checkpoint, verified_checkpoint
from esmm_dist.config import build
from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.embedded_store import EmbeddedStore
from esmm_dist.errors import CheckpointError
from tests.unit.checkpoint.saved_rows import Messages, SavedRows, save

FILES = ("dense.npz", "main-0000-4096.arrow", "manifest.json")


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x04
    path.write_bytes(data)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", [flip_a_bit, truncate, Path.unlink])
def test_a_damaged_file_is_named_and_the_checkpoint_before_is_used(tmp_path, name, damage):
    save(tmp_path, 10)
    newest = save(tmp_path, 20)
    damage(newest / name)
    progress = Messages()
    checkpoint = newest_checkpoint(tmp_path, progress)
    assert checkpoint is not None
    assert checkpoint.manifest.step == 10
    (text,) = progress.texts
    assert text.startswith(f"Checkpoint step-00000020 is damaged and not used: {newest / name} ")
    assert newest.is_dir()  # left for a look at it


@pytest.mark.parametrize("place", range(0, 1000, 37))
def test_a_bit_flipped_anywhere_in_a_manifest_is_noticed(tmp_path, place):
    # digits and letters would leave valid JSON of another content
    path = save(tmp_path, 10) / "manifest.json"
    data = bytearray(path.read_bytes())
    while data[place : place + 1].isspace():  # between members, where it changes nothing
        place += 1
    data[place] ^= 0x01
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"manifest.json"):
        read_checkpoint_manifest(path.parent)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (flip_a_bit, "has another checksum than the manifest: its bytes changed"),
        (truncate, r"has \d+ bytes, the manifest says \d+"),
        (Path.unlink, "is missing"),
    ],
)
def test_the_kind_of_damage_is_told(tmp_path, damage, message):
    folder = save(tmp_path, 10)
    damage(folder / "dense.npz")
    with pytest.raises(CheckpointError, match=f"{folder / 'dense.npz'} {message}"):
        verified_checkpoint(folder)


def test_a_run_whose_checkpoints_are_all_damaged_is_not_begun_anew(tmp_path):
    for step in (10, 20):
        flip_a_bit(save(tmp_path, step) / "dense.npz")
    progress = Messages()
    with pytest.raises(CheckpointError, match=f"All 2 checkpoints of {tmp_path} are damaged. Restore one"):
        newest_checkpoint(tmp_path, progress)
    assert len(progress.texts) == 2


def test_a_run_without_checkpoints_has_no_newest(tmp_path):
    assert newest_checkpoint(tmp_path, Messages()) is None
    (tmp_path / "checkpoints").mkdir()
    assert newest_checkpoint(tmp_path, Messages()) is None


def test_unfinished_and_foreign_folders_are_no_checkpoints(tmp_path):
    save(tmp_path, 10)
    for name in (".writing-step-00000099", "step-x", "stepping", "step-"):
        (tmp_path / "checkpoints" / name).mkdir()
    assert [path.name for path in checkpoint_folders(tmp_path)] == ["step-00000010"]


def test_checkpoints_are_ordered_by_number_and_not_by_name(tmp_path):
    for step in (5, 123_456_789, 40):
        save(tmp_path, step)
    assert [path.name for path in checkpoint_folders(tmp_path)] == ["step-123456789", "step-00000040", "step-00000005"]


def rewritten(folder: Path, change: dict) -> None:
    """Change the manifest and give it the checksum that fits."""
    mapping = json.loads((folder / "manifest.json").read_text())
    del mapping["crc32c"]
    manifest = build(CheckpointManifest, {**mapping, **change}, where="test")
    (folder / "manifest.json").write_text(manifest.to_json())


def test_a_file_outside_the_checkpoint_is_refused(tmp_path):
    folder = save(tmp_path, 10)
    outside = tmp_path / "checkpoints/dense.npz"
    (folder / "dense.npz").rename(outside)
    files = json.loads((folder / "manifest.json").read_text())["files"]
    files[0]["path"] = "../dense.npz"
    rewritten(folder, {"files": files})
    with pytest.raises(CheckpointError, match=r"names '\.\./dense.npz', which is outside the checkpoint"):
        verified_checkpoint(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]", "manifest.json is not the manifest of a checkpoint"),
        ('{"format": "esmm_dist.dataset"}', "is not the manifest of a checkpoint"),
        ('{"format": "esmm_dist.checkpoint", "format_version": 9}', "has format version 9, not 1"),
        ('{"format": "esmm_dist.checkpoint", "format_version": 1}', "has another checksum than the one it ends with"),
        ("{", r"manifest.json cannot be read \(Expecting"),
    ],
)
def test_a_manifest_that_is_none_is_refused(tmp_path, text, message):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint_manifest(tmp_path)


def test_an_unknown_member_of_a_manifest_is_named(tmp_path):
    folder = save(tmp_path, 10)
    text = (folder / "manifest.json").read_text().replace('"metrics"', '"metrix"')
    mapping = json.loads(text)
    del mapping["crc32c"]
    import google_crc32c

    mapping["crc32c"] = google_crc32c.value(json.dumps(mapping, indent=1).encode())
    (folder / "manifest.json").write_text(json.dumps(mapping))
    with pytest.raises(CheckpointError, match="unknown setting 'metrix'. Did you mean 'metrics'"):
        read_checkpoint_manifest(folder)


def test_rows_that_do_not_fit_the_tables_are_refused_with_the_file(tmp_path):
    folder = save(tmp_path, 10)
    store = EmbeddedStore(("main",), EmbeddingConfig(embedding_dim=4), seed=1)
    message = r"main-0000-4096.arrow does not fit this run: Table 'main': saved rows have 2 columns"
    with pytest.raises(CheckpointError, match=message):
        verified_checkpoint(folder).load_rows(store)


def test_a_dense_file_that_is_no_npz_is_refused(tmp_path):
    folder = save(tmp_path, 10)
    manifest = read_checkpoint_manifest(folder)
    (folder / "dense.npz").write_bytes(b"PK\x03\x04 no zip file after all")
    with pytest.raises(CheckpointError, match=r"dense.npz cannot be read: .* Use an older checkpoint"):
        Checkpoint(folder=folder, manifest=manifest).dense()


def test_a_dense_file_with_pickled_objects_is_refused(tmp_path):
    folder = save(tmp_path, 10)
    manifest = read_checkpoint_manifest(folder)
    np.savez(folder / "dense.npz", evil=np.array([{}], dtype=object))
    with pytest.raises(CheckpointError, match=r"dense.npz cannot be read: .*allow_pickle"):
        Checkpoint(folder=folder, manifest=manifest).dense()


def test_the_list_tells_step_size_rows_metrics_and_damage(tmp_path):
    save(tmp_path, 10, SavedRows(30))
    damaged = save(tmp_path, 20)
    truncate(damaged / "dense.npz")
    whole, broken = list_checkpoints(tmp_path)
    folder = tmp_path / "checkpoints/step-00000010"
    assert (whole.step, whole.path, whole.rows, whole.state) == (10, str(folder), 30, "ok")
    assert whole.size_bytes == sum(path.stat().st_size for path in folder.iterdir())
    assert whole.metrics == {"ctr": {"auc": 0.75}}
    assert (broken.step, broken.rows, broken.metrics) == (20, 0, {})
    assert broken.state.startswith(f"damaged: {damaged}/dense.npz has ")


def test_a_run_that_does_not_exist_has_no_list(tmp_path):
    with pytest.raises(CheckpointError, match=f"There is no run at {tmp_path}/no. Give the folder"):
        list_checkpoints(tmp_path / "no")
