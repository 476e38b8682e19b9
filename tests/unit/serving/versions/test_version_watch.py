"""Which version is offered, and when: on a disk, without a server."""

import json
import shutil
from pathlib import Path

import pytest

from esmm_dist.errors import ConfigError, ServedModelError
from esmm_dist.progress import NoProgress
from esmm_dist.served_model.mapped_model import MappedModel
from esmm_dist.serving.versions.offered_version import OfferedVersion
from esmm_dist.serving.versions.version_watch import NothingToServeError, VersionWatch
from esmm_dist.storage.folder import Folder
from tests.support.damage import flip_bit
from tests.support.served_models import DIMS, random_rows, write_change, write_version

ROWS = {name: random_rows(range(20), dim) for name, dim in DIMS.items()}
OTHER_ROWS = {name: random_rows(range(20), dim, seed=5) for name, dim in DIMS.items()}


def watch(models: Path) -> VersionWatch:
    return VersionWatch(Folder.open(models), None)


def look(of: VersionWatch) -> OfferedVersion | None:
    return of.look(NoProgress())


def take(of: VersionWatch) -> str:
    """Take what is offered and return its name."""
    offered = look(of)
    assert offered is not None
    of.settle(offered, taken=True)
    return offered.name


def test_the_newest_version_is_offered_once_and_the_next_one_when_it_comes(tmp_path):
    write_version(tmp_path / "1", ROWS)
    versions = watch(tmp_path)
    offered = look(versions)
    assert offered is not None
    assert (offered.name, offered.number, offered.folders) == ("1", 1, (tmp_path / "1",))
    versions.settle(offered, taken=True)
    assert look(versions) is None
    write_change(tmp_path / "2.delta", OTHER_ROWS, MappedModel.open([tmp_path / "1"]))
    delta = look(versions)
    assert delta is not None
    assert (delta.name, delta.number) == ("2.delta", 2)
    assert delta.folders == (tmp_path / "1", tmp_path / "2.delta")
    assert delta.deltas_since(offered.identities) == (tmp_path / "2.delta",)
    assert delta.deltas_since(("other",)) is None
    assert delta.deltas_since(()) is None
    assert OfferedVersion.from_mapping(json.loads(json.dumps(delta.to_mapping()))) == delta


def test_current_json_leads_back_to_an_older_version(tmp_path):
    write_version(tmp_path / "1", ROWS)
    write_version(tmp_path / "2", OTHER_ROWS)
    versions = watch(tmp_path)
    assert take(versions) == "2"
    (tmp_path / "current.json").write_text('{"version": 1}')
    assert take(versions) == "1"
    assert look(versions) is None


def test_current_json_is_followed_from_the_first_look_on_and_forth_and_back(tmp_path):
    write_version(tmp_path / "1", ROWS)
    write_version(tmp_path / "2", OTHER_ROWS)
    write_version(tmp_path / "3", ROWS, step=30)
    current = {"format": "esmm_dist.current", "format_version": 1, "day": "2024-01-01", "files": {}}
    versions, taken = None, []
    for number in (1, 2, 1):  # published, the next one, and back; 3 has been copied, and is not in service yet
        (tmp_path / "current.json").write_text(json.dumps({**current, "version": number}))
        versions = versions or watch(tmp_path)
        taken.append(take(versions))
        assert look(versions) is None
    assert taken == ["1", "2", "1"]


def test_a_model_that_is_not_in_service_is_no_reason_why_none_is(tmp_path):
    write_version(tmp_path / "1", ROWS)
    (tmp_path / "1" / "saved_model.pb").touch()
    (tmp_path / "current.json").write_text('{"version": 9}')
    with pytest.raises(NothingToServeError, match=r"names version 9, which has no .* copy it whole\.$"):
        look(watch(tmp_path))


def test_a_version_that_appears_file_by_file_is_offered_when_it_is_whole(tmp_path):
    models = tmp_path / "models"
    write_version(tmp_path / "1", ROWS)
    files = sorted(path for path in (tmp_path / "1").rglob("*") if path.is_file())
    assert len(files) > 8
    files.sort(key=lambda path: path.name != "manifest.json")  # at worst the manifest comes first
    versions = watch(models)
    for number, path in enumerate(files):
        with pytest.raises(NothingToServeError, match="is not whole yet: .* is not there" if number else "no version"):
            look(versions)
        target = models / path.relative_to(tmp_path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes()[:-1])
        if number:
            with pytest.raises(NothingToServeError, match=r"is not whole yet"):
                look(versions)
        target.write_bytes(path.read_bytes())
    assert take(versions) == "1"


