"""Copies of folders between a disk and a store that speaks S3 (a real server), ended half-way and gone on with."""

import itertools
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from esmm_dist.errors import ConfigError, StorageError
from esmm_dist.progress import NoProgress
from esmm_dist.storage.copy import Copied, CopyOptions, copy_file, copy_tree
from esmm_dist.storage.folder import Folder
from esmm_dist.storage.uris import COPYING
from tests.support.small_disk import small_disk

_numbers = itertools.count()

FILES = {
    "manifest.json": b'{"a": 1}',
    "train/lane-0": os.urandom(9_000_000),
    "train/lane-1": b"",
    "test/deep/er": b"x" * 1000,
    "a name with spaces and ü": b"1",
}


@pytest.fixture
def stored(s3) -> Folder:
    """A folder in a store that holds nothing yet."""
    return Folder.open(s3.uri(f"bucket/copies/{next(_numbers)}"))


@pytest.fixture
def disk(tmp_path) -> Folder:
    for path, data in FILES.items():
        (tmp_path / "source" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "source" / path).write_bytes(data)
    return Folder.open(tmp_path / "source")


class Listener(NoProgress):
    """Adds up what it is told."""

    def __init__(self) -> None:
        self.total, self.done = 0.0, 0.0

    def start(self, task: str, total: float | None, unit: str, done: float = 0.0) -> None:
        self.total = total or 0.0

    def advance(self, amount: float, note: str = "") -> None:
        self.done += amount


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_tree_comes_back_from_a_store_as_it_went_there(disk, stored, tmp_path):
    listener = Listener()
    assert copy_tree(disk, stored, listener) == Copied(files=5, file_bytes=9_001_009, kept=0)
    assert (listener.total, listener.done) == (9_001_009, 9_001_009)
    assert set(stored.tree()) == set(FILES)
    copy_tree(stored, Folder.open(tmp_path / "new/back"), NoProgress())
    assert content(tmp_path / "new/back") == FILES


def test_a_copy_on_a_disk_has_the_times_of_its_source(disk, stored, tmp_path):
    os.utime(tmp_path / "source/manifest.json", ns=(10**18, 10**18))
    copy_tree(disk, Folder.open(tmp_path / "near"), NoProgress())
    assert (tmp_path / "near/manifest.json").stat().st_mtime_ns == 10**18
    copy_tree(disk, stored, NoProgress())
    copy_tree(stored, Folder.open(tmp_path / "far"), NoProgress())
    times = {path: about.changed_ns for path, about in stored.tree().items()}
    assert {p: about.changed_ns for p, about in Folder.open(tmp_path / "far").tree().items()} == times


def test_what_is_there_is_kept_and_what_has_changed_is_copied(disk, stored, tmp_path):
    copy_tree(disk, stored, NoProgress())
    assert copy_tree(disk, stored, NoProgress()) == Copied(files=0, file_bytes=0, kept=5)
    (tmp_path / "source/test/deep/er").write_bytes(b"y" * 1000)  # of the same size, later
    os.utime(tmp_path / "source/test/deep/er", (time.time() + 5, time.time() + 5))
    (tmp_path / "source/train/lane-1").write_bytes(b"now it has some")
    assert copy_tree(disk, stored, NoProgress()) == Copied(files=2, file_bytes=1015, kept=3)
    assert (stored / "test" / "deep").read_bytes("er") == b"y" * 1000


def test_a_source_that_was_replaced_by_an_older_file_of_its_size_is_copied(disk, tmp_path):
    near = tmp_path / "near"
    copy_tree(disk, Folder.open(near), NoProgress())
    name = sorted(disk.tree())[0]
    data = bytes(reversed((disk.local_path / name).read_bytes()))
    (disk.local_path / name).write_bytes(data)
    os.utime(disk.local_path / name, (1, 1))
    assert copy_tree(disk, Folder.open(near), NoProgress()).files == 1
    assert (near / name).read_bytes() == data
    assert copy_tree(disk, Folder.open(near), NoProgress()).files == 0


def test_all_is_copied_again_where_that_is_asked(disk, tmp_path):
    target = Folder.open(tmp_path / "target")
    copy_tree(disk, target, NoProgress())
    (tmp_path / "target/test/deep/er").write_bytes(b"z" * 1000)
    assert copy_tree(disk, target, NoProgress(), options=CopyOptions(again=True)).files == 5
    assert content(tmp_path / "target") == FILES


