"""A damaged checkpoint is refused by the name of the file, and the one before is used."""

import io
import json
import zipfile

import google_crc32c
import numpy as np
import pytest

from esmm_dist.checkpoint.format import (
    CheckpointManifest,
    checkpoint_folder,
    checkpoint_steps,
    read_checkpoint_manifest,
)
from esmm_dist.checkpoint.listing import list_checkpoints
from esmm_dist.checkpoint.reader import newest_checkpoint, open_checkpoint, restore_newest, verify_tables
from esmm_dist.config import build
from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.embedded_store import EmbeddedStore
from esmm_dist.errors import CheckpointError, CheckpointMismatchError, ConfigError
from esmm_dist.storage.folder import Folder
from tests.unit.checkpoint.saved_rows import Messages, SavedRows, assert_same_rows, save

ROWS = "main-0000-4096.arrow"
FILES = ("dense.npz", ROWS, "manifest.json")


def flip_a_bit(folder: Folder, name: str) -> None:
    data = bytearray(folder.read_bytes(name))
    data[len(data) // 2] ^= 0x04
    folder.write_bytes(name, bytes(data))


def truncate(folder: Folder, name: str) -> None:
    folder.write_bytes(name, folder.read_bytes(name)[:-3])


def remove(folder: Folder, name: str) -> None:
    folder.delete_file(name)


def restore_into(store):
    return lambda checkpoint: store.restore(
        checkpoint.folder, checkpoint.manifest.tables, step=checkpoint.manifest.step
    )


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", [flip_a_bit, truncate, remove])
def test_a_damaged_file_is_named_and_the_checkpoint_before_is_restored(run, name, damage):
    save(run, 10, SavedRows(30))
    newest = save(run, 20)
    damage(newest, name)
    progress, store = Messages(), SavedRows()
    checkpoint = restore_newest(run, progress, restore_into(store))
    assert checkpoint is not None
    assert checkpoint.manifest.step == 10
    assert len(store.restored[0].ids) == 30
    assert newest.exists()  # left for a look at it
    if damage is remove and name == "manifest.json" and not run.is_local:
        assert progress.texts == []  # in an object store it does not exist without its manifest
        return
    (text,) = progress.texts
    assert text.startswith(f"Checkpoint step-00000020 is damaged and not used: {newest}/{name} ")


@pytest.mark.parametrize("place", range(0, 1000, 37))
def test_a_bit_flipped_anywhere_in_a_manifest_is_noticed(local, place):
    # digits and letters would leave valid JSON of another content
    folder = save(local, 10)
    data = bytearray(folder.read_bytes("manifest.json"))
    while data[place : place + 1].isspace():  # between members, where it changes nothing
        place += 1
    data[place] ^= 0x01
    folder.write_bytes("manifest.json", bytes(data))
    with pytest.raises(CheckpointError, match=r"manifest.json"):
        read_checkpoint_manifest(folder)


@pytest.mark.parametrize("name", ["dense.npz", ROWS])
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (flip_a_bit, "has another checksum than the manifest: its bytes changed"),
        (truncate, r"has \d+ bytes instead of \d+"),
        (remove, "is missing"),
    ],
)
def test_the_kind_of_damage_is_told(run, name, damage, message):
    folder = save(run, 10)
    damage(folder, name)
    with pytest.raises(CheckpointError, match=f"^{folder}/{name} {message}"):
        verify_tables(open_checkpoint(run, 10))


def test_a_file_that_vanishes_after_the_checkpoint_was_opened_is_named(local):
    folder = save(local, 10)
    checkpoint = open_checkpoint(local, 10)
    for name in (ROWS, "dense.npz"):
        folder.delete_file(name)
    with pytest.raises(CheckpointError, match=f"{folder}/{ROWS} is missing"):
        verify_tables(checkpoint)
    with pytest.raises(CheckpointError, match=f"{folder}/dense.npz is missing"):
        checkpoint.dense()


def test_a_run_whose_checkpoints_are_all_damaged_is_not_begun_anew(run):
    for step in (10, 20):
        flip_a_bit(save(run, step), "dense.npz")
    progress = Messages()
    with pytest.raises(CheckpointError, match=f"All 2 checkpoints of {run} are damaged. Restore one"):
        newest_checkpoint(run, progress)
    assert len(progress.texts) == 2


def test_a_run_without_checkpoints_has_no_newest(run):
    assert newest_checkpoint(run, Messages()) is None
    (run / "checkpoints").make()
    assert newest_checkpoint(run, Messages()) is None


