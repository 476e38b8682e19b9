"""A checkpoint is written whole or not at all, and the newest are kept."""

import errno
import itertools
import math
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from esmm_dist.calibration.calibration import Calibration, LabelCalibration
from esmm_dist.calibration.curves import IsotonicCurve
from esmm_dist.checkpoint.format import checkpoint_steps, read_checkpoint_manifest
from esmm_dist.checkpoint.reader import newest_checkpoint, open_checkpoint, restore_newest, verify_tables
from esmm_dist.checkpoint.writer import rewrite_manifest
from esmm_dist.errors import CheckpointError, RetryError
from esmm_dist.storage.folder import Folder
from tests.support.small_disk import small_disk
from tests.unit.checkpoint.saved_rows import DENSE, Messages, SavedRows, assert_same_rows, file_of, save

CALIBRATION = Calibration(
    step=10,
    split="validation",
    method="isotonic",
    labels=(
        LabelCalibration(
            label="click",
            impressions=100,
            positives=30,
            before=1 / 3,
            after=1.0,
            curve=IsotonicCurve(logits=(-1.5, 0.1), calibrated=(-2.0, 1 / 3)),
        ),
    ),
)
FILES = ["dense.npz", "main-0000-4096.arrow", "manifest.json"]


def assert_whole(run: Folder, step: int) -> None:
    verify_tables(open_checkpoint(run, step))


def test_what_was_written_comes_back(run):
    store = SavedRows(100)
    folder = save(run, 12, store)
    assert str(folder) == f"{run}/checkpoints/step-00000012"
    assert folder.names() == FILES
    restored = []
    checkpoint = restore_newest(run, Messages(), restored.append)
    assert checkpoint is not None
    assert restored == [checkpoint]
    assert str(checkpoint.folder) == str(folder)
    manifest = checkpoint.manifest
    assert (manifest.format_version, manifest.step) == (2, 12)
    assert manifest.settings == {"seed": 3, "embedding": {"embedding_dim": 2}}
    assert manifest.state == {"loss_window": {"sums": [0.1, 1 / 3], "impressions": 12}}
    assert manifest.metrics == {"ctr": {"auc": 0.75}}
    assert manifest.schema.name == "tiny"
    assert manifest.num_rows() == 100
    dense = checkpoint.dense()
    assert dense.keys() == DENSE.keys()
    for name, array in DENSE.items():
        np.testing.assert_array_equal(dense[name], array)
    store.restore(checkpoint.folder, manifest.tables, step=12)
    (rows,) = store.restored
    assert_same_rows(rows, store.rows)


@pytest.mark.parametrize(("keep", "left"), [(1, [50]), (2, [50, 40]), (9, [50, 40, 30, 20, 10])])
def test_the_newest_k_are_kept(run, keep, left):
    for step in (10, 20, 30, 40, 50):
        save(run, step, keep=keep)
    assert checkpoint_steps(run) == left
    assert (run / "checkpoints").names() == [f"step-{step:08d}" for step in reversed(left)]


def test_a_damaged_later_checkpoint_does_not_push_out_the_one_just_written(run):
    for step in (10, 20):
        save(run, step)
    (run / "checkpoints" / "step-00000020").delete_file("dense.npz")
    save(run, 15, keep=1)  # resumed from 10
    checkpoint = newest_checkpoint(run, Messages())
    assert checkpoint is not None
    assert checkpoint.manifest.step == 15


def test_a_checkpoint_of_the_same_step_is_replaced(run):
    folder = save(run, 10)
    folder.delete_file("dense.npz")
    folder.write_bytes("left over", b"")
    save(run, 10, SavedRows(5))
    assert open_checkpoint(run, 10).manifest.num_rows() == 5
    assert folder.names() == FILES


def test_credentials_in_the_settings_are_not_stored(run):
    folder = save(run, 10, settings={"run": "s3://KEY:hush@bucket/run?region=r", "seed": 1})
    assert read_checkpoint_manifest(folder).settings == {"run": "s3://bucket/run?region=r", "seed": 1}
    assert b"hush" not in folder.read_bytes("manifest.json")


