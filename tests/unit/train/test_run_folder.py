"""The folder of a run: one training at a time, settings that fit, and a log that survives a kill."""

import json
from pathlib import Path

import pytest
import yaml

from esmm_dist.config import build, to_mapping
from esmm_dist.errors import ConfigError
from esmm_dist.train import run_folder
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.loss_window import LossWindow


def config_of(**settings) -> TrainConfig:
    return build(TrainConfig, {"data": "d", "run": "r", **settings}, where="test")


def test_a_second_training_in_one_folder_is_refused_until_the_first_ends(tmp_path):
    run = tmp_path / "a/run"
    message = f"Another process is training in {run}. Wait for it, or give another"
    with run_folder.locked_run(run), pytest.raises(ConfigError, match=message), run_folder.locked_run(run):
        pass
    with run_folder.locked_run(run):
        assert run.is_dir()


@pytest.mark.parametrize("run", ["file", "file/run"])
def test_a_run_that_is_a_file_is_refused(tmp_path, run):
    (tmp_path / "file").write_text("")
    message = f"run is {tmp_path / run}, which is not a folder"
    with pytest.raises(ConfigError, match=message), run_folder.locked_run(tmp_path / run):
        pass


def test_settings_are_written_so_that_they_can_be_read_back(tmp_path):
    config = config_of(embedding={"embedding_dim_by_table": {"main": 3}}, model={"hidden_units": [5]})
    run_folder.write_settings(tmp_path, config)
    stored = yaml.safe_load((tmp_path / "config.yaml").read_text())
    assert build(TrainConfig, stored, where="test") == config


def saved(config: TrainConfig) -> dict:
    """Return the settings as a checkpoint holds them."""
    mapping = json.loads(json.dumps(to_mapping(config)))
    assert isinstance(mapping, dict)
    return mapping


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 2}, "seed is 2 but 1 in"),
        ({"schedule": "cosine"}, "schedule is cosine but constant in"),
        ({"warmup_steps": 9}, "warmup_steps is 9 but 0 in"),
        ({"input": {"global_batch_records": 64}}, "global_batch_records is 64 but None in"),
        ({"input": {"shuffle": False}}, "shuffle is False but True in"),
        ({"embedding": {"embedding_dim": 8}}, "embedding_dim is 8 but 16 in"),
        ({"model": {"hidden_units": [8]}}, r"hidden_units is \[8\] but \[256, 128\] in"),
        ({"dense": {"dense_optimizer": "sgd"}}, "dense_optimizer is sgd but adam in"),
    ],
)
def test_a_changed_setting_that_shapes_the_state_is_named_with_both_values(change, message):
    checkpoint = Path("run/checkpoints/step-00000005")
    expected = f"{message} {checkpoint}, from which this run would resume. Set it back to .* --run"
    with pytest.raises(ConfigError, match=expected):
        run_folder.check_settings_fit(config_of(**change), saved(config_of()), checkpoint)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"input": {"epochs": 9, "prefetch": 4}},
        {"max_steps": 7},
        {"log_every_steps": 3},
        {"evaluation": {"eval_every_steps": 5}},
        {"checkpoint": {"keep_checkpoints": 1}},
    ],
)
def test_settings_that_leave_the_state_alone_may_change(change):
    run_folder.check_settings_fit(config_of(**change), saved(config_of()), Path("c"))


def test_the_log_of_a_killed_run_is_cut_at_its_checkpoint(tmp_path):
    assert run_folder.read_log(tmp_path, 10) == []
    run_folder.write_log(tmp_path, [{"step": 5}])
    for step in (10, 15):
        run_folder.append_log(tmp_path, {"step": step})
    with (tmp_path / "train_log.jsonl").open("a") as file:
        file.write('{"step": 2')  # killed in the middle of a line
    assert run_folder.read_log(tmp_path, 10) == [{"step": 5}, {"step": 10}]


def test_metrics_hold_the_newest_evaluation_first(tmp_path):
    run_folder.write_metrics(tmp_path, [{"step": 1}, {"step": 2}])
    found = json.loads((tmp_path / "metrics.json").read_text())
    assert found == {"newest": {"step": 2}, "evaluations": [{"step": 1}, {"step": 2}]}
    run_folder.write_metrics(tmp_path, [])
    assert json.loads((tmp_path / "metrics.json").read_text())["newest"] == {}
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.json"]


def test_a_loss_window_takes_means_over_impressions_and_starts_anew():
    window = LossWindow(2)
    window.add([3.0, 1.0], 4)  # type: ignore[arg-type]
    window.add([5.0, 3.0], 12)  # type: ignore[arg-type]
    assert window.take() == [0.5, 0.25]
    assert window.take() == [0.0, 0.0]


def test_a_loss_window_goes_on_from_its_state():
    window, whole = LossWindow(1), LossWindow(1)
    window.add([0.1], 3)  # type: ignore[arg-type]
    window = LossWindow.from_state(json.loads(json.dumps(window.to_state())))
    whole.add([0.1], 3)  # type: ignore[arg-type]
    for each in (window, whole):
        each.add([0.2], 4)  # type: ignore[arg-type]
    assert window.take() == whole.take()
