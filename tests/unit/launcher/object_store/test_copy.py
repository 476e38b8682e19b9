"""``esmm copy``: a folder or a file, from a disk or a store to another place."""

import pytest

from esmm_dist.errors import ConfigError, StorageError
from esmm_dist.storage.folder import Folder
from launcher.object_store.copy import MOST_PARALLEL, CopyConfig, copy_command
from tests.unit.launcher.commands.played_context import CONTEXT


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    (folder / "inner").mkdir(parents=True)
    (folder / "a").write_bytes(b"1234")
    (folder / "inner" / "b").write_bytes(b"x" * 996)
    return folder


def copied(source, target, **settings):
    return copy_command(CopyConfig(source=str(source), target=str(target), **settings), CONTEXT)


def test_a_folder_is_copied_with_all_below_it(source, tmp_path):
    outcome = copied(source, tmp_path / "target")
    assert outcome.lines == [f"Copied 2 files, 1 kB, from {source} to {tmp_path / 'target'}."]
    assert outcome.result == {
        "source": str(source), "target": str(tmp_path / "target"), "files": 2, "file_bytes": 1000, "kept": 0,
    }  # fmt: skip
    assert (tmp_path / "target/inner/b").read_bytes() == b"x" * 996


def test_a_second_copy_keeps_what_is_there_and_again_copies_all(source, tmp_path):
    target = tmp_path / "target"
    copied(source, target)
    (source / "a").write_bytes(b"12345")
    outcome = copied(source, target)
    assert outcome.lines == [f"Copied 1 file, 5 B, from {source} to {target}; 1 was there already."]
    assert (target / "a").read_bytes() == b"12345"
    (target / "own").write_bytes(b"stays")
    assert copied(source, target, again=True).result["files"] == 2
    assert (target / "own").read_bytes() == b"stays"


def test_one_file_is_copied_under_the_name_of_the_target(source, tmp_path):
    outcome = copied(source / "a", tmp_path / "new" / "name")
    assert outcome.lines[0].startswith("Copied 1 file, 4 B, from ")
    assert (tmp_path / "new" / "name").read_bytes() == b"1234"


def test_a_store_is_named_without_what_reaches_it(source, s3):
    target = s3.uri("bucket/copy-test")
    outcome = copied(source, target)
    assert outcome.lines == [f"Copied 2 files, 1 kB, from {source} to s3://bucket/copy-test."]
    assert set(Folder.open(target).tree()) == {"a", "inner/b"}
    assert "asecret" not in str(outcome)


@pytest.mark.parametrize("missing", ["none", "none/file"])
def test_a_source_that_is_not_there_is_named(tmp_path, missing):
    with pytest.raises((ConfigError, StorageError), match="none"):
        copied(tmp_path / missing, tmp_path / "target")
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize(("source", "target"), [("a", "a"), ("a", "a/b"), ("a/b", "a")])
def test_a_place_within_the_other_is_refused(tmp_path, source, target):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_bytes(b"x")
    with pytest.raises(ConfigError, match=str(tmp_path)):
        copied(tmp_path / source, tmp_path / target)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"source": ""}, r"source is empty\. Give a path or a URI\."),
        ({"target": ""}, r"target is empty\. Give a path or a URI\."),
        ({"parallel": 0}, rf"parallel is 0\. Set 1 \.\. {MOST_PARALLEL}\."),
        ({"parallel": MOST_PARALLEL + 1}, rf"parallel is {MOST_PARALLEL + 1}\. Set 1 \.\. {MOST_PARALLEL}\."),
    ],
)
def test_settings_that_copy_nothing_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        CopyConfig(**{"source": "a", "target": "b", **settings})
    CopyConfig(source="a", target="b", parallel=MOST_PARALLEL)
