"""Versions that a training publishes, and deltas: the same model as a full export of the same checkpoint."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from fcntl import LOCK_EX, flock
from pathlib import Path

import pytest

from esmm_dist.config import build
from esmm_dist.errors import ConfigError
from esmm_dist.inference.export import ExportConfig, export
from esmm_dist.inference.export_assets import write
from esmm_dist.inference.publish_version import PublishedVersion, PublishOrder, publish_version
from esmm_dist.progress import NoProgress
from esmm_dist.served_model.version_folders import put_version
from esmm_dist.served_model.versions import chain_of, versions_in
from esmm_dist.serving.scoring.served_scorer import ServedScorer
from esmm_dist.storage.folder import Folder
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.run import train
from tests.support.equal_served_models import assert_equal_served_models
from tests.support.tiny_dataset import tiny_groups, write_dataset

STEPS = (4, 8, 10)


class Lines(NoProgress):
    def __init__(self) -> None:
        self.messages: list[str] = []

    def message(self, text: str) -> None:
        self.messages.append(text)


def train_run(folder: Path, **changes: object) -> Path:
    """Train ten steps, with a checkpoint every four, on rows that are admitted late and evicted early."""
    settings = {
        "data": folder.parent / "data",
        "run": str(folder),
        "input": {"global_batch_records": 8, "epochs": 1},
        "embedding": {
            "embedding_dim": 3,
            "embedding_learning_rate": 0.5,
            "admit_after": 2,
            "ttl_steps": 3,
            "evict_every_steps": 4,
        },
        "model": {"hidden_units": [4]},
        "evaluation": {"baseline": False},
        "checkpoint": {"checkpoint_every_steps": 4, "keep_checkpoints": 5},
        **changes,
    }
    train(build(TrainConfig, settings, where="test"), NoProgress())
    return folder


@pytest.fixture(scope="module", autouse=True)
def without_examples() -> Iterator[None]:
    """Leave out ``golden.json`` and what stands beside it: most of an export's seconds, tested elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write, "write_assets", lambda *_, **__: None)
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    splits = {"train": tiny_groups(80), "validation": tiny_groups(20, seed=2, first_sample=5000)}
    write_dataset(folder / "data", splits)
    return train_run(folder / "run")


@pytest.fixture(scope="module")
def full(run: Path) -> Path:
    """Full exports of all checkpoints, named by their steps."""
    folder = run.parent / "full"
    for step in STEPS:
        export(ExportConfig(run=str(run), step=step, out=folder / str(step), form="shards"), NoProgress())
    return folder


def publish(run: Path, models: Folder, step: int, work: Path, **changes: object) -> PublishedVersion:
    order = PublishOrder(run=str(run), step=step, models=models.location, work=str(work), full_every=10, keep=3)
    return publish_version(replace(order, **changes), Lines())  # type: ignore[arg-type]


@pytest.fixture(params=["disk", pytest.param("store", marks=pytest.mark.slow)])
def models(request: pytest.FixtureRequest, tmp_path: Path, full: Path) -> Folder:
    """A folder of versions with that of the first checkpoint, without a SavedModel: those that follow have none too."""
    place = tmp_path / "models" if request.param == "disk" else request.getfixturevalue("s3").uri("bucket/published")
    folder = Folder.open(place)
    folder.delete()
    put_version(full / "4", folder, "1", NoProgress())
    return folder


def local_chain(models: Folder, name: str, work: Path) -> list[Path]:
    """Return the folders of a version and of what it builds on, on this machine."""
    copies = models.local_path if models.is_local else work / "copies"
    return [copies / each for each in chain_of(models, name)]


