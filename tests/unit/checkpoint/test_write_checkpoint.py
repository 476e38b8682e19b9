"""A checkpoint is written whole or not at all, and the newest are kept."""

import errno
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

from esmm_dist.checkpoint import writer
from esmm_dist.checkpoint.format import checkpoint_folders, read_checkpoint_manifest, step_of
from esmm_dist.checkpoint.reader import newest_checkpoint, verified_checkpoint
from esmm_dist.checkpoint.writer import rewrite_manifest
from esmm_dist.errors import CheckpointError, RetryError
from tests.unit.checkpoint.saved_rows import DENSE, Messages, SavedRows, assert_same_rows, chosen, save


def steps(run: Path) -> list[int]:
    return [step_of(folder) for folder in checkpoint_folders(run)]


def test_what_was_written_comes_back(tmp_path):
    store = SavedRows(100)
    folder = save(tmp_path, 12, store)
    assert folder == tmp_path / "checkpoints/step-00000012"
    checkpoint = newest_checkpoint(tmp_path, Messages())
    assert checkpoint is not None
    assert checkpoint.folder == folder
    manifest = checkpoint.manifest
    assert manifest.step == 12
    assert manifest.settings == {"seed": 3, "embedding": {"embedding_dim": 2}}
    assert manifest.state == {"loss_window": {"sums": [0.1, 1 / 3], "impressions": 12}}
    assert manifest.metrics == {"ctr": {"auc": 0.75}}
    assert manifest.schema.name == "tiny"
    dense = checkpoint.dense()
    assert dense.keys() == DENSE.keys()
    for name, array in DENSE.items():
        np.testing.assert_array_equal(dense[name], array)
    checkpoint.load_rows(store)
    ((table, rows),) = store.loaded
    assert table == "main"
    assert_same_rows(rows, store.rows)


def test_many_rows_are_cut_into_files_at_bucket_borders(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "_ROWS_A_FILE", 15)
    store = SavedRows(40)
    folder = save(tmp_path, 1, store)
    names = sorted(path.name for path in folder.glob("*.arrow"))
    # ceil(40 / 15) = 3 files; the borders are ceil(4096 / 3) and ceil(8192 / 3)
    assert names == ["main-0000-1366.arrow", "main-1366-2731.arrow", "main-2731-4096.arrow"]
    files = [file for file in read_checkpoint_manifest(folder).files if file.table]
    assert sum(file.rows for file in files) == 40
    verified_checkpoint(folder).load_rows(store)
    together = [rows for _, rows in store.loaded]
    ids = np.concatenate([rows.ids for rows in together])
    assert_same_rows(chosen(store.rows, np.searchsorted(store.rows.ids, np.sort(ids))), store.rows)


@pytest.mark.parametrize(("keep", "left"), [(1, [50]), (2, [50, 40]), (9, [50, 40, 30, 20, 10])])
def test_the_newest_k_are_kept(tmp_path, keep, left):
    for step in (10, 20, 30, 40, 50):
        save(tmp_path, step, keep=keep)
    assert steps(tmp_path) == left


def test_a_damaged_later_checkpoint_does_not_push_out_the_one_just_written(tmp_path):
    for step in (10, 20):
        save(tmp_path, step)
    (tmp_path / "checkpoints/step-00000020/dense.npz").unlink()
    save(tmp_path, 15, keep=1)  # resumed from 10
    checkpoint = newest_checkpoint(tmp_path, Messages())
    assert checkpoint is not None
    assert checkpoint.manifest.step == 15


def test_a_checkpoint_of_the_same_step_is_replaced(tmp_path):
    folder = save(tmp_path, 10)
    (folder / "dense.npz").unlink()
    save(tmp_path, 10, SavedRows(5))
    assert sum(file.rows for file in verified_checkpoint(folder).manifest.files) == 5