def test_a_step_that_was_not_saved_is_told_with_those_that_were(run):
    with pytest.raises(CheckpointError, match=f"{run} has no checkpoint of step 7. It has: none"):
        open_checkpoint(run, 7)
    for step in (10, 20):
        save(run, step)
    with pytest.raises(CheckpointError, match=f"{run} has no checkpoint of step 7. It has: 10, 20"):
        open_checkpoint(run, 7)


def test_a_checkpoint_under_the_name_of_another_step_is_refused(local):
    save(local, 10).rename_to(checkpoint_folder(local, 20))
    with pytest.raises(CheckpointError, match="step-00000020 holds step 10: it was renamed or copied"):
        open_checkpoint(local, 20)


def test_unfinished_and_foreign_folders_are_no_checkpoints(run):
    save(run, 10)
    for name in (".writing-step-00000099", "step-x", "stepping", "step-", "step-7"):
        folder = run / "checkpoints" / name
        folder.make()
        folder.write_bytes("manifest.json", b"")
    assert checkpoint_steps(run) == [10]


def test_checkpoints_are_ordered_by_number_and_not_by_name(run):
    for step in (5, 123_456_789, 40):
        save(run, step)
    assert checkpoint_steps(run) == [123_456_789, 40, 5]


def rewritten(folder: Folder, change: dict) -> None:
    """Change the manifest and give it the checksum that fits."""
    mapping = json.loads(folder.read_bytes("manifest.json"))
    del mapping["crc32c"]
    manifest = build(CheckpointManifest, {**mapping, **change}, where="test")
    folder.write_bytes("manifest.json", manifest.to_json().encode())


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/b", "..", ""])
@pytest.mark.parametrize("part", ["dense", "tables"])
def test_a_file_outside_the_checkpoint_is_refused(run, part, path):
    folder = save(run, 10)
    # what it names is there, and as the manifest says
    (run / "checkpoints").write_bytes("x", folder.read_bytes("dense.npz" if part == "dense" else ROWS))
    mapping = json.loads(folder.read_bytes("manifest.json"))[part]
    (mapping if part == "dense" else mapping[0])["path"] = path
    rewritten(folder, {part: mapping})
    with pytest.raises(CheckpointError, match=f"manifest.json names '{path}', which is outside the checkpoint"):
        open_checkpoint(run, 10)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]", "manifest.json is not the manifest of a checkpoint"),
        ('{"format": "esmm_dist.dataset"}', "is not the manifest of a checkpoint"),
        ('{"format": "esmm_dist.checkpoint", "format_version": 1}', "has format version 1, not 2. Use the version of"),
        ('{"format": "esmm_dist.checkpoint", "format_version": 2}', "has another checksum than the one it ends with"),
        ("{", r"manifest.json cannot be read \(Expecting"),
        ("\udcff", r"manifest.json cannot be read \('utf-8' codec"),
    ],
)
def test_a_manifest_that_is_none_is_refused(local, text, message):
    local.write_bytes("manifest.json", text.encode(errors="surrogateescape"))
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint_manifest(local)


def test_an_unknown_member_of_a_manifest_is_named(local):
    folder = save(local, 10)
    mapping = json.loads(folder.read_bytes("manifest.json").replace(b'"metrics"', b'"metrix"'))
    del mapping["crc32c"]
    mapping["crc32c"] = google_crc32c.value(json.dumps(mapping, indent=1).encode())
    folder.write_bytes("manifest.json", json.dumps(mapping).encode())
    with pytest.raises(CheckpointError, match="unknown setting 'metrix'. Did you mean 'metrics'"):
        read_checkpoint_manifest(folder)


def test_rows_that_do_not_fit_end_the_search_and_are_not_called_damaged(local):
    for step in (10, 20):
        save(local, step)
    store = EmbeddedStore(("main",), EmbeddingConfig(embedding_dim=4), seed=1)
    progress = Messages()
    message = rf"step-00000020/{ROWS} does not fit this run: Table 'main': saved rows have 2 columns"
    with pytest.raises(CheckpointMismatchError, match=message):
        restore_newest(local, progress, restore_into(store))
    assert progress.texts == []


