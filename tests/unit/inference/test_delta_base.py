"""Which version a delta is made from, what may contradict it, and what it counts."""

from pathlib import Path

import pytest

from esmm_dist.errors import ConfigError, ServedModelError
from esmm_dist.inference.delta_base import DeltaBase, check_delta_out, find_base, place_of_run, settings_of_base
from esmm_dist.inference.delta_rows import count_delta
from esmm_dist.served_model.mapped_model import MappedModel
from esmm_dist.storage.folder import Folder
from tests.support.served_models import DIMS, random_rows, write_change, write_version

IDS = {"main": range(40), "items": range(100, 130)}


def tables(seed=0, **ids):
    return {name: random_rows(list({**IDS, **ids}[name]), dim, seed) for name, dim in DIMS.items()}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Versions 1 (step 10), 2.delta (step 20), 20 (step 30), 21 and 22 (step 40, two models)."""
    folder = tmp_path_factory.mktemp("models")
    rows = tables()
    base = MappedModel.open([write_version(folder / "1", rows)])
    changed = {**rows, "main": {**rows["main"], **random_rows([0, 1, 99], DIMS["main"], 5)}}
    del changed["items"][100]
    write_change(folder / "2.delta", changed, base, step=20)
    write_version(folder / "20", tables(1), step=30)
    write_version(folder / "21", tables(2), step=40)
    write_version(folder / "22", tables(3), step=40)
    return folder


@pytest.mark.parametrize(
    ("since", "name"),
    [
        ("1", "1"),
        ("2.delta", "2.delta"),
        ("2", "2.delta"),  # the version of this number
        ("20", "20"),  # a version goes before a step
        ("step:20", "2.delta"),
        ("30", "20"),
        (" 10 ", "1"),
    ],
)
def test_a_base_is_named_by_its_version_or_by_its_step(models, since, name):
    assert find_base(Folder.open(models), since) == name


@pytest.mark.parametrize(
    ("since", "message"),
    [
        (
            "7",
            r"delta_since is 7, and .* holds no version of this name or step. It holds: 1 \(step 10\), 2.delta \(step",
        ),
        ("step:1", "delta_since is step:1, and .* holds no version of this name or step"),
        ("newest", "delta_since is newest, and .* holds no version"),
        ("40", "delta_since is 40, and several versions in .* were made of step 40: 21, 22. Name one of them."),
    ],
)
def test_a_base_that_is_not_there_or_not_one_is_an_error_that_lists_them(models, since, message):
    with pytest.raises(ConfigError, match=message):
        find_base(Folder.open(models), since)


def test_without_any_version_the_error_says_to_make_a_full_one(tmp_path):
    with pytest.raises(ConfigError, match="It holds none: export a full version first, without --delta-since."):
        find_base(Folder.open(tmp_path), "1")


def test_versions_of_one_step_that_are_one_model_are_no_question(tmp_path):
    for name in ("1", "2"):
        write_version(tmp_path / name, tables(), step=5)
    assert find_base(Folder.open(tmp_path), "step:5") == "2"


def test_a_base_brings_what_it_builds_on(models):
    base = DeltaBase.of(Folder.open(models), "2.delta")
    assert [folder.name for folder in base.folders] == ["1", "2.delta"]
    assert base.mapped().manifest.step == base.manifest.step == 20
    with pytest.raises(ServedModelError, match="has no version 3"):
        DeltaBase.of(Folder.open(models), "3")


def test_a_base_of_another_run_is_refused(models, tmp_path):
    base = DeltaBase.of(Folder.open(models), "1")
    with pytest.raises(ConfigError, match=r"Version 1 was made of the run runs/a, and run is /.*runs/b.*full version"):
        base.check_run("runs/b")
    written = write_version(tmp_path / "9", tables(), run=place_of_run("runs/a"))
    DeltaBase.of(Folder.open(written.parent), "9").check_run("runs/a")


@pytest.mark.parametrize("name", ["2", "two.delta", ".delta", "2.deltas"])
def test_a_delta_has_a_number_and_says_that_it_is_one(name):
    with pytest.raises(
        ConfigError, match=rf"out is models/{name}, and a delta's .* such as models/2.delta: TensorFlow"
    ):
        check_delta_out(Path("models", name))
    check_delta_out(Path("models/2.delta"))
    with pytest.raises(ConfigError, match=r"such as models/7.delta: TensorFlow"):
        check_delta_out(Path("models/7"))


@pytest.mark.parametrize("name", ["1.delta", "02.delta"])
def test_a_delta_has_a_larger_number_than_its_base(models, name):
    base = DeltaBase.of(Folder.open(models), "2.delta")
    message = rf"out is {models / name}, and version 2.delta, .* has no smaller number: .* such as {models}/3.delta"
    with pytest.raises(ConfigError, match=message):
        base.check_out(models / name)
    base.check_out(models / "3.delta")


def test_settings_come_from_the_base_and_others_are_refused(models):
    base = DeltaBase.of(Folder.open(models), "1")
    assert settings_of_base(base, {})["row_type"] == "float32"
    assert settings_of_base(base, {"row_type": "float32", "fields": ["user", "item"]})["min_count"] == 0
    with pytest.raises(ConfigError, match=r"row_type is int8, and version 1, .* with float32. Leave row_type out, or"):
        settings_of_base(base, {"row_type": "int8"})


def test_what_changes_is_counted(models):
    """Two rows of the table main have other values and one is new; one of items is gone."""
    base = DeltaBase.of(Folder.open(models), "1")
    delta = DeltaBase.of(Folder.open(models), "2.delta")
    served = models / "2.delta" / "served"
    found = count_delta(served, delta.manifest, base.mapped(), name="1", full_bytes=base.full_bytes())
    assert (found.changed, found.new, found.removed, found.written) == (2, 1, 1, 3)
    assert found.served_bytes == sum(
        path.stat().st_size for path in served.rglob("*") if path.is_file() and path.name != "manifest.json"
    )
    assert found.share_of_full == found.served_bytes / delta.full_bytes()
    assert found.line().startswith("Since version 1: 2 changed rows, 1 new, 1 removed; ")
