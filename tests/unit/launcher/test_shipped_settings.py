from pathlib import Path

import pytest

from esmm_dist.config import build, read_yaml, refuse_unknown
from esmm_dist.errors import ConfigError
from esmm_dist.train.config import TrainConfig
from launcher.shipped_settings import settings_path


def test_a_path_is_taken_as_it_is(tmp_path, monkeypatch):
    assert settings_path("some/file.yaml") == Path("some/file.yaml")
    monkeypatch.chdir(tmp_path)
    Path("plain").write_text("seed: 3")
    assert settings_path("plain") == Path("plain")


def test_a_shipped_file_is_found_by_name_and_is_valid():
    path = settings_path("small-data")
    settings = read_yaml(path)
    refuse_unknown(TrainConfig, settings, where=str(path))
    config = build(TrainConfig, {"data": "data", "run": "run", **settings}, where=str(path))
    assert config.model.linear_scale > 0


def test_a_wrong_name_is_refused_with_the_nearest_known():
    with pytest.raises(ConfigError, match=r"--config is small_data, which is neither .* Did you mean 'small-data'\?"):
        settings_path("small_data")