def test_files_that_the_source_has_not_are_left_unless_the_copy_is_to_be_exact(disk, stored, tmp_path):
    copy_tree(disk, stored, NoProgress())
    (tmp_path / "source/train/lane-0").unlink()
    assert copy_tree(disk, stored, NoProgress()).files == 0
    assert set(stored.tree()) == set(FILES)
    copy_tree(disk, stored, NoProgress(), options=CopyOptions(exact=True))
    assert set(stored.tree()) == set(FILES) - {"train/lane-0"}


def test_the_manifest_comes_last_and_a_half_copy_says_so(disk, tmp_path):
    (tmp_path / "source/train/lane-1").unlink()
    (tmp_path / "source/train/lane-1").write_bytes(b"longer")

    class Ends(NoProgress):
        def start(self, task: str, total: float | None, unit: str, done: float = 0.0) -> None:
            assert (tmp_path / "target" / COPYING).is_file()

        def advance(self, amount: float, note: str = "") -> None:
            raise KeyboardInterrupt

    target = Folder.open(tmp_path / "target")
    with pytest.raises(KeyboardInterrupt):
        copy_tree(disk, target, Ends())
    assert (tmp_path / "target" / COPYING).is_file()
    assert not (tmp_path / "target/manifest.json").exists()
    with pytest.raises(ConfigError, match="not complete"):
        copy_tree(target, Folder.open(tmp_path / "third"), NoProgress())
    copy_tree(disk, target, NoProgress())
    assert content(tmp_path / "target") == content(tmp_path / "source")


def test_a_copy_killed_half_way_goes_on(disk, tmp_path):
    source = tmp_path / "source/many"
    source.mkdir()
    for i in range(400):
        (source / f"{i:03d}").write_bytes(bytes([i % 256]) * 50_000)
    program = (
        "import sys; from esmm_dist.progress import NoProgress; from esmm_dist.storage.folder import Folder;"
        "from esmm_dist.storage.copy import copy_tree;"
        "copy_tree(Folder.open(sys.argv[1]), Folder.open(sys.argv[2]), NoProgress())"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "source"), str(tmp_path / "target")])
    while len(list((tmp_path / "target/many").glob("[0-9]*"))) < 20:
        assert process.poll() is None
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    there = {path.name for path in (tmp_path / "target/many").glob("[0-9]*")}
    assert len(there) < 400
    assert all((tmp_path / "target/many" / name).read_bytes() == (source / name).read_bytes() for name in there)
    result = copy_tree(disk, Folder.open(tmp_path / "target"), NoProgress())
    assert result.kept >= len(there)
    assert content(tmp_path / "target") == content(tmp_path / "source")  # and no file with a temporary name


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_in_the_middle_of_the_executors_locks_ends_a_copy_that_the_next_one_goes_on_with(disk, tmp_path, number):
    program = (
        "import sys; from esmm_dist.progress import NoProgress; from esmm_dist.storage.folder import Folder;"
        "from esmm_dist.storage.copy import copy_tree; from tests.support.worst_moment import interrupt_in_locks;"
        "interrupt_in_locks(int(sys.argv[3]));"
        "copy_tree(Folder.open(sys.argv[1]), Folder.open(sys.argv[2]), NoProgress())"
    )
    line = [sys.executable, "-c", program, str(tmp_path / "source"), str(tmp_path / "target"), str(int(number))]
    ended = subprocess.run(line, capture_output=True, text=True, timeout=60)
    assert ended.returncode != 0
    assert ended.stdout.startswith("interrupted\n")
    assert ended.stderr.endswith("StoppedBySignal\n")
    assert COPYING in content(tmp_path / "target")
    copy_tree(disk, Folder.open(tmp_path / "target"), NoProgress())
    assert content(tmp_path / "target") == content(tmp_path / "source")


def test_a_store_that_refuses_for_a_while_is_asked_again(s3, disk, stored, monkeypatch):
    monkeypatch.setattr("esmm_dist.storage.file_copy.WAIT_S", 0.5)
    tried = iter([False, False, True, True, True, True, True, True])
    real = Folder.open_output

    def sometimes(folder: Folder, name: str):
        if name == "er" and not next(tried):
            raise StorageError("no")
        return real(folder, name)

    monkeypatch.setattr(Folder, "open_output", sometimes)
    listener = Listener()
    copy_tree(disk, stored, listener)
    assert set(stored.tree()) == set(FILES)
    assert listener.done == listener.total


