"""Which trackers a training has, what they are told of it, and how its ids there are kept."""

import importlib.util
import json

import pytest

from esmm_dist.errors import ConfigError
from esmm_dist.progress import NoProgress
from esmm_dist.ranks.solo import SoloWorld
from esmm_dist.train.run_folder import RunFolder
from esmm_dist.train.trackers.open_trackers import check_trackers, open_trackers
from esmm_dist.train.tracking_config import TrackingConfig
from esmm_dist.train.train_state import ProcessMemory
from esmm_dist.train.trainer import Trainer


def test_a_training_logs_to_none_unless_it_is_asked_to(context_of, tmp_path):
    assert open_trackers(context_of(tmp_path)) == ()


def test_trackers_are_told_the_name_and_the_settings_of_the_run(context_of, tmp_path):
    (tracker,) = open_trackers(context_of(tmp_path / "my-run", tracking={"log_to": ["mlflow"]}))
    run = tracker._run
    assert (run.name, run.experiment) == ("my-run", None)
    assert (run.settings["embedding.embedding_dim"], run.settings["seed"]) == (2, 1)
    assert not any(isinstance(value, dict) and value for value in run.settings.values())


def test_names_can_be_given(context_of, tmp_path):
    names = {"log_experiment": "clicks", "log_run_name": "first"}
    (tracker,) = open_trackers(context_of(tmp_path, tracking={"log_to": ["wandb"], **names}))
    assert (tracker._run.name, tracker._run.experiment) == ("first", "clicks")


def test_the_ids_of_a_run_are_kept_for_the_processes_to_come(context_of, tmp_path):
    settings = {"tracking": {"log_to": ["mlflow", "wandb"]}}
    run = RunFolder(tmp_path / "run")
    run.make()
    first, second = open_trackers(context_of(run, **settings))
    assert (first._run_id, second._run_id) == (None, None)
    first._keep_run_id("m1")
    second._keep_run_id("w1")
    assert json.loads(run.folder.read_bytes("trackers.json")) == {"mlflow": {"run_id": "m1"}, "wandb": {"run_id": "w1"}}
    assert [each._run_id for each in open_trackers(context_of(run, **settings))] == ["m1", "w1"]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"mlflow": "m1"}', '{"mlflow": {"run_id": 3}}', '{"mlflow": {}}'])
def test_ids_that_are_damaged_count_for_nothing(context_of, tmp_path, text):
    (tmp_path / "trackers.json").write_text(text)
    (tracker,) = open_trackers(context_of(tmp_path, tracking={"log_to": ["mlflow"]}))
    assert tracker._run_id is None


def test_a_client_that_is_not_installed_is_named_before_anything_is_made(context_of, tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "wandb" else find(name, *more))
    config = context_of(tmp_path / "run", tracking={"log_to": ["mlflow", "wandb"]}).config
    message = r"log_to is wandb, and its client is not installed. Install it: pip install 'esmm_dist\[wandb\]'"
    with pytest.raises(ConfigError, match=message):
        check_trackers(config)
    memory = ProcessMemory()
    with pytest.raises(ConfigError, match=message):
        Trainer(config, NoProgress(), RunFolder(tmp_path / "run"), world=SoloWorld(), memory=memory)
    assert memory.state is None
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"log_to": ("mlflow", "mlflow")}, "log_to is mlflow mlflow. Name each tracker once."),
        ({"log_experiment": " "}, "log_experiment is empty. Give a name, or leave it out."),
        ({"log_run_name": ""}, "log_run_name is empty"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        TrackingConfig(**settings)
