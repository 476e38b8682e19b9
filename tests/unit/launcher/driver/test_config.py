"""The settings of ``esmm driver``."""

from pathlib import Path
from typing import Any

import pytest

from esmm_dist.errors import ConfigError
from launcher.driver.config import DriverConfig

SETTINGS: dict[str, Any] = {"run": "r", "servers": "h:1", "agents_file": Path("a"), "token_file": Path("t")}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"agents_file": None}, "agents_file and job say where the agents are: give exactly one"),
        ({"job": "j"}, "agents_file and job say where the agents are: give exactly one"),
        ({"token_file": None}, "token_file is missing: workers must show its token at the rendezvous"),
        ({"servers": "embedded"}, r"servers is 'embedded'.*Give --servers HOST:PORT"),
        ({"min_workers": 0}, r"min_workers is 0 and max_workers 1\. Set 1 <= min <= max"),
        ({"min_workers": 3, "max_workers": 2}, "min_workers is 3 and max_workers 2"),
        ({"stall_seconds": 0.0}, r"stall_seconds is 0\.0\. Set a number of seconds above 0"),
        ({"stall_seconds": float("inf")}, "stall_seconds is inf"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(changes, message):
    DriverConfig(**SETTINGS)
    with pytest.raises(ConfigError, match=message):
        DriverConfig(**{**SETTINGS, **changes})


def test_a_job_needs_no_file_of_agents():
    assert DriverConfig(**{**SETTINGS, "agents_file": None, "job": "nightly"}).backend == "plain"
