"""Arguments of a call become settings as flags do."""

from pathlib import Path

import numpy as np
import pytest

from esmm_dist.api.call_settings import call_settings
from esmm_dist.config import build
from esmm_dist.errors import ConfigError
from esmm_dist.train.config import TrainConfig
from launcher.command import Command
from launcher.commands import COMMANDS
from launcher.settings import flags
from launcher.settings.resolve import resolve

PLACES = {"data": "data", "run": "run"}


def built(given, config=None, earlier=None):
    return build(TrainConfig, call_settings(TrainConfig, {**PLACES, **given}, config, earlier), where="")


def by_flags(*words: str) -> TrainConfig:
    command: Command = COMMANDS["train"]
    resolved = resolve(command, ["--data", "data", "--run", "run", *words])
    found = flags.finish(resolved.cls, resolved.values)
    assert isinstance(found, TrainConfig)
    return found


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, ()),
        ({"epochs": 2, "network": "din"}, ("--epochs", "2", "--network", "din")),
        ({"hidden_units": (64, 32)}, ("--hidden-units", "64,32")),
        ({"embedding_dim_by_table": {"main": 4}}, ("--embedding-dim-by-table", "{main: 4}")),
        ({"deterministic": False, "cooldown": None}, ("--no-deterministic", "--cooldown", "None")),
        ({"embedding_dim": np.int64(8)}, ("--embedding-dim", "8")),  # as arrays give them
        ({"embedding": {"embedding_dim": 8}}, ("--embedding-dim", "8")),
        ({"embedding.embedding_dim": 8}, ("--embedding-dim", "8")),
        ({"run": Path("elsewhere")}, ("--run", "elsewhere")),
    ],
)  # fmt: skip
def test_a_call_gives_the_settings_of_the_same_flags(given, words):
    assert built(given) == by_flags(*words)


def test_a_call_is_above_the_file_and_the_file_above_what_is_stored(tmp_path):
    earlier = {"seed": 3, "embedding": {"embedding_dim": 2}, "input": {"epochs": 5}}
    file = tmp_path / "train.yaml"
    file.write_text("seed: 4\nembedding: {embedding_dim: 3, start_scale: 0.5}\n")
    for config in (file, str(file), {"seed": 4, "embedding": {"embedding_dim": 3, "start_scale": 0.5}}):
        found = built({"embedding_dim": 4}, config, earlier)
        assert (found.seed, found.input.epochs) == (4, 5)
        assert (found.embedding.embedding_dim, found.embedding.start_scale) == (4, 0.5)


def test_a_mapping_that_is_one_setting_replaces_that_of_the_file():
    config = {"embedding": {"embedding_dim_by_table": {"a": 2}}}
    found = built({"embedding_dim_by_table": {"b": 4}}, config)
    assert found.embedding.embedding_dim_by_table == {"b": 4}


def test_a_shipped_file_is_found_by_name():
    assert built({}, "small-data") == by_flags("--config", "small-data")
    with pytest.raises(ConfigError, match="Did you mean 'small-data'"):
        built({}, "small-dta")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"batch_size": 5}, "unknown setting 'batch_size'. Did you mean 'global_batch_records'?"),
        ({"embeding_dim": 5}, "unknown setting 'embeding_dim'. Did you mean 'embedding_dim'?"),
        ({"embedding": {"dim": 5}}, "unknown setting 'embedding.dim'. Did you mean 'embedding_dim"),
        (
            {"embedding": {"embedding_dim": 5}, "embedding_dim": 5},
            "embedding_dim is given twice, alone and in its group",
        ),
        ({"epochs": "many"}, "input.epochs: Input should be a valid integer"),
        ({"network": "dim"}, "Did you mean 'din'"),
        ({"seed": -1}, "seed is -1. Set 0 .."),
    ],
)
def test_what_is_wrong_is_said_with_the_nearest_name(given, said):
    with pytest.raises(ConfigError, match=said.replace("?", r"\?")):
        built(given)