def test_each_version_is_the_model_that_a_full_export_is(run: Path, full: Path, models: Folder, tmp_path: Path) -> None:
    published = [publish(run, models, step, tmp_path / "work") for step in STEPS]
    assert [each.version for each in published] == ["1", "2.delta", "3.delta"]
    assert [each.is_new for each in published] == [False, True, True]
    assert sum(each.removed_rows for each in published) > 0  # evicted
    assert [each.model_id for each in versions_in(models)] == [
        ServedScorer.open([full / str(step)]).model.manifest.model_id for step in STEPS
    ]
    for each, step in zip(published[1:], STEPS[1:], strict=True):
        assert_equal_served_models(local_chain(models, each.version, tmp_path / "work"), full / str(step))
    again = publish(run, models, 10, tmp_path / "work")
    assert (again.version, again.is_new) == ("3.delta", False)
    assert again.in_words() == "Version 3.delta is the model at step 10 already."
    # whoever has nothing here fetches what the next delta is made from
    shutil.rmtree(tmp_path / "work", ignore_errors=True)
    assert publish(run, models, 8, tmp_path / "work").version == "4.delta"


def test_full_versions_come_again_and_old_ones_go(run: Path, full: Path, models: Folder, tmp_path: Path) -> None:
    names = [publish(run, models, step, tmp_path, full_every=2, keep=1).version for step in (8, 10, 8)]
    assert names == ["2.delta", "3", "4.delta"]
    assert [each.name for each in versions_in(models)] == ["3", "4.delta"]
    assert not (models / "3").has("saved_model.pb")  # as the first one
    assert_equal_served_models(local_chain(models, "4.delta", tmp_path), full / "8")


def test_what_only_has_the_name_of_a_version_stays(run: Path, tmp_path: Path) -> None:
    models = Folder.open(tmp_path / "models")
    (models / "7").make()
    (models / "7").write_bytes("mine", b"")
    assert publish(run, models, 8, tmp_path / "work").version == "8"
    assert (models / "7").has("mine")


@pytest.fixture
def on_disk(tmp_path: Path, full: Path) -> Folder:
    folder = Folder.open(tmp_path / "models")
    put_version(full / "4", folder, "1", NoProgress())
    return folder


def test_a_base_that_does_not_fit_makes_a_full_version(run: Path, full: Path, on_disk: Folder, tmp_path: Path) -> None:
    rows = next((on_disk.local_path / "1" / "served" / "tables").glob("*.rows.npy"))
    rows.write_bytes(rows.read_bytes()[:-1] + b"?")
    progress = Lines()
    order = PublishOrder(run=str(run), step=8, models=on_disk.location, work=str(tmp_path), full_every=9, keep=2)
    assert publish_version(order, progress).version == "2"
    assert "Warning: version 2 is a full one. " in "\n".join(progress.messages)
    assert_equal_served_models([on_disk.local_path / "2"], full / "8")


@pytest.mark.slow  # in short: tests/unit/inference/test_delta_base.py
def test_a_version_of_another_run_is_no_base_and_stays(run: Path, on_disk: Folder, tmp_path: Path) -> None:
    copied = tmp_path / "copied-run"
    shutil.copytree(run, copied)
    published = [publish(copied, on_disk, step, tmp_path, keep=1) for step in (8, 10)]
    assert [each.version for each in published] == ["2", "3.delta"]
    assert (on_disk / "2").has("saved_model.pb")  # the default of an export
    assert [each.name for each in versions_in(on_disk)] == ["1", "2", "3.delta"]


def test_settings_of_an_export_are_those_of_the_last_version(run: Path, tmp_path: Path) -> None:
    models = Folder.open(tmp_path / "models")
    like = ExportConfig(run=str(run), step=4, out=tmp_path / "models" / "1", form="shards", dtype="int8", min_count=3)
    export(like, NoProgress())
    names = [publish(run, models, step, tmp_path, full_every=2).version for step in (8, 10)]
    assert names == ["2.delta", "3"]
    for name, step in (("2.delta", 8), ("3", 10)):
        out = tmp_path / f"full-{step}"
        export(replace(like, step=step, out=out), NoProgress())
        assert_equal_served_models(local_chain(models, name, tmp_path), out)


