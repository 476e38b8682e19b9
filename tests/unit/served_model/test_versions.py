"""Which versions there are in a folder, on a disk and in a store, and which one is served."""

import json
import os
import shutil

import pytest

from esmm_dist.errors import ServedModelError
from esmm_dist.progress import NoProgress
from esmm_dist.served_model.manifest import ServedBase, read_served_manifest
from esmm_dist.served_model.mapped_model import MappedModel
from esmm_dist.served_model.version_folders import put_version, remove_version
from esmm_dist.served_model.versions import VersionList, chain_of, version_to_serve, versions_in
from esmm_dist.storage.folder import Folder
from tests.support.s3_server import S3Server
from tests.support.served_models import random_rows, write_change, write_version


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Versions 1, 2.delta of 1, 3.delta of 2.delta, 4, and 5.delta of 4."""
    folder = tmp_path_factory.mktemp("made")

    def tables(seed):
        return {"main": random_rows(range(seed), 4, seed), "items": {}}

    model = MappedModel.open([write_version(folder / "1", tables(1))])
    for number in (2, 3):
        write_change(folder / f"{number}.delta", tables(number), model)
        model = model.with_delta(folder / f"{number}.delta")
    model = MappedModel.open([write_version(folder / "4", tables(4))])
    write_change(folder / "5.delta", tables(5), model)
    return folder


@pytest.fixture(scope="module")
def store():
    with S3Server() as server:
        server.make_bucket("models")
        yield server


class Place:
    """A folder of versions that tests put together."""

    def __init__(self, folder, made):
        self.folder, self._made = folder, made

    def put(self, name, under=None):
        put_version(self._made / name, self.folder, under or name, NoProgress())

    def serves(self, current):
        self.folder.write_bytes(
            "current.json", json.dumps({"format": "esmm_dist.current", "version": current}).encode()
        )


@pytest.fixture
def place(request, tmp_path, made):
    """A folder on a disk, or what the test says."""
    if getattr(request, "param", "disk") == "disk":
        return Place(Folder.open(tmp_path / "models"), made)
    store = request.getfixturevalue("store")
    return Place(Folder.open(store.uri(f"models/{abs(hash(tmp_path))}")), made)


in_both = pytest.mark.parametrize("place", ["disk", "store"], indirect=True)


def names(folder):
    return [version.name for version in versions_in(folder)]


@in_both
def test_versions_are_listed_by_number_and_the_newest_is_served(place):
    for name in ("4", "1", "2.delta", "3.delta"):
        place.put(name)
    place.put("4", under="10")  # by number, not by letter
    assert names(place.folder) == ["1", "2.delta", "3.delta", "4", "10"]
    first, delta = versions_in(place.folder)[:2]
    assert (first.number, first.is_delta, first.base, first.step) == (1, False, None, 10)
    assert (delta.number, delta.is_delta) == (2, True)
    assert delta.base == ServedBase(version="1", model_id=first.model_id)
    assert version_to_serve(place.folder) == "10"
    assert chain_of(place.folder, "3.delta") == ["1", "2.delta", "3.delta"]
    assert chain_of(place.folder, "10") == ["10"]


def test_a_delta_without_its_base_is_skipped_with_the_reason(place):
    for name in ("1", "2.delta", "5.delta"):
        place.put(name)
    choice = VersionList(place.folder).choose()
    assert [version.name for version in choice.chain] == ["1", "2.delta"]
    assert list(choice.skipped) == ["5.delta"]
    assert choice.skipped["5.delta"].startswith(f"{place.folder}/5.delta is a delta of version 4 (model ")
    assert choice.skipped["5.delta"].endswith("which is not there. Copy that version here, or export a full one.")
    place.put("4")
    assert chain_of(place.folder, version_to_serve(place.folder)) == ["4", "5.delta"]


def test_current_json_names_the_version_in_service(place):
    for name in ("1", "2.delta", "4"):
        place.put(name)
    watched = VersionList(place.folder)
    for current, expected in ((1, ["1"]), (2, ["1", "2.delta"]), (4, ["4"])):
        place.serves(current)
        assert [version.name for version in watched.choose().chain] == expected
    place.serves(7)
    choice = watched.choose()
    assert choice.name is None
    assert choice.skipped == {
        "7": f"{place.folder}/current.json names version 7, which has no served/manifest.json. Export it with this "
        "version of esmm_dist, or copy it whole."
    }
    with pytest.raises(ServedModelError, match=r"holds no version that can be served. .*current.json names version 7"):
        version_to_serve(place.folder)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"{", r"current.json is damaged \("),
        (b"[" * 100_000, r"current.json is damaged \(maximum recursion"),
        (b"[3]", "names no version"),
        (b'{"version": true}', "names no version"),
    ],
)
def test_a_damaged_current_json_is_an_error(tmp_path, made, data, text):
    shutil.copytree(made / "1", tmp_path / "1")
    (tmp_path / "current.json").write_bytes(data)
    with pytest.raises(ServedModelError, match=text + ".*Write it again, or remove it."):
        version_to_serve(Folder.open(tmp_path))


def test_nobody_waits_for_what_a_pipe_may_say(tmp_path, made):
    shutil.copytree(made / "1", tmp_path / "1")
    (tmp_path / "2" / "served").mkdir(parents=True)
    os.mkfifo(tmp_path / "2" / "served" / "manifest.json")
    assert version_to_serve(Folder.open(tmp_path)) == "1"
    os.mkfifo(tmp_path / "current.json")
    with pytest.raises(ServedModelError, match=r"current.json is no file. Remove it, or write one"):
        version_to_serve(Folder.open(tmp_path))


def test_what_is_no_version_is_left_alone(tmp_path, made):
    folder = Folder.open(tmp_path)
    assert names(folder) == []
    for name in ("notes", ".7.publishing", "7.delta.old", "v8", "-9", "1_0", "1e3", "٣"):
        shutil.copytree(made / "1", tmp_path / name)
    (tmp_path / "20").write_text("a file")
    (tmp_path / "21").mkdir()
    shutil.copytree(made / "1", tmp_path / "22")
    (tmp_path / "22/served/manifest.json").unlink()  # written half
    assert names(folder) == []
    with pytest.raises(ServedModelError, match=rf"{tmp_path} holds no version that can be served. Write one: esmm exp"):
        version_to_serve(folder)
    with pytest.raises(ServedModelError, match=rf"{tmp_path} has no version 22. It has: none."):
        chain_of(folder, "22")
    shutil.copytree(made / "1", tmp_path / "3")
    with pytest.raises(ServedModelError, match=rf"{tmp_path} has no version 22. It has: 3."):
        chain_of(folder, "22")


def test_a_version_with_a_damaged_manifest_is_skipped_with_the_reason(tmp_path, made):
    shutil.copytree(made / "1", tmp_path / "1")
    shutil.copytree(made / "4", tmp_path / "4")
    (tmp_path / "4/served/manifest.json").write_text("{")
    choice = VersionList(Folder.open(tmp_path)).choose()
    assert choice.name == "1"
    assert choice.skipped["4"].startswith(f"{tmp_path}/4/served/manifest.json cannot be read (")


@pytest.mark.parametrize(
    ("source", "name", "text"),
    [
        ("1", "9.delta", "9.delta holds a full version. Give the folder the name 9."),
        ("2.delta", "9", "9 holds a delta of version 1. Give the folder the name 9.delta."),
    ],
)
def test_a_name_that_does_not_fit_the_content_is_skipped_with_the_reason(tmp_path, made, source, name, text):
    shutil.copytree(made / "1", tmp_path / "1")
    shutil.copytree(made / source, tmp_path / name)
    choice = VersionList(Folder.open(tmp_path)).choose()
    assert choice.name == "1"
    assert choice.skipped == {name: f"{tmp_path}/{text}"}


def test_any_version_of_the_same_model_can_be_a_base(tmp_path, made):
    shutil.copytree(made / "5.delta", tmp_path / "6.delta")
    shutil.copytree(made / "4", tmp_path / "2")  # the base, under another name
    shutil.copytree(made / "1", tmp_path / "4")  # another model under the base's name
    assert chain_of(Folder.open(tmp_path), "6.delta") == ["2", "6.delta"]
    shutil.rmtree(tmp_path / "4")
    shutil.copytree(made / "4", tmp_path / "4")  # the one that it names is there again
    assert chain_of(Folder.open(tmp_path), "6.delta") == ["4", "6.delta"]


def test_a_delta_of_no_change_is_not_its_own_base(tmp_path):
    tables = {"main": random_rows(range(3), 4), "items": {}}
    model = MappedModel.open([write_version(tmp_path / "1", tables)])
    for number in (2, 3):
        write_change(tmp_path / f"{number}.delta", tables, model)
    folder = Folder.open(tmp_path)
    assert chain_of(folder, "3.delta") == ["1", "3.delta"]
    shutil.rmtree(tmp_path / "1")
    with pytest.raises(ServedModelError, match="is a delta of version 1"):
        chain_of(folder, "3.delta")


def test_a_full_version_is_preferred_to_a_delta_of_its_number(tmp_path, made):
    shutil.copytree(made / "1", tmp_path / "1")
    shutil.copytree(made / "2.delta", tmp_path / "2.delta")
    shutil.copytree(made / "4", tmp_path / "2")
    assert names(Folder.open(tmp_path)) == ["1", "2.delta", "2"]
    assert version_to_serve(Folder.open(tmp_path)) == "2"


@in_both
def test_manifests_are_read_once_however_often_it_looks(place, monkeypatch):
    for name in ("1", "2.delta", "3.delta"):
        place.put(name)
    read = []

    def counted(served):
        read.append(str(served))
        return original(served)

    original = read_served_manifest
    monkeypatch.setattr("esmm_dist.served_model.versions.read_served_manifest", counted)
    watched = VersionList(place.folder)
    assert watched.choose().name == "3.delta"
    assert len(read) == 3
    assert watched.choose().name == "3.delta"
    assert len(read) == 3
    place.put("4")
    assert watched.choose().name == "4"
    assert len(read) == 4
    remove_version(place.folder, "4")
    assert watched.choose().name == "3.delta"
    assert len(read) == 4


def test_a_version_that_was_written_again_on_a_disk_is_read_again(tmp_path, made):
    shutil.copytree(made / "1", tmp_path / "1")
    watched = VersionList(Folder.open(tmp_path))
    [before] = watched.versions()
    shutil.rmtree(tmp_path / "1")
    shutil.copytree(made / "4", tmp_path / "1")
    [after] = watched.versions()
    assert before.model_id != after.model_id
