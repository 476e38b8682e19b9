"""The settings of a run: written without credentials, read back, and compared with a checkpoint's."""

import json
from pathlib import Path

import pytest
import yaml

from esmm_dist.config import build, to_mapping
from esmm_dist.errors import ConfigError
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.run_folder import RunFolder, locked_run
from esmm_dist.train.run_settings import check_settings_fit, read_settings, write_settings


def config_of(**settings) -> TrainConfig:
    return build(TrainConfig, {"data": "d", "run": "r", **settings}, where="test")


def test_settings_are_written_so_that_they_can_be_read_back(location):
    config = config_of(embedding={"embedding_dim_by_table": {"main": 3}}, model={"hidden_units": [5]})
    assert read_settings(location) is None
    with locked_run(location) as run:
        write_settings(run.folder, config)
    stored = read_settings(location)
    assert stored is not None
    assert build(TrainConfig, stored, where="test") == config


def test_credentials_are_not_among_the_written_settings(location):
    with locked_run(location) as run:
        write_settings(run.folder, config_of(run="s3://KEY:hush@bucket/run?region=r"))
        text = run.folder.read_bytes("config.yaml")
    assert b"run: s3://bucket/run?region=r\n" in text
    assert b"hush" not in text
    assert b"KEY" not in text


def test_damaged_settings_are_named(location):
    with locked_run(location) as run:
        run.folder.write_bytes("config.yaml", b"[")
    with pytest.raises(ConfigError, match=f"^{run.folder}/config.yaml:1: this is not YAML.* Remove that file, and"):
        read_settings(location)


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
        ({"model": {"task_weights": [1, 8]}}, r"task_weights is \[1\.0, 8\.0\] but \[\] in"),
        ({"dense": {"dense_optimizer": "sgd"}}, "dense_optimizer is sgd but adam in"),
        ({"embedding": {"row_slices": 2}, "model": {"objective": "base"}}, "objective is base but esmm in"),
        (
            {"embedding": {"row_slices": 2}, "model": {"share_embeddings": False}},
            "share_embeddings is False but None in",
        ),
    ],
)
def test_a_changed_setting_that_shapes_the_state_is_named_with_both_values(change, message):
    checkpoint = Path("run/checkpoints/step-00000005")
    expected = f"{message} {checkpoint}, from which this run would resume. Set it back to .* --run"
    with pytest.raises(ConfigError, match=expected):
        check_settings_fit(config_of(**change), saved(config_of()), checkpoint)


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
    check_settings_fit(config_of(**change), saved(config_of()), Path("c"))


def test_what_was_chosen_and_why_stands_above_the_settings_and_stays_when_the_run_goes_on(tmp_path):
    run = RunFolder(tmp_path)
    write_settings(run.folder, config_of(), ["Chosen: epochs 3 (for 1,000 train impressions)"])
    write_settings(run.folder, config_of(seed=7))
    text = (tmp_path / "config.yaml").read_text()
    assert text.splitlines()[0] == "# Chosen: epochs 3 (for 1,000 train impressions)"
    assert text.count("#") == 1
    stored = read_settings(tmp_path)
    assert stored is not None
    assert stored["seed"] == 7


@pytest.mark.parametrize("name", ["a\x85b", "a\u2028", "a: b # c", "yes", "1e3", "a\nb"])
def test_a_path_of_any_characters_reads_back_as_it_was_written(tmp_path, name):
    place = str(tmp_path / "run")
    with locked_run(place) as run:
        write_settings(run.folder, config_of(data=name, run=place))
    settings = read_settings(place)
    assert settings is not None
    assert settings["data"] == name


@pytest.mark.parametrize(("optimizer", "epsilon"), [("adam", 1e-7), ("sgd", 1e-8)])
def test_a_run_that_began_before_adam_s_eps_was_a_setting_goes_on_with_what_it_had(tmp_path, optimizer, epsilon):
    config = config_of(run=str(tmp_path), dense={"dense_optimizer": optimizer})
    write_settings(RunFolder(tmp_path).folder, config)
    path = tmp_path / "config.yaml"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if "dense_adam_epsilon" not in line))
    stored = read_settings(tmp_path)
    assert stored is not None
    resumed = build(TrainConfig, stored, where="test")
    assert resumed.dense.dense_adam_epsilon == epsilon
    before = saved(config)
    del before["dense"]["dense_adam_epsilon"]
    check_settings_fit(resumed, before, Path("c"))
    if optimizer == "adam":
        with pytest.raises(ConfigError, match="dense_adam_epsilon is 1e-08 but 1e-07 in c"):
            check_settings_fit(config, before, Path("c"))


def test_a_run_that_began_before_network_was_a_setting_goes_on_with_what_it_had(tmp_path):
    config = config_of(run=str(tmp_path), model={"hidden_units": [8], "dropout": 0.25})
    before = saved(config)
    before["model"] = {"base_network": "mlp", "hidden_units": [8], "dropout": 0.25, "task_weights": []}
    del before["embedding"]["row_slices"]  # and before rows had slices
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(before))
    stored = read_settings(tmp_path)
    assert stored is not None
    assert build(TrainConfig, stored, where="test") == config
    check_settings_fit(config, before, Path("c"))
    with pytest.raises(ConfigError, match="network is a:B but mlp in c, .* Set it back to mlp"):
        check_settings_fit(config_of(model={**saved(config)["model"], "network": "a:B"}), before, Path("c"))


def test_base_network_given_today_names_the_setting_that_it_is_now():
    with pytest.raises(ConfigError, match="unknown setting 'model.base_network'. Did you mean 'network'"):
        config_of(model={"base_network": "mlp"})


@pytest.mark.parametrize("given", ["mlp", ["mlp"]])
def test_a_list_of_one_may_be_written_without_brackets(given):
    assert config_of(model={"network": given}).model.network == ("mlp",)
    assert config_of(model={"dropout": 0.5}).model.dropout == (0.5,)
    assert config_of(model={"task_weights": 2}).model.task_weights == (2.0,)