class Elsewhere(SavedRows):
    """A store that writes one of its files on a machine that does not see the run."""

    def save(self, folder, *, step):
        return (*super().save(folder, step=step), file_of("main-2048-4096.arrow", b"elsewhere", rows=1))


class CutShort(SavedRows):
    """A store that wrote less than it says."""

    def save(self, folder, *, step):
        files = super().save(folder, step=step)
        folder.write_bytes(files[0].path, b"short")
        return files


@pytest.mark.parametrize(
    ("store", "message"),
    [
        (Elsewhere(), r"main-2048-4096.arrow is missing, although .*: table 'main', buckets 0 to 4095. --run must be"),
        (CutShort(), r"main-0000-4096.arrow has 5 bytes instead of \d+, although it was reported as written"),
    ],
)
def test_a_file_that_is_not_where_the_checkpoint_is_fails_the_write_by_name(run, store, message):
    save(run, 10)
    with pytest.raises(RetryError, match=r"step 20 could not be written; those before are intact\. .*" + message):
        save(run, 20, store)
    assert (run / "checkpoints").names() == ["step-00000010"]
    assert_whole(run, 10)


class LostServer(SavedRows):
    """A store that loses a server while it saves."""

    def save(self, folder, *, step):
        super().save(folder, step=step)
        raise RetryError("Server 1/2 is lost.")


def test_a_server_lost_while_saving_leaves_the_checkpoint_before(run):
    save(run, 10)
    with pytest.raises(RetryError, match=r"step 20 could not be written; .* intact. Server 1/2 is lost"):
        save(run, 20, LostServer())
    assert (run / "checkpoints").names() == ["step-00000010"]
    assert_whole(run, 10)


def failing(after: int):
    """Return an os.fsync that fails with a full disk at its call number ``after``, counted from 0."""
    calls = iter(range(10_000))
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if next(calls) == after:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    return fsync


# the Arrow file, dense.npz, manifest.json, each with its folder; then the folder before it is renamed
@pytest.mark.parametrize("after", range(7))
def test_a_disk_full_at_any_moment_leaves_the_checkpoint_before_and_nothing_half_written(local, monkeypatch, after):
    save(local, 10)
    monkeypatch.setattr(os, "fsync", failing(after))
    message = "step 20 could not be written; those before are intact.*No space left on device.*Free space"
    with pytest.raises(RetryError, match=message):
        save(local, 20)
    assert (local / "checkpoints").names() == ["step-00000010"]
    assert_whole(local, 10)


def test_a_disk_that_is_really_full_leaves_the_checkpoint_before(tmp_path):
    with small_disk(tmp_path / "disk", kilobytes=256) as place:
        run = Folder.open(place)
        save(run, 10)
        with pytest.raises(RetryError, match="step 20 could not be written.*main-0000-4096.arrow.*No space left"):
            save(run, 20, SavedRows(9000))  # 28 bytes a row
        assert (run / "checkpoints").names() == ["step-00000010"]
        assert_whole(run, 10)
        save(run, 30)


def outcome_of(act) -> str:
    """Write step 20; return the first words of the error, or "written"."""
    try:
        act()
    except RetryError as e:
        return str(e).removeprefix("The checkpoint of step 20 ")[:18]
    return "written"


def test_a_store_that_refuses_from_some_request_on_leaves_the_checkpoint_before(s3):
    outcomes = []
    for requests in itertools.count(step=2):  # every second one, to save time
        run = Folder.open(s3.uri(f"bucket/refused-{requests}"))
        save(run, 10)
        s3.refuse_after(requests)
        outcomes.append(outcome_of(lambda run=run: save(run, 20, keep=2)))
        s3.refuse_after(math.inf)
        assert checkpoint_steps(run) == ([10] if outcomes[-1] == "could not be writt" else [20, 10])
        assert_whole(run, 10)
        if outcomes[-1] == "written":
            break
    # the last requests are those that look for older ones to remove
    assert [each for each, _ in itertools.groupby(outcomes)] == ["could not be writt", "is written, but ol", "written"]


