"""Versions in an object store, copied to a disk: what is fetched, checked, kept and removed."""

from pathlib import Path

import pytest

from esmm_dist.errors import ConfigError, ServedModelError, StorageError
from esmm_dist.progress import NoProgress
from esmm_dist.served_model.mapped_model import MappedModel
from esmm_dist.serving.versions.offered_version import OfferedVersion
from esmm_dist.serving.versions.version_cache import VersionCache, remove_abandoned
from esmm_dist.serving.versions.version_watch import NothingToServeError, VersionWatch
from esmm_dist.storage.copy import copy_tree
from esmm_dist.storage.folder import Folder
from tests.support.damage import flip_bit
from tests.support.s3_server import S3Server
from tests.support.served_models import DIMS, random_rows, write_change, write_version
from tests.support.small_disk import small_disk

ROWS = {name: random_rows(range(20), dim) for name, dim in DIMS.items()}
OTHER_ROWS = {name: random_rows(range(20), dim, seed=5) for name, dim in DIMS.items()}
ALL_ROWS = {name: random_rows(range(400), dim) for name, dim in DIMS.items()}


class CountsBytes(NoProgress):
    """Notes what is fetched."""

    def __init__(self) -> None:
        self.tasks: list[str] = []

    def start(self, task: str, total: float | None, unit: str, done: float = 0.0) -> None:
        self.tasks.append(task)


@pytest.fixture
def store(s3: S3Server, request: pytest.FixtureRequest) -> Folder:
    return Folder.open(s3.uri(f"bucket/{request.node.name}"))


def put(version: Path, store: Folder) -> None:
    copy_tree(Folder.open(version), store / version.name, NoProgress())


def take(versions: VersionWatch, progress: NoProgress | None = None) -> OfferedVersion:
    offered = versions.look(progress or NoProgress())
    assert offered is not None
    versions.settle(offered, taken=True)
    return offered


def test_only_what_is_served_and_new_is_fetched_and_old_copies_go(tmp_path, store):
    write_version(tmp_path / "1", ROWS)
    (tmp_path / "1" / "saved_model.pb").write_bytes(b"for others")
    (tmp_path / "1" / "assets.extra").mkdir()
    (tmp_path / "1" / "assets.extra" / "golden.json").write_text("{}")
    write_change(tmp_path / "2.delta", OTHER_ROWS, MappedModel.open([tmp_path / "1"]))
    write_version(tmp_path / "3", OTHER_ROWS)
    put(tmp_path / "1", store)
    with VersionCache(tmp_path / "cache") as cache:
        versions, progress = VersionWatch(store, cache), CountsBytes()
        [first] = take(versions, progress).folders
        assert progress.tasks == ["fetch version 1"]
        assert (first / "assets.extra" / "golden.json").read_text() == "{}"
        assert not (first / "saved_model.pb").exists()
        put(tmp_path / "2.delta", store)
        delta = take(versions, progress)
        assert progress.tasks == ["fetch version 1", "fetch version 2.delta"]
        assert delta.folders[0] == first
        expected = MappedModel.open([tmp_path / "1", tmp_path / "2.delta"])
        assert MappedModel.open(delta.folders).manifest == expected.manifest
        put(tmp_path / "3", store)
        third = take(versions)
        assert [path for path in (tmp_path / "cache").iterdir() if path.is_dir()] == list(third.folders)
    with VersionCache(tmp_path / "cache") as again:  # of a server that is started anew
        progress = CountsBytes()
        assert take(VersionWatch(store, again), progress).folders == third.folders
        assert progress.tasks == []


def test_a_copy_that_was_ended_continues(tmp_path, store):
    write_version(tmp_path / "1", ROWS)
    put(tmp_path / "1", store)
    with VersionCache(tmp_path / "cache") as cache:
        [copy] = take(VersionWatch(store, cache)).folders
        (copy / ".checked").unlink()
        kept = copy / "served" / "tables" / "main.start_rows.npy"
        number = kept.stat().st_ino
        (copy / "served" / "tables" / "items.start_rows.npy").unlink()
        flip_bit(copy / "served" / "tables" / "main-0000.rows.npy")  # as a bad disk does
        [again] = take(VersionWatch(store, cache)).folders
        assert again == copy
        assert kept.stat().st_ino == number
        MappedModel.open([again])


def test_a_version_that_is_damaged_in_the_store_is_refused_until_it_changes(tmp_path, store):
    write_version(tmp_path / "1", ROWS)
    rows = tmp_path / "1" / "served" / "tables" / "main-0000.rows.npy"
    whole = rows.read_bytes()
    flip_bit(rows)
    put(tmp_path / "1", store)
    with VersionCache(None) as cache:
        versions = VersionWatch(store, cache)
        with pytest.raises(ServedModelError, match=r"main-0000.rows.npy does not have its checksum: it is damaged"):
            versions.look(NoProgress())
        assert versions.look(NoProgress()) is None
        (store / "1" / "served" / "tables").delete_file("main-0000.rows.npy")
        with pytest.raises(NothingToServeError, match="is not whole yet"):
            versions.look(NoProgress())
        (store / "1" / "served" / "tables").write_bytes("main-0000.rows.npy", whole)
        assert take(versions).name == "1"


def test_a_disk_that_is_full_is_an_error_that_passes_when_there_is_room(tmp_path, store):
    write_version(tmp_path / "1", ROWS)
    put(tmp_path / "1", store)
    with small_disk(tmp_path / "small", kilobytes=12_000) as small:
        filler = small / "filler"
        with VersionCache(small / "cache") as cache:
            versions = VersionWatch(store, cache)
            assert take(versions).name == "1"
            write_version(tmp_path / "2", ALL_ROWS)
            put(tmp_path / "2", store)
            filler.write_bytes(bytes(10_000_000))
            with pytest.raises(StorageError, match=r"has room for .* GB, but .* GB are to be copied"):
                versions.look(NoProgress())
            assert any(path.name.startswith("1-") for path in (small / "cache").iterdir())  # it is in service
            filler.unlink()
            assert take(versions).name == "2"


def test_a_cache_belongs_to_one_server_and_a_temporary_one_goes_with_it(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    used = pytest.raises(ConfigError, match=r"cache .*/cache is used by another esmm serve")
    with VersionCache(tmp_path / "cache"), used:
        VersionCache(tmp_path / "cache")
    with VersionCache(None):
        [folder] = tmp_path.glob("esmm-serve-*")
        remove_abandoned(tmp_path)
        assert folder.is_dir()  # its server lives
        (folder / "1-of a version").mkdir()
    assert not folder.exists()
    killed = VersionCache(None)
    [folder] = tmp_path.glob("esmm-serve-*")
    killed._lock.close()  # as the end of a process does
    remove_abandoned(tmp_path)
    assert not folder.exists()