def test_a_copy_that_is_not_complete_is_not_offered(tmp_path):
    write_version(tmp_path / "1", ROWS)
    (tmp_path / "1" / ".copying").touch()
    with pytest.raises(NothingToServeError, match="1 is being copied"):
        look(watch(tmp_path))


def test_a_refused_version_is_offered_again_when_one_of_its_files_changes(tmp_path):
    write_version(tmp_path / "1", ROWS)
    versions = watch(tmp_path)
    offered = look(versions)
    assert offered is not None
    versions.settle(offered, taken=False)
    assert look(versions) is None
    assert look(versions) is None
    flip_bit(tmp_path / "1" / "served" / "tables" / "main-0000.rows.npy")
    assert take(versions) == "1"


def test_a_version_with_a_damaged_manifest_is_passed_over_and_said_why(tmp_path):
    write_version(tmp_path / "1", ROWS)
    write_version(tmp_path / "2", OTHER_ROWS)
    flip_bit(tmp_path / "2" / "served" / "manifest.json")
    versions = watch(tmp_path)
    assert take(versions) == "1"
    assert list(versions.skipped) == ["2"]


def test_a_version_in_service_whose_folder_goes_stays_and_can_be_asked_for_again(tmp_path):
    write_version(tmp_path / "1", ROWS)
    versions = watch(tmp_path)
    assert take(versions) == "1"
    versions.forget()
    assert take(versions) == "1"
    shutil.rmtree(tmp_path / "1")
    with pytest.raises(NothingToServeError, match="holds no version that can be served"):
        look(versions)


def test_a_folder_that_is_one_version_is_the_only_one(tmp_path):
    write_version(tmp_path / "1", ROWS)
    versions = watch(tmp_path / "1")
    assert versions.is_one_version
    assert take(versions) == "1"
    write_version(tmp_path / "2", OTHER_ROWS)
    assert look(versions) is None
    write_change(tmp_path / "3.delta", OTHER_ROWS, MappedModel.open([tmp_path / "1"]))
    with pytest.raises(ConfigError, match=r"3.delta, a delta of version 1. Give the folder that both are in"):
        watch(tmp_path / "3.delta")


def test_what_can_hold_no_version_is_refused_and_what_can_is_waited_for(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="file, a file. Give the folder"):
        watch(tmp_path / "file")
    plain = tmp_path / "models" / "7"
    plain.mkdir(parents=True)
    (plain / "saved_model.pb").touch()
    with pytest.raises(ConfigError, match=r"7, a SavedModel without served/manifest.json. Export it again"):
        watch(plain)
    with pytest.raises(NothingToServeError, match=r"models/7 is a SavedModel without served/manifest.json. Export it"):
        look(watch(tmp_path / "models"))
    with pytest.raises(NothingToServeError, match=r"exp.* FOLDER/1. There is no folder .*/modles yet.$"):
        look(watch(tmp_path / "modles"))
    write_version(tmp_path / "others" / "shop", ROWS)
    named = r"The name of .*/others/shop is not that of a version. esmm serve .*/others/shop serves it alone.$"
    with pytest.raises(NothingToServeError, match=named):
        look(watch(tmp_path / "others"))
    assert take(watch(tmp_path / "others" / "shop")) == "shop"
    write_version(tmp_path / "models" / "8", ROWS)
    assert take(watch(tmp_path / "models")) == "8"


def test_current_json_that_is_damaged_is_an_error(tmp_path):
    write_version(tmp_path / "1", ROWS)
    (tmp_path / "current.json").write_text("{")
    with pytest.raises(ServedModelError, match="current.json is damaged"):
        look(watch(tmp_path))


def test_while_none_is_in_service_an_older_version_takes_the_place_of_one_that_cannot_be_served(tmp_path):
    write_version(tmp_path / "1", ROWS)
    write_change(tmp_path / "2.delta", OTHER_ROWS, MappedModel.open([tmp_path / "1"]))
    write_version(tmp_path / "3", OTHER_ROWS, step=30)
    (tmp_path / "3" / "served" / "tables" / "main.start_rows.npy").rename(tmp_path / "later")  # being copied
    write_version(tmp_path / "9", OTHER_ROWS, step=90)
    (tmp_path / "current.json").write_text('{"version": 3}')  # 9 was taken out of service: it is not fallen back on
    versions = watch(tmp_path)
    offered = look(versions)
    assert offered is not None
    assert offered.name == "2.delta"
    versions.settle(offered, taken=False)
    assert take(versions) == "1"
    with pytest.raises(NothingToServeError, match="3 is not whole yet"):
        look(versions)
    (tmp_path / "later").rename(tmp_path / "3" / "served" / "tables" / "main.start_rows.npy")
    assert take(versions) == "3"