def test_a_store_that_is_gone_fails_the_write(s3):
    from tests.support.s3_server import S3Server

    class Gone(SavedRows):
        def save(self, folder, *, step):
            files = super().save(folder, step=step)
            server.close()
            return files

    with S3Server() as server:
        server.make_bucket("bucket")
        run = Folder.open(server.uri("bucket/run"))
        message = r"s3://bucket/run/checkpoints/step-00000020 cannot be listed: .*NETWORK_CONNECTION.*Check the address"
        with pytest.raises(RetryError, match=message):
            save(run, 20, Gone())


def test_a_folder_that_cannot_be_written_is_named(local):
    local.write_bytes("checkpoints", b"a file where the folder should be")
    with pytest.raises(RetryError, match=f"{local}/checkpoints cannot be made: File exists"):
        save(local, 20)


def test_unfinished_checkpoints_do_not_exist_and_are_removed_by_the_next_write(run):
    save(run, 10)
    parent = run / "checkpoints"
    # what a killed write leaves on a disk, and in an object store
    unfinished = parent / (".writing-step-00000020" if run.is_local else "step-00000020")
    unfinished.make()
    unfinished.write_bytes("main-0000-4096.arrow", b"")
    assert checkpoint_steps(run) == [10]
    save(run, 30)
    assert parent.names() == ["step-00000010", "step-00000030"]


def killed_at(run: Folder, name: str, call: int) -> bool:
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


@pytest.mark.parametrize("name", ["fsync", "replace", "rename", "unlink"])
def test_killed_at_any_moment_of_a_write_a_whole_checkpoint_remains(tmp_path: Path, name):
    newest = []
    for call in itertools.count():
        run = Folder.open(tmp_path / str(call))
        save(run, 10, SavedRows(seed=1))
        killed = killed_at(run, name, call)
        found = newest_checkpoint(run, progress := Messages())
        assert found is not None
        verify_tables(found)
        assert progress.texts == []  # nothing half written or half removed passes for a damaged one
        newest.append(found.manifest.step)
        # the next write clears away what was left
        save(run, 30, keep=1)
        assert (run / "checkpoints").names() == ["step-00000030"]
        if not killed:
            break
    assert newest == sorted(newest)  # step 20 is there from one moment on
    assert newest[-1] == 20
    assert call > 1
    if name != "unlink":  # the files of the oldest are removed last
        assert newest[0] == 10


def test_metrics_state_and_calibration_of_a_written_checkpoint_can_be_set(run):
    folder = save(run, 10)
    saved_at = read_checkpoint_manifest(folder).saved_at
    rewrite_manifest(folder, metrics={"ctr": {"auc": 0.8}}, state={"a": 1}, calibration=CALIBRATION)
    manifest = open_checkpoint(run, 10).manifest
    assert (manifest.metrics, manifest.state, manifest.step) == ({"ctr": {"auc": 0.8}}, {"a": 1}, 10)
    assert manifest.calibration == CALIBRATION
    assert manifest.saved_at == saved_at
    assert folder.names() == FILES


def test_a_failed_rewrite_leaves_the_manifest(local, monkeypatch):
    folder = save(local, 10)
    monkeypatch.setattr(os, "fsync", failing(0))
    with pytest.raises(RetryError, match="could not be added to .*; the checkpoint is intact .*: No space left on dev"):
        rewrite_manifest(folder, metrics={}, state={}, calibration=None)
    assert open_checkpoint(local, 10).manifest.metrics == {"ctr": {"auc": 0.75}}
    assert folder.names() == FILES


def test_a_manifest_that_is_gone_cannot_be_rewritten(run):
    folder = save(run, 10)
    folder.delete()
    with pytest.raises(CheckpointError, match=r"step-00000010/manifest.json is missing"):
        rewrite_manifest(folder, metrics={}, state={}, calibration=None)