def test_the_rows_of_a_real_store_come_back_bit_for_bit(run):
    config = EmbeddingConfig(embedding_dim=2, embedding_optimizer="rowwise_adagrad")
    stores = [EmbeddedStore(("main",), config, seed=1) for _ in range(2)]
    rows = SavedRows(500).rows
    rows.rows[:2] = [[np.nan, -0.0], [np.inf, np.float32(1e-45)]]
    stores[0].load("main", rows)
    stores[1].load("main", SavedRows(20, seed=5).rows)  # goes with the restore
    save(run, 100, stores[0])
    assert restore_newest(run, Messages(), restore_into(stores[1])) is not None
    found = stores[1].export("main", 0, 4096)
    assert_same_rows(found, rows)
    assert found.rows.tobytes() == rows.rows.tobytes()


def test_an_error_of_the_settings_ends_the_search(local):
    for step in (10, 20):
        save(local, step)
    tried = []

    def refuse(checkpoint):
        tried.append(checkpoint.manifest.step)
        raise ConfigError("seed is 2 but 1")

    with pytest.raises(ConfigError, match="seed is 2"):
        restore_newest(local, Messages(), refuse)
    assert tried == [20]


def replaced_dense(run: Folder, data: bytes) -> None:
    """Put another dense file into the checkpoint of step 10, with its own size and checksum."""
    folder = checkpoint_folder(run, 10)
    folder.write_bytes("dense.npz", data)
    described = {"path": "dense.npz", "file_bytes": len(data), "crc32c": google_crc32c.value(data)}
    rewritten(folder, {"dense": described})


def test_a_dense_file_that_is_no_npz_is_refused(local):
    save(local, 10)
    replaced_dense(local, b"PK\x03\x04 no zip file after all")
    with pytest.raises(CheckpointError, match=r"dense.npz cannot be read: .* Use an older checkpoint"):
        open_checkpoint(local, 10)


def zip_of_no_array() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.npy", b"no array")
    return buffer.getvalue()


def single_array() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.ones(2))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "No data left in file"),  # an EOFError
        (zip_of_no_array(), "'a' is no array"),
        (single_array(), "'numpy.ndarray' object"),
    ],
)
def test_a_dense_file_of_another_kind_is_refused(local, data, message):
    save(local, 10)
    replaced_dense(local, data)
    with pytest.raises(CheckpointError, match=rf"dense.npz cannot be read: {message}.* Use an older"):
        open_checkpoint(local, 10)


def test_a_manifest_nested_too_deeply_is_refused(local):
    local.write_bytes("manifest.json", b"[" * 100_000)
    with pytest.raises(CheckpointError, match=r"manifest.json cannot be read \(maximum recursion depth"):
        read_checkpoint_manifest(local)


def test_a_schema_in_a_manifest_that_cannot_be_is_damage_of_the_checkpoint(local):
    folder = save(local, 10)
    mapping = json.loads(folder.read_bytes("manifest.json"))
    del mapping["crc32c"]
    mapping["schema"]["labels"] = ["click"]
    mapping["crc32c"] = google_crc32c.value(json.dumps(mapping, indent=1).encode())
    folder.write_bytes("manifest.json", json.dumps(mapping).encode())
    with pytest.raises(CheckpointError, match=r"manifest.json: Schema 'tiny' has the labels"):
        read_checkpoint_manifest(folder)


def test_a_dense_file_with_pickled_objects_is_refused(local, tmp_path):
    save(local, 10)
    np.savez(tmp_path / "evil.npz", evil=np.array([{}], dtype=object))
    replaced_dense(local, (tmp_path / "evil.npz").read_bytes())
    with pytest.raises(CheckpointError, match=r"dense.npz cannot be read: .*allow_pickle"):
        open_checkpoint(local, 10)


def test_the_list_tells_step_size_rows_metrics_and_damage(run):
    folder = save(run, 10, SavedRows(30))
    damaged = save(run, 20)
    truncate(damaged, ROWS)
    whole, broken = list_checkpoints(run)
    assert (whole.step, whole.path, whole.rows) == (10, str(folder), 30)
    assert whole.state == ("ok" if run.is_local else "ok by size")
    assert whole.size_bytes == sum(folder.size(name) for name in FILES)
    assert whole.metrics == {"ctr": {"auc": 0.75}}
    assert (broken.step, broken.rows, broken.metrics) == (20, 0, {})
    assert broken.state.startswith(f"damaged: {damaged}/{ROWS} has ")


def test_the_list_of_a_local_run_compares_all_checksums(local):
    flip_a_bit(save(local, 10), ROWS)
    (info,) = list_checkpoints(local)
    assert info.state.startswith("damaged: ")
    assert "another checksum" in info.state


def test_a_run_that_does_not_exist_has_no_list(run):
    with pytest.raises(CheckpointError, match=f"There is no run at {run}/no. Give the folder"):
        list_checkpoints(run / "no")
