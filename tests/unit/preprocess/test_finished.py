"""A data set that is there already is checked, and made again where it is damaged."""

import ctypes
import errno
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from pkgutil import resolve_name

import pytest

from esmm_dist.errors import InputDataError, StorageError
from esmm_dist.input.order import check_lanes
from esmm_dist.input.shard_guard import check_shard_files
from esmm_dist.schema.manifest import MANIFEST_NAME, DatasetManifest, read_manifest
from preprocess.config import PreprocessConfig
from preprocess.run import preprocess as run_preprocess
from preprocess.work.folder import WORK_NAME
from preprocess.work.power_failure import Syncs
from tests.unit.preprocess.plans import use_plan
from tests.unit.preprocess.raw_logs import Messages, files, make_log, run, small_schema

SHARD = "train/lane-001-part-000.tfrecord"

STAGES = {
    "count_partition": "preprocess.stages.vocabulary_stage.count_partition",
    "write_records": "preprocess.stages.records_stage.write_records",
    "deal_slice": "preprocess.stages.shards_stage.deal_slice",
    "write_lanes": "preprocess.stages.shards_stage.write_lanes",
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``raw`` and the data set ``out``, which tests must not change."""
    folder = tmp_path_factory.mktemp("whole")
    log = make_log(60)
    log.skeleton["train"][5] = b"6,0,0"
    run(log.write(folder / "raw"), folder / "out")
    return folder


@pytest.fixture
def out(whole: Path, tmp_path: Path) -> Path:
    shutil.copytree(whole / "out", tmp_path / "out")
    return tmp_path / "out"


def again(whole: Path, out: Path, **settings: object) -> list[str]:
    messages = Messages()
    chosen: dict[str, object] = {"min_count": 1, "group_size": 4, "lanes": 3, "workers": 1, "max_reject_share": 0.5}
    schema = str(small_schema(whole / "schema"))
    config = PreprocessConfig(raw=whole / "raw", out=out, schema=schema, **(chosen | settings))  # type: ignore[arg-type]
    run_preprocess(config, messages)
    return messages.texts


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize(
    "name", [SHARD, "test/lane-000-part-000.tfrecord", "vocabulary.parquet", "rejects/train.jsonl"]
)
@pytest.mark.parametrize(("damage", "told"), [(Path.unlink, "is missing"), (cut, r"has \d+ bytes")])
def test_what_is_missing_or_cut_off_is_made_again(whole, out, name, damage: Callable[[Path], None], told):
    damage(out / name)
    said = again(whole, out)
    assert said[0].startswith(f"{out / name} ")
    assert "Making the data set again; intact files stay until it is complete." in said[0]
    assert files(out) == files(whole / "out")
    assert not (out / WORK_NAME).exists()
    assert "nothing to do" in again(whole, out)[0]


@pytest.mark.parametrize("name", [SHARD, "vocabulary.parquet", "rejects/train.jsonl"])
def test_changed_bytes_are_found_and_made_again_with_verify(whole, out, name):
    flip(out / name)
    assert "its files are complete; nothing to do" in again(whole, out)[0]
    assert "has another CRC-32C than the manifest says" in again(whole, out, verify=True)[0]
    assert files(out) == files(whole / "out")
    assert "its bytes are as they were written; nothing to do" in again(whole, out, verify=True)[0]


@pytest.mark.parametrize(
    "damage",
    [
        flip,
        lambda path: path.write_text(path.read_text()[:-200]),
        lambda path: path.write_text(""),
        lambda path: path.write_text("[" * 10**5),
    ],
)
def test_a_damaged_manifest_is_made_again(whole, out, damage):
    damage(out / MANIFEST_NAME)
    assert again(whole, out)[0] == f"{out / MANIFEST_NAME} is damaged; making the data set again."
    assert files(out) == files(whole / "out")


def test_the_manifest_of_something_else_is_left_alone(whole, out):
    (out / MANIFEST_NAME).write_text('{"name": "web app"}')
    with pytest.raises(InputDataError, match="is not the manifest of a data set"):
        again(whole, out)
    assert (out / MANIFEST_NAME).read_text() == '{"name": "web app"}'


def test_files_that_are_whole_stay_until_the_others_are_there(whole, out, monkeypatch):
    """A training that skips what is damaged may read on, also when the repair is ended and begun again."""
    (out / SHARD).unlink()
    expected = files(out)

    def crash(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for stage in ("write_records", "write_lanes"):
        with monkeypatch.context() as patch:
            patch.setattr(STAGES[stage], crash)
            with pytest.raises(KeyboardInterrupt):
                again(whole, out)
        found = {name: data for name, data in files(out).items() if not name.startswith(WORK_NAME)}
        assert found == expected
    assert "Continuing the unfinished run." in again(whole, out)
    assert files(out) == files(whole / "out")


def test_a_repair_that_is_ended_while_its_files_move_is_finished(whole, out, monkeypatch):
    (out / SHARD).unlink()
    (out / "vocabulary.parquet").unlink()
    moves = iter(range(100))
    real = Path.replace

    def some(path: Path, target: Path) -> Path:
        if "final" in path.parts and target.parent.parent == out and next(moves) == 2:
            raise KeyboardInterrupt
        return real(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", some)
        with pytest.raises(KeyboardInterrupt):
            again(whole, out)
    again(whole, out)
    assert files(out) == files(whole / "out")


def test_a_run_whose_work_was_removed_by_half_is_not_gone_on_with(whole, out, monkeypatch):
    """It has no products any more, and would publish an empty data set over what is there."""
    (out / SHARD).unlink()

    def dies(path: Path, **_: object) -> None:
        (path / MANIFEST_NAME).unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("preprocess.work.folder.shutil.rmtree", dies)
        with pytest.raises(KeyboardInterrupt):
            again(whole, out)
    cut(out / "vocabulary.parquet")
    again(whole, out)
    assert files(out) == files(whole / "out")


def test_every_file_and_folder_is_on_the_disk_before_the_manifest_and_the_manifest_before_the_end(
    whole, tmp_path, monkeypatch
):
    events: list[tuple[str, object]] = []
    fsync, replace, rmtree = os.fsync, os.replace, shutil.rmtree

    def synced(descriptor: int) -> None:
        events.append(("synced", os.fstat(descriptor).st_ino))
        fsync(descriptor)

    def replaced(source: Path, target: Path) -> None:
        replace(source, target)
        events.append(("named", str(target)))

    def removed(path: Path, **more: object) -> None:
        events.append(("removed", str(path)))
        rmtree(path, **more)  # type: ignore[arg-type]

    for name, spy in (("os.fsync", synced), ("os.replace", replaced), ("shutil.rmtree", removed)):
        monkeypatch.setattr(name, spy)
    out = tmp_path / "deep/out"
    again(whole, out)

    def first(event: tuple[str, object]) -> int:
        return events.index(event)

    listed, moves = first(("named", str(out / WORK_NAME / MANIFEST_NAME))), first(("named", str(out / MANIFEST_NAME)))
    paths = [path for path in out.rglob("*") if path.is_file() and path.name not in (MANIFEST_NAME, ".inputs.json")]
    assert len(paths) == 3 + 3 + 2 + 2  # shards of train and of test, ids and rare ids, rejects
    for path in paths:
        assert first(("synced", path.stat().st_ino)) < listed, path
    for folder in (out, out / "train", out / "test", out / "rejects", tmp_path / "deep", tmp_path):
        assert ("synced", folder.stat().st_ino) in events[:moves], folder
    for folder in (out / "train", out / "test", out / "rejects"):
        last_name = max(
            first(("named", str(path))) if ("named", str(path)) in events else listed for path in folder.iterdir()
        )
        assert ("synced", folder.stat().st_ino) in events[last_name:moves], folder
    end = first(("removed", str(out / WORK_NAME)))
    assert first(("synced", (out / MANIFEST_NAME).stat().st_ino)) < moves
    assert ("synced", out.stat().st_ino) in events[moves:end]


def power_fails(work: Path) -> None:
    """Do to a run's folder what a machine may that loses its power: what was not synced is there, and empty."""
    synced = work / "synced"
    for path in work.rglob("*"):
        newer = not synced.exists() or path.stat().st_mtime_ns >= synced.stat().st_mtime_ns
        if path.is_file() and newer and path.name not in ("run.json", "synced"):
            path.write_bytes(b"")
    (work / "boot_id").write_text("another boot\n")


def never(syncs: Syncs) -> None:
    """A short run."""


def once(syncs: Syncs) -> None:
    """A run that syncs when the log is read, and not again before it deletes what the next stages have read."""
    if not (syncs._work / "synced").exists() and (syncs._work / "done/all-parse.json").exists():
        for path in syncs._work.rglob("*"):
            os.utime(path, (1, 1))  # long ago: a clock's tick may hold all of so small a log
        syncs._sync()


def always(syncs: Syncs) -> None:
    """A run whose pieces of work take long."""
    syncs._sync()


@pytest.mark.parametrize("stage", ["count_partition", "write_records", "deal_slice", "write_lanes"])
@pytest.mark.parametrize("if_due", [never, once, always])
def test_after_a_power_failure_what_was_not_on_the_disk_is_made_again(whole, tmp_path, monkeypatch, stage, if_due):
    out, real, calls = tmp_path / "out", resolve_name(STAGES[stage]), iter(range(1000))

    def crash(*arguments: object, **more: object) -> object:
        if next(calls) == 1:
            raise KeyboardInterrupt
        return real(*arguments, **more)

    monkeypatch.setattr(Syncs, "if_due", if_due)
    use_plan(monkeypatch, partitions=4)
    monkeypatch.setattr("preprocess.stages.shards_stage.LANES_TASK_BYTES", 1)  # a task for each lane
    with monkeypatch.context() as patch:
        patch.setattr(STAGES[stage], crash)
        with pytest.raises(KeyboardInterrupt):
            again(whole, out)
    power_fails(out / WORK_NAME)
    said = again(whole, out)[0]
    if if_due is never:
        assert said == "The machine has restarted since the unfinished run began: starting from the beginning."
    else:
        assert said == "Continuing the unfinished run; work that may not have reached the disk is repeated."
    assert files(out) == files(whole / "out")


def test_a_run_syncs_when_it_has_lasted_long_enough(tmp_path, monkeypatch):
    syncs = Syncs(tmp_path)
    syncs.if_due()
    syncs.before_deleting()
    assert list(tmp_path.iterdir()) == []
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 301)
    syncs.if_due()
    assert [path.name for path in tmp_path.iterdir()] == ["synced"]
    os.utime(tmp_path / "synced", (1, 1))
    syncs.if_due()
    assert (tmp_path / "synced").stat().st_mtime == 1
    syncs.before_deleting()
    assert (tmp_path / "synced").stat().st_mtime > 1


def test_a_disk_that_fails_to_sync_is_told(tmp_path, monkeypatch):
    """No disk here fails on demand: the answer is that of the system call."""

    class Refuses:
        def syncfs(self, descriptor: int) -> int:
            ctypes.set_errno(errno.EIO)
            return -1

    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: Refuses())
    with pytest.raises(StorageError, match="cannot be written to its disk: Input/output error. Free space, or check"):
        Syncs(tmp_path)._sync()


def check_trains(out: Path, manifest: DatasetManifest) -> None:
    check_lanes(manifest, "train")
    check_shard_files(out, manifest.splits["train"])


def test_the_remedy_that_training_names_is_the_one_that_helps(whole, out):
    (out / SHARD).unlink()
    with pytest.raises(InputDataError, match="Run the same esmm preprocess again with --verify"):
        check_trains(out, read_manifest(out))
    again(whole, out, verify=True)
    check_trains(out, read_manifest(out))


def test_a_folder_of_other_files_is_not_where_the_remedy_makes_a_data_set(whole):
    with pytest.raises(
        InputDataError, match=r"Make one in a folder of its own: esmm preprocess RAW DATA --schema aliccp"
    ):
        read_manifest(whole / "raw")
