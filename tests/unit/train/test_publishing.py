"""When a training publishes: at its steps, each of which has a checkpoint then, and at its end. What is in a version:
``tests/unit/inference/test_publish_version.py``."""

import json

import pytest

from esmm_dist.checkpoint.format import checkpoint_folder, checkpoint_steps, read_checkpoint_manifest
from esmm_dist.config import build
from esmm_dist.errors import ConfigError
from esmm_dist.progress import NoProgress
from esmm_dist.storage.folder import Folder
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.run import train
from tests.support.tiny_dataset import tiny_groups, write_dataset

SETTINGS = {
    "input": {"global_batch_records": 8, "epochs": 1},
    "embedding": {"embedding_dim": 2},
    "model": {"hidden_units": [3]},
    "evaluation": {"baseline": False, "eval_every_steps": 5},
    "checkpoint": {"checkpoint_every_steps": 0, "keep_checkpoints": 1},
}
"""Ten steps, of 80 records"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_dataset(
        folder, {"train": tiny_groups(80), "validation": tiny_groups(20, seed=2, first_sample=5000)}, schema=None
    )
    return folder


def orders(place):
    return [json.loads(line)["step"] for line in (place / "orders.jsonl").read_text().splitlines()]


def config_of(data, tmp_path, **changes):
    given = {**SETTINGS, "data": data, "run": str(tmp_path / "run"), **changes}
    given["publishing"] = {"publish": str(tmp_path / "models"), **changes.get("publishing", {})}
    return build(TrainConfig, given, where="test")


def test_the_end_is_published_with_its_calibration_and_nothing_before(data, tmp_path, place):
    result = train(config_of(data, tmp_path), NoProgress())
    assert orders(place) == [10]
    assert result.published is not None
    assert (result.published.versions, result.published.newest_step) == (1, 10)
    assert f"Published 1 version to {tmp_path}/models" in "\n".join(result.lines())
    # it was published after the evaluation at the end
    assert read_checkpoint_manifest(checkpoint_folder(Folder.open(tmp_path / "run"), 10)).calibration is not None


def test_a_step_that_is_published_has_a_checkpoint_which_stays_while_it_is_read(data, tmp_path, place):
    (place / "wait").touch()
    seen = []

    class Watching(NoProgress):
        def message(self, text):
            if text.startswith("The model at step 8 is not published"):
                seen.append(checkpoint_steps(Folder.open(tmp_path / "run")))
                (place / "wait").unlink()

    result = train(config_of(data, tmp_path, publishing={"publish_every_steps": 4}), Watching())
    assert seen == [[8, 4]]  # one is kept, and the one that is being read
    assert orders(place) == [4, 10]
    assert result.published is not None
    assert (result.published.versions, result.published.skipped) == (2, 1)
    # The first one goes when the next is written, unless it is still being read then
    assert checkpoint_steps(Folder.open(tmp_path / "run")) in ([10], [10, 4])


def test_a_training_that_is_complete_publishes_when_it_is_started_again(data, tmp_path, place):
    train(config_of(data, tmp_path), NoProgress())
    (place / "end").write_text("refused")
    result = train(config_of(data, tmp_path), NoProgress())
    assert orders(place) == [10, 10]
    assert result.published is not None
    assert result.published.last_error == "The folder is full."
    assert result.stopped_by is None


def test_a_training_that_resumes_publishes_the_step_at_which_it_was_stopped(data, tmp_path, place):
    every = {"publish_every_steps": 3}
    train(config_of(data, tmp_path, max_steps=6), NoProgress())
    (place / "orders.jsonl").unlink()
    train(config_of(data, tmp_path, publishing=every, max_steps=7), NoProgress())
    assert orders(place) == [6, 7]


def test_a_training_that_publishes_nothing_says_nothing_of_it(data, tmp_path, place):
    config = config_of(data, tmp_path, publishing={"publish": None})
    assert train(config, NoProgress()).published is None
    assert not (place / "orders.jsonl").exists()


@pytest.mark.parametrize(
    ("where", "message"),
    [
        (
            "run/models",
            r"publish is .*run/models, and run is .*run: one lies in the other. Give the versions a folder of",
        ),
        (".", "publish is .*, and run is .*: one lies in the other"),
        ("of-a-pipeline", r"publish is .*of-a-pipeline, whose current.json says which version is in service"),
    ],
)
def test_a_folder_that_is_not_for_versions_is_refused_before_the_first_step(data, tmp_path, place, where, message):
    (tmp_path / "of-a-pipeline").mkdir()
    (tmp_path / "of-a-pipeline" / "current.json").write_text('{"version": 3}')
    with pytest.raises(ConfigError, match=message):
        train(config_of(data, tmp_path, publishing={"publish": str(tmp_path / where)}), NoProgress())
    assert not (tmp_path / "run" / "checkpoints").exists()
