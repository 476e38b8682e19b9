"""Files that are whole or not there, and on the disk when a call returns."""

import os
from pathlib import Path

import pytest

from esmm_dist.storage.whole_file import durable_file, make_folder_durable, replace_durable, sync_tree, write_durable


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[int | str]:
    """The inodes that were synced and the names that files got, in order."""
    found: list[int | str] = []
    fsync, replace = os.fsync, os.replace

    def synced(descriptor: int) -> None:
        fsync(descriptor)
        found.append(os.fstat(descriptor).st_ino)

    def named(source: Path, target: Path) -> None:
        replace(source, target)
        found.append(Path(target).name)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", named)
    return found


def inode(path: Path) -> int:
    return path.stat().st_ino


def test_a_file_is_on_the_disk_before_it_has_its_name_and_its_name_on_return(tmp_path: Path, events):
    write_durable(tmp_path / "a", b"1")
    assert events == [inode(tmp_path / "a"), "a", inode(tmp_path)]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_folder_is_renamed_when_all_in_it_is_on_the_disk(tmp_path: Path, events):
    (tmp_path / ".new/inner").mkdir(parents=True)
    for name in ("a", "inner/b"):
        (tmp_path / ".new" / name).write_text(name)
    replace_durable(tmp_path / ".new", tmp_path / "new")
    renamed = events.index("new")
    new = tmp_path / "new"
    assert set(events[:renamed]) == {inode(path) for path in (new, new / "a", new / "inner", new / "inner/b")}
    assert events[renamed + 1 :] == [inode(tmp_path)]


def test_new_folders_have_their_names_on_the_disk(tmp_path: Path, events):
    make_folder_durable(tmp_path / "a/b")
    assert sorted(events) == sorted([inode(tmp_path), inode(tmp_path / "a")])
    events.clear()
    make_folder_durable(tmp_path / "a/b")
    assert events == []


def test_a_single_file_is_synced(tmp_path: Path, events):
    (tmp_path / "a").write_text("1")
    sync_tree(tmp_path / "a")
    assert events == [inode(tmp_path / "a")]


def test_a_block_that_fails_leaves_what_was_there(tmp_path: Path):
    (tmp_path / "a").write_text("before")

    def fails() -> None:
        with durable_file(tmp_path / "a") as temporary:
            temporary.write_text("half")
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "before")]
