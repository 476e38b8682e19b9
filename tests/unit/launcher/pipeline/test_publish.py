"""Versions in a folder of a disk and in a store that speaks S3: whole or not there, and in service last."""

import json
from pathlib import Path

import pytest

from esmm_dist.errors import ConfigError
from esmm_dist.progress import NoProgress
from esmm_dist.served_model.version_folders import put_version
from esmm_dist.storage.folder import Folder
from launcher.pipeline.publish import (
    check_publish_folder,
    checksum_of,
    files_of,
    is_published,
    next_version,
    read_current,
    remove_old,
    write_current,
)
from launcher.pipeline.state import VersionState


@pytest.fixture(scope="module", params=["disk", "store"])
def places(request, tmp_path_factory):
    """Return what makes a place of a name, on a disk and in a store."""
    if request.param == "disk":
        folder = tmp_path_factory.mktemp("published")
        return lambda name: Folder.open(folder / name)
    s3 = request.getfixturevalue("s3")
    return lambda name: Folder.open(s3.uri(f"bucket/{name}"))


def model(folder: Path, text: str = "a") -> Path:
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_text(f"graph {text}")
    (folder / "variables" / "variables.index").write_text(text)
    return folder


def version(number: int, checksum: str = "") -> VersionState:
    return VersionState(version=number, day=f"2022-04-{24 + number}", step=number * 10, metrics={}, checksum=checksum)


def publish(place: Folder, number: int, made: Path) -> VersionState:
    found = version(number, checksum_of(files_of(made)))
    put_version(made, place, str(number), NoProgress())
    write_current(place, found, files_of(made), {"run": "work/run"})
    return found


def test_a_version_is_whole_and_in_service_once_it_is_written(places, tmp_path):
    place, made = places("whole"), model(tmp_path / "model")
    published = version(1, checksum_of(files_of(made)))
    assert not is_published(place, published)
    put_version(made, place, "1", NoProgress())
    assert not is_published(place, published)  # whole, and not in service
    write_current(place, published, files_of(made), {"run": "work/run", "data_set": "abc"})
    assert is_published(place, published)
    assert list((place / "1").tree()) == ["saved_model.pb", "variables/variables.index"]
    current = read_current(place)
    assert current is not None
    assert (current["version"], current["day"], current["step"]) == (1, "2022-04-25", 10)
    assert (current["run"], current["data_set"]) == ("work/run", "abc")
    assert current["files"]["variables/variables.index"]["file_bytes"] == 1
    assert set(place.names()) == {"1", "current.json"}


def test_a_version_that_lacks_a_file_or_is_another_model_is_not_published(places, tmp_path):
    place = places("lacking")
    published = publish(place, 1, model(tmp_path / "model"))
    assert not is_published(place, version(1, "00000000"))
    assert not is_published(place, version(2, published.checksum))
    (place / "1" / "variables").delete_file("variables.index")
    assert not is_published(place, published)


def test_what_a_killed_publishing_has_left_is_replaced(places, tmp_path):
    place = places("half")
    old = model(tmp_path / "old", "longer")
    (old / "of_the_old_one").write_text("x")
    put_version(old, place, "1", NoProgress())
    (place / ".1.publishing").make()
    (place / ".1.publishing").write_bytes("saved_model.pb", b"half")
    published = publish(place, 1, model(tmp_path / "new"))
    assert is_published(place, published)
    remove_old(place, [published], keep=1)
    assert set(place.names()) == {"1", "current.json"}


def test_old_versions_go_and_those_of_others_stay(places, tmp_path):
    place, made = places("old"), model(tmp_path / "model")
    for number in (1, 2, 3):
        put_version(made, place, str(number), NoProgress())
    (place / "9").make()
    (place / "9").write_bytes("saved_model.pb", b"of somebody else")
    versions = [version(number) for number in (1, 2, 3)]
    assert remove_old(place, versions, keep=2) == [1]
    assert remove_old(place, versions, keep=2) == []
    assert set(place.names()) == {"2", "3", "9"}
    assert next_version(place, versions) == 10


def test_versions_go_on_though_their_folders_are_gone(places):
    assert next_version(places("empty"), []) == 1
    assert next_version(places("empty"), [version(1), version(2)]) == 3


def test_a_version_takes_no_number_of_a_delta(places):
    place = places("with-delta")
    (place / "3.delta").make()
    (place / "3.delta").write_bytes("of", b"somebody else")
    assert next_version(place, [version(2)]) == 4


def test_a_folder_of_something_else_or_of_another_pipeline_is_refused(places, tmp_path):
    place = places("taken")
    place.make()
    check_publish_folder(place, [], None)
    (place / "1").make()
    (place / "2.delta").make()
    (place / "2.delta").write_bytes("of", b"an export by hand")
    check_publish_folder(place, [], None)
    place.write_bytes("thesis.txt", b"precious")
    with pytest.raises(ConfigError, match=r"taken, which holds something else than models \(thesis.txt\)"):
        check_publish_folder(place, [], None)
    place.delete_file("thesis.txt")
    published = publish(place, 4, model(tmp_path / "model"))
    with pytest.raises(ConfigError, match=r"current.json names version 4, which this pipeline has not published"):
        check_publish_folder(place, [version(1)], None)
    check_publish_folder(place, [version(1), published], None)
    check_publish_folder(place, [version(1)], 4)  # killed before it was noted


@pytest.mark.parametrize(("content", "message"), [(b"{", "is damaged"), (b"[]", "is no mapping")])
def test_a_damaged_current_is_named(places, content, message):
    place = places(f"damaged-{len(content)}")
    place.make()
    place.write_bytes("current.json", content)
    with pytest.raises(ConfigError, match=f"current.json {message}.*Remove it and run the same command again"):
        read_current(place)


def test_the_checksum_is_of_paths_and_bytes(tmp_path):
    first, same, other = (files_of(model(tmp_path / name, name[:1])) for name in ("a-1", "a-2", "b"))
    assert checksum_of(first) == checksum_of(same) != checksum_of(other)
    assert len(checksum_of(first)) == 8


def test_the_files_that_say_what_is_there_come_last_in_a_store(s3, tmp_path, monkeypatch):
    """Servers that poll a store must not load half a model."""
    written: list[str] = []
    real = Folder.open_output

    def note(self, name):
        written.append(f"{str(self).partition('?')[0]}/{name}")
        return real(self, name)

    made = model(tmp_path / "model")
    for name in ("served/towers/saved_model.pb", "served/towers/variables/variables.index", "served/manifest.json"):
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_text(name)
    monkeypatch.setattr(Folder, "open_output", note)
    put_version(made, Folder.open(s3.uri("bucket/order")), "1", NoProgress())
    last = ("served/towers/saved_model.pb", "saved_model.pb", "served/manifest.json")
    assert written[-3:] == [f"s3://bucket/order/1/{name}" for name in last]


def test_current_has_no_time_in_it(tmp_path):
    """A pipeline that was killed ends with the same bytes as one that was not."""
    made = model(tmp_path / "model")
    texts = []
    for name in ("one", "two"):
        place = Folder.open(tmp_path / name)
        publish(place, 1, made)
        texts.append(place.read_bytes("current.json"))
    assert texts[0] == texts[1]
    assert json.loads(texts[0])["format_version"] == 1