def test_what_a_killed_publishing_has_left_is_in_nobodys_way(run: Path, on_disk: Folder, tmp_path: Path) -> None:
    left = on_disk.local_path / ".publish" / "2.delta" / "served"
    left.mkdir(parents=True)
    (left / "half").write_text("x")
    assert publish(run, on_disk, 8, tmp_path).version == "2.delta"
    assert not (on_disk.local_path / "2.delta" / "served" / "half").exists()
    assert {name for name in on_disk.names() if name != ".publish.lock"} == {"1", "2.delta"}


def test_two_do_not_publish_at_once(run: Path, on_disk: Folder, tmp_path: Path) -> None:
    with (on_disk.local_path / ".publish.lock").open("ab") as lock:
        flock(lock, LOCK_EX)
        with pytest.raises(ConfigError, match="Another process is publishing to .*models. Give each training a folder"):
            publish(run, on_disk, 8, tmp_path)


def test_a_delta_says_what_it_changes(run: Path, on_disk: Folder) -> None:
    out = on_disk.local_path / "7.delta"
    result = export(ExportConfig(run=str(run), step=10, out=out, delta_since="step:4"), NoProgress())
    assert result.delta is not None
    assert result.delta.base == "1"
    assert result.lines()[1] == result.delta.line()
    assert not (out / "saved_model.pb").exists()
    assert (out / "assets.extra" / "esmm.json").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dtype": "int8"}, "dtype is int8, and version 1, .* was exported with float32. Leave dtype out"),
        ({"calibrate": False}, "calibrate is False, and version 1, .* was exported with True"),
        ({"delta_since": "3"}, "delta_since is 3, and .* holds no version of this name or step"),
        (
            {"run": "other"},
            "Version 1 was made of the run .*, and run is .*other. A delta holds what has changed within",
        ),
        ({"out": "1.delta"}, "out is .*1.delta, and version 1, which the delta is made from, has no smaller number"),
        ({"out": "8"}, "out is .*8, and a delta's folder has a number and ends in .delta"),
        (
            {"delta_since": None},
            r"out is .*2.delta, which is the name of a delta. Say since when \(--delta-since VERSION",
        ),
    ],
)
def test_a_delta_that_contradicts_its_base_is_refused(
    run: Path, on_disk: Folder, changes: dict[str, object], message: str
) -> None:
    out = on_disk.local_path / str(changes.pop("out", "2.delta"))
    settings = {"run": str(run), "step": 8, "out": out, "delta_since": "1", **changes}
    with pytest.raises(ConfigError, match=message):
        export(build(ExportConfig, settings, where="test"), NoProgress())


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"model": {"network": "dcn", "hidden_units": [4]}},
        {"model": {"network": "din", "attend": ["history=item"], "hidden_units": [4]}},
        {"model": {"network": "deepfm", "hidden_units": [4]}, "evaluation": {"eval_every_steps": 4}},
        {"model": {"network": "mmoe", "hidden_units": [4]}, "hardware": {"mixed_precision": True}},
    ],
    ids=["dcn", "din", "deepfm-calibrated", "mmoe-mixed"],
)
def test_versions_of_other_models_are_those_of_full_exports(
    run: Path, tmp_path: Path, changes: dict[str, object]
) -> None:
    shutil.copytree(run.parent / "data", tmp_path / "data")
    trained, models = train_run(tmp_path / "run", **changes), Folder.open(tmp_path / "models")
    export(ExportConfig(run=str(trained), step=4, out=tmp_path / "models" / "1", form="shards"), NoProgress())
    for step in (8, 10):
        version = publish(trained, models, step, tmp_path).version
        out = tmp_path / f"full-{step}"
        export(ExportConfig(run=str(trained), step=step, out=out, form="shards"), NoProgress())
        assert_equal_served_models(local_chain(models, version, tmp_path), out)