def failing(after: int):
    """Return an os.fsync that fails with a full disk at its call number ``after``, counted from 0."""
    calls = iter(range(10_000))
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if next(calls) == after:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    return fsync


# dense.npz, one Arrow file, manifest.json, the temporary folder; then the renamed checkpoint's parent
@pytest.mark.parametrize("after", [0, 1, 2, 3])
def test_a_full_disk_leaves_the_checkpoint_before_and_nothing_half_written(tmp_path, monkeypatch, after):
    before = save(tmp_path, 10)
    monkeypatch.setattr(os, "fsync", failing(after))
    message = "Checkpoint of step 20 could not be written .*No space left on device.*before are intact. Free space"
    with pytest.raises(RetryError, match=message):
        save(tmp_path, 20)
    assert [path.name for path in before.parent.iterdir()] == [before.name]
    verified_checkpoint(before)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "checkpoints").write_text("a file where the folder should be")
    with pytest.raises(RetryError, match=f"could not be written to {tmp_path}/checkpoints: File exists"):
        save(tmp_path, 20)


def killed_at(run: Path, name: str, call: int) -> bool:
    """Write step 20 in a process of its own that kills itself (-9) before call number ``call`` of a function of os.

    Returns:
        Whether it died so; False if it finished.
    """
    child = os.fork()
    if child == 0:  # the store of these tests uses no threads, so a forked process can write
        calls = iter(range(10_000))
        real = getattr(os, name)

        def die(*args, **kwargs):
            if next(calls) == call:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)

        setattr(os, name, die)
        try:
            save(run, 20, keep=1)
        finally:
            os._exit(0)
    status = os.waitpid(child, 0)[1]
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


@pytest.mark.parametrize(
    ("name", "calls"),
    [
        ("fsync", 5),  # dense.npz, the Arrow file, manifest.json, the temporary folder, the renamed one's parent
        ("rename", 1),
        ("unlink", 3),  # the three files of the oldest checkpoint
    ],
)
def test_killed_at_any_moment_of_a_write_a_whole_checkpoint_remains(tmp_path, name, calls):
    for call in range(calls):
        run = tmp_path / str(call)
        save(run, 10, SavedRows(seed=1))
        assert killed_at(run, name, call)
        found = newest_checkpoint(run, Messages())
        assert found is not None
        renamed = name == "unlink" or (name == "fsync" and call == 4)
        assert found.manifest.step == (20 if renamed else 10)
        # the next write clears away what was left
        save(run, 30, keep=1)
        assert [path.name for path in (run / "checkpoints").iterdir()] == ["step-00000030"]
    assert not killed_at(tmp_path / "whole", name, calls)


def test_metrics_and_state_of_a_written_checkpoint_can_be_set(tmp_path):
    folder = save(tmp_path, 10)
    rewrite_manifest(folder, metrics={"ctr": {"auc": 0.8}}, state={"a": 1})
    manifest = verified_checkpoint(folder).manifest
    assert (manifest.metrics, manifest.state, manifest.step) == ({"ctr": {"auc": 0.8}}, {"a": 1}, 10)
    assert sorted(path.name for path in folder.iterdir()) == ["dense.npz", "main-0000-4096.arrow", "manifest.json"]


def test_a_failed_rewrite_leaves_the_manifest(tmp_path, monkeypatch):
    folder = save(tmp_path, 10)
    monkeypatch.setattr(os, "fsync", failing(0))
    with pytest.raises(RetryError, match="could not be added to .*: No space left on device. The checkpoint is intact"):
        rewrite_manifest(folder, metrics={}, state={})
    assert verified_checkpoint(folder).manifest.metrics == {"ctr": {"auc": 0.75}}


def test_a_manifest_that_is_gone_cannot_be_rewritten(tmp_path):
    folder = save(tmp_path, 10)
    shutil.rmtree(folder)
    with pytest.raises(CheckpointError, match=r"step-00000010/manifest.json cannot be read"):
        rewrite_manifest(folder, metrics={}, state={})