def test_a_store_that_goes_away_ends_the_copy_and_is_named(s3, disk, stored, monkeypatch):
    monkeypatch.setattr("esmm_dist.storage.file_copy.WAIT_S", 0.01)
    s3.refuse_after(6)
    try:
        with pytest.raises(StorageError, match=r"s3://bucket/copies/\d+"):
            copy_tree(disk, stored, NoProgress())
    finally:
        s3.refuse_after(float("inf"))
    copy_tree(disk, stored, NoProgress())
    assert set(stored.tree()) == set(FILES)


def test_a_disk_without_room_is_found_out_before_anything_is_copied(disk, tmp_path):
    with small_disk(tmp_path / "small", kilobytes=2000) as small:
        with pytest.raises(StorageError, match=r"has room for 0\.00 GB, but 0\.01 GB"):
            copy_tree(disk, Folder.open(small / "target"), NoProgress())
        assert list((small / "target").iterdir()) == []


def test_a_missing_or_empty_source_is_refused(tmp_path, stored):
    (tmp_path / "empty").mkdir()
    for source in (Folder.open(tmp_path / "empty"), Folder.open(tmp_path / "missing"), stored):
        with pytest.raises(ConfigError, match="nothing to copy"):
            copy_tree(source, Folder.open(tmp_path / "target"), NoProgress())
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize("target", ["source", "source/inside", "."])
def test_a_folder_is_not_copied_into_itself(disk, tmp_path, target):
    with pytest.raises(ConfigError, match="one in the other"):
        copy_tree(disk, Folder.open(tmp_path / target), NoProgress())


def test_places_are_one_in_the_other_only_within_one_store(s3, tmp_path):
    outer, inner = Folder.open(s3.uri("bucket/a")), Folder.open(s3.uri("bucket/a/b", key="other"))
    with pytest.raises(ConfigError, match="one in the other"):
        copy_tree(inner, outer, NoProgress())
    elsewhere = Folder.open(s3.uri("bucket/a").replace(s3.address.partition(":")[2], "1"))
    assert not inner.is_within(elsewhere)
    (tmp_path / "link").symlink_to(tmp_path)
    assert Folder.open(tmp_path / "link/x").is_within(Folder.open(tmp_path))
    assert not Folder.open(tmp_path).is_within(Folder.open(s3.uri("bucket")))


def test_a_folder_beside_with_a_longer_name_is_not_inside(disk, tmp_path):
    copy_tree(disk, Folder.open(tmp_path / "source-2"), NoProgress())
    assert content(tmp_path / "source-2") == FILES


def test_what_is_neither_file_nor_folder_is_refused(disk, tmp_path):
    os.mkfifo(tmp_path / "source/train/pipe")
    with pytest.raises(StorageError, match="pipe is neither a file nor a folder"):
        copy_tree(disk, Folder.open(tmp_path / "target"), NoProgress())
    (tmp_path / "source/train/pipe").unlink()
    (tmp_path / "source/train/link").symlink_to(tmp_path)
    with pytest.raises(StorageError, match="link is neither"):
        copy_tree(disk, Folder.open(tmp_path / "target"), NoProgress())


def test_a_key_that_leads_out_of_the_target_is_refused(s3, tmp_path):
    s3.make_bucket("evil")
    url = f"http://{s3.address}/evil/set/%2E%2E/%2E%2E/out"
    with urllib.request.urlopen(urllib.request.Request(url, data=b"x", method="PUT")):
        pass
    with pytest.raises(StorageError, match="which is no name of a file"):
        copy_tree(Folder.open(s3.uri("evil/set")), Folder.open(tmp_path / "target"), NoProgress())
    assert not (tmp_path / "out").exists()


def test_one_file_is_copied_under_another_name(disk, stored, tmp_path):
    assert copy_file(disk, "manifest.json", stored, "m.json", NoProgress()) == 8
    assert stored.read_bytes("m.json") == FILES["manifest.json"]
    copy_file(stored, "m.json", Folder.open(tmp_path / "new"), "back", NoProgress())
    assert content(tmp_path / "new") == {"back": FILES["manifest.json"]}
    with pytest.raises(ConfigError, match="to itself"):
        copy_file(disk, "manifest.json", disk, "manifest.json", NoProgress())
    with pytest.raises(FileNotFoundError):
        copy_file(disk, "missing", stored, "x", NoProgress())
