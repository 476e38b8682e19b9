"""``esmm train --run RUN`` finds the settings of the run."""

import pytest

from esmm_dist.errors import ConfigError
from launcher.commands.training import settings_of_run


def test_a_run_that_exists_brings_its_settings(tmp_path):
    (tmp_path / "config.yaml").write_text("data: d\nembedding: {dim: 4}\n")
    assert settings_of_run({"run": str(tmp_path)}) == {"data": "d", "embedding": {"dim": 4}}


def test_servers_of_an_earlier_start_are_not_taken_for_those_of_this_one(tmp_path):
    (tmp_path / "config.yaml").write_text("store: {servers: '127.0.0.1:7', token_file: gone, wire: bfloat16}\n")
    assert settings_of_run({"run": str(tmp_path)}) == {"store": {"wire": "bfloat16"}}


def test_a_new_run_has_no_stored_settings(tmp_path):
    assert settings_of_run({"run": str(tmp_path / "new")}) is None
    assert settings_of_run({}) is None


def test_a_damaged_settings_file_of_a_run_is_named(tmp_path):
    (tmp_path / "config.yaml").write_text("[")
    with pytest.raises(ConfigError, match="config.yaml:1: this is not YAML"):
        settings_of_run({"run": str(tmp_path)})
