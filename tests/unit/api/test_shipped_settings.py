from dataclasses import replace
from pathlib import Path

import pytest

from esmm_dist.api.shipped_settings import settings_path, shipped_names
from esmm_dist.config import build
from esmm_dist.errors import ConfigError
from esmm_dist.train.chosen_settings import choose_settings
from esmm_dist.train.config import TrainConfig
from esmm_dist.yaml_text import read_yaml
from launcher.commands import COMMANDS
from tests.unit.train.test_chosen_settings import manifest_of


def test_a_path_is_taken_as_it_is(tmp_path, monkeypatch):
    assert settings_path("some/file.yaml", TrainConfig) == Path("some/file.yaml")
    monkeypatch.chdir(tmp_path)
    Path("plain").write_text("seed: 3")
    assert settings_path("plain", TrainConfig) == Path("plain")


def test_a_shipped_file_is_found_by_name_and_is_valid():
    path = settings_path("small-data", TrainConfig)
    settings = read_yaml(path)
    config = build(TrainConfig, {"data": "data", "run": "run", **settings}, where=str(path))
    assert config.model.linear_scale == 12.0


def test_small_data_is_what_training_chooses_on_kuairand():
    settings = read_yaml(settings_path("small-data", TrainConfig))
    given = build(TrainConfig, {"data": "data", "run": "run", **settings}, where="small-data")
    manifest = replace(manifest_of(57_741, fields=19), lanes=32)
    open_ = build(TrainConfig, {"data": "data", "run": "run"}, where="test")
    assert choose_settings(given, manifest).config == choose_settings(open_, manifest).config


def test_a_wrong_name_is_refused_with_the_nearest_known():
    with pytest.raises(ConfigError, match=r"--config is small_data, which is neither .* Did you mean 'small-data'\?"):
        settings_path("small_data", TrainConfig)


def test_a_shipped_file_is_offered_by_the_commands_that_take_it_and_by_no_other():
    offering = {name: shipped_names(command.load_settings()) for name, command in COMMANDS.items()}
    assert {name for name, names in offering.items() if names} == {"train", "preprocess"}
    assert "small-data" in offering["train"]
    assert "small-data" not in offering["preprocess"]
    with pytest.raises(
        ConfigError, match=r"small-data, which holds settings of esmm train\. Give it to esmm train, or be"
    ):
        settings_path("small-data", COMMANDS["preprocess"].load_settings())
    with pytest.raises(ConfigError, match=r"neither a \.yaml file nor a shipped name\. No settings of this command"):
        settings_path("smal", COMMANDS["synth"].load_settings())


def test_one_name_may_stand_for_the_settings_of_two_commands():
    assert settings_path("deepmtl", TrainConfig).parent.parent.name == "train"
    assert settings_path("deepmtl", COMMANDS["preprocess"].load_settings()).parent.parent.name == "preprocess"
    with pytest.raises(
        ConfigError,
        match="settings of esmm train and esmm preprocess. Give it to esmm train, or esmm preprocess, or behind --",
    ):
        settings_path("deepmtl", COMMANDS["evaluate"].load_settings())


@pytest.mark.parametrize("num_labels", [2, 3, 5])
def test_the_shipped_settings_suit_any_number_of_labels(num_labels):
    settings = read_yaml(settings_path("small-data", TrainConfig))
    config = build(TrainConfig, {"data": "data", "run": "run", **settings}, where="small-data")
    assert len(config.model.weights_for(num_labels)) == num_labels
