"""Settings that several trainings share: what is refused, where two differ, and the file that a training gets."""

import pytest
import yaml

from esmm_dist.errors import ConfigError
from launcher.trainings.settings_file import differences, settings_text, shared_settings, without_baseline

NOT_GIVEN: dict[tuple[str, ...], str] = {("store", "servers"): "Rows stay in the process"}


def test_values_are_said_as_they_stand_in_a_settings_file() -> None:
    assert (
        differences({"a": [1, 2], "b": True}, {"a": ["x"], "b": None})
        == "a was [1, 2] and is [x], b was true and is not there"
    )


def test_trainings_measure_no_baseline_unless_asked_to():
    assert without_baseline({"seed": 1}) == {"seed": 1, "evaluation": {"baseline": False}}
    assert without_baseline({"evaluation": {"baseline": True}}) == {"evaluation": {"baseline": True}}


def test_settings_are_read_back_as_they_were_written():
    settings = {"model": {"hidden_units": [128, 64], "dropout": 0.1}, "schedule": "cosine"}
    text = settings_text(settings, ["Trial 3"])
    assert text.startswith("# Trial 3\n")
    assert yaml.safe_load(text) == settings


def test_shared_settings_are_typed_and_those_that_are_not_to_be_given_are_refused():
    assert shared_settings("settings", {"max_steps": 3}, NOT_GIVEN) == {"max_steps": 3}
    with pytest.raises(ConfigError, match="settings: unknown setting 'steps'"):
        shared_settings("settings", {"steps": 3}, NOT_GIVEN)
    with pytest.raises(ConfigError, match=r"base has store.servers. Rows stay in the process: leave it out."):
        shared_settings("base", {"store": {"servers": "a:1"}}, NOT_GIVEN)


def test_differences_are_named_with_their_paths_and_counted():
    before = {"model": {"hidden_units": [64]}, "seed": 1}
    assert differences(before, before) == ""
    assert differences(before, {"model": {"hidden_units": [128]}, "max_steps": 5, "seed": 1}) == (
        "model.hidden_units was [64] and is [128], max_steps was not there and is 5"
    )
    assert differences({"a": 1, "b": 1, "c": 1}, {}, most=1) == "a was 1 and is not there, and 2 more"
