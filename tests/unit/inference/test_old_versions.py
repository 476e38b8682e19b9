"""Which versions go: old ones of the run that no newer one builds on."""

from pathlib import Path

import pytest

from esmm_dist.inference.old_versions import end_killed_copy, needed_versions, remove_old
from esmm_dist.progress import NoProgress
from esmm_dist.served_model.mapped_model import MappedModel
from esmm_dist.served_model.version_folders import put_version
from esmm_dist.served_model.versions import versions_in
from esmm_dist.storage.folder import Folder
from tests.support.served_models import DIMS, random_rows, write_change, write_version

CHAINS = {"4.delta": ["1", "2.delta", "4.delta"], "5": ["5"], "6.delta": ["5", "6.delta"]}


@pytest.mark.parametrize(
    ("versions", "keep", "needed"),
    [
        (["1", "2.delta", "3", "4.delta"], 1, {"1", "2.delta", "4.delta"}),
        (["1", "2.delta", "3", "4.delta", "5"], 1, {"5"}),
        (["1", "2.delta", "3", "4.delta", "5"], 2, {"1", "2.delta", "4.delta", "5"}),
        (["4.delta", "5", "6.delta"], 2, {"5", "6.delta"}),
        ([], 3, set()),
    ],
)
def test_the_newest_stay_with_what_they_build_on(versions, keep, needed):
    assert needed_versions(versions, CHAINS, keep) == needed


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Versions 1, 2.delta, 3.delta, 4, 5.delta of a run, and 2 of another one."""
    folder = tmp_path_factory.mktemp("made")
    rows = [{name: random_rows(range(20), dim, seed) for name, dim in DIMS.items()} for seed in range(5)]
    model = MappedModel.open([write_version(folder / "1", rows[0])])
    for number in (2, 3):
        write_change(folder / f"{number}.delta", rows[number - 1], model, step=number)
        model = model.with_delta(folder / f"{number}.delta")
    model = MappedModel.open([write_version(folder / "4", rows[3])])
    write_change(folder / "5.delta", rows[4], model, step=5)
    write_version(folder / "2", rows[1], run="runs/other")
    return folder


@pytest.fixture(params=["disk", "store"])
def models(request, tmp_path, made) -> Folder:
    place = tmp_path / "models" if request.param == "disk" else request.getfixturevalue("s3").uri("bucket/old")
    folder = Folder.open(place)
    for each in versions_in(Folder.open(made)):
        put_version(made / each.name, folder, each.name, NoProgress())
    return folder


def test_old_versions_of_the_run_go_and_those_of_others_stay(models):
    assert remove_old(models, "runs/a", keep=3) == []  # 3.delta, the third newest, needs all of them
    assert remove_old(models, "runs/a", keep=2) == ["3.delta", "2.delta", "1"]
    assert remove_old(models, "runs/a", keep=1) == []
    assert [name for name in models.names() if not name.startswith(".")] == ["2", "4", "5.delta"]


def test_a_version_whose_base_is_gone_holds_nothing(models):
    (models / "1").delete()
    assert remove_old(models, "runs/a", keep=3) == ["2.delta"]  # 3.delta is one of the three newest


def test_half_a_copy_goes_where_its_number_is_given_again(models):
    for name in ("6", "6.delta"):
        (models / name).make()
        (models / name).write_bytes(".copying", b"")
    end_killed_copy(models, versions_in(models), 6)
    assert not {"6", "6.delta"} & set(models.names())
    end_killed_copy(models, versions_in(models), 4)
    assert "4" in models.names()


def test_a_version_that_lacks_only_the_end_of_its_copy_is_whole(s3, made):
    models = Folder.open(s3.uri("bucket/ended"))
    for name in ("1", "2.delta"):
        put_version(made / name, models, name, NoProgress())
    (models / "2.delta").write_bytes(".copying", b"")
    end_killed_copy(models, versions_in(models), 3)
    assert not (models / "2.delta").has(".copying")  # for which esmm serve would wait
    assert [each.name for each in versions_in(models)] == ["1", "2.delta"]
