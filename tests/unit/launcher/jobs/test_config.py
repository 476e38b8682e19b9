"""The settings of the verbs."""

from typing import Any

import pytest

from esmm_dist.errors import ConfigError
from launcher.jobs.config import (
    CancelConfig,
    DeleteConfig,
    JobsConfig,
    LogsConfig,
    ResumeConfig,
    ScaleConfig,
    StatusConfig,
)

INFINITE, NOT_A_NUMBER = float("inf"), float("nan")


@pytest.mark.parametrize("cls", [CancelConfig, DeleteConfig, ResumeConfig, ScaleConfig])
@pytest.mark.parametrize("wait_s", [-1.0, INFINITE, NOT_A_NUMBER])
def test_a_wait_takes_some_time_or_none(cls, wait_s):
    more = {"workers": 1} if cls is ScaleConfig else {}
    with pytest.raises(ConfigError, match=rf"wait_s is {wait_s}\. Set a number of seconds, 0 or more"):
        cls(job="a", wait_s=wait_s, **more)
    assert cls(job="a", wait_s=0.0, **more).wait_s == 0.0


@pytest.mark.parametrize(
    ("cls", "settings", "message"),
    [
        (StatusConfig, {"watch": 0.0}, r"watch is 0\.0\. Set a number of seconds above 0"),
        (StatusConfig, {"watch": NOT_A_NUMBER}, "watch is nan"),
        (ScaleConfig, {}, "Set either workers or servers: --workers 3 or --servers 2"),
        (ScaleConfig, {"workers": 1, "servers": 1}, "Set either workers or servers"),
        (ScaleConfig, {"workers": 0}, r"workers is 0\. Set 1 or more"),
        (ScaleConfig, {"servers": -1}, r"servers is -1\. Set 1 or more"),
        (ScaleConfig, {"servers": 1, "replicas": 1}, "or --replicas 3 of a job that serves"),
        (ScaleConfig, {"replicas": 0}, r"replicas is 0\. Set 1 or more"),
        (ScaleConfig, {"replicas": 3, "max_replicas": 2}, "max_replicas is 2, and replicas is 3"),
        (ScaleConfig, {"workers": 3, "max_replicas": 2}, "max_replicas is 2, and replicas is None"),
        (LogsConfig, {"rank": -1}, r"rank is -1\. Set 0 or more"),
        (LogsConfig, {"worker": -1}, "worker is -1"),
        (LogsConfig, {"server": -2}, "server is -2"),
        (LogsConfig, {"tail": -1}, "tail is -1"),
        (LogsConfig, {"rank": 0, "worker": 0}, "rank and worker are given. Set one of them"),
        (LogsConfig, {"server": 0, "driver": True}, "server and driver are given"),
    ],
)
def test_settings_that_make_no_sense_are_refused(cls, settings: dict[str, Any], message):
    with pytest.raises(ConfigError, match=message):
        cls(job="a", **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"namespace": "a", "all_namespaces": True}, "are both given"), ({"watch": INFINITE}, "watch is inf")],
)
def test_a_list_of_jobs_is_of_one_namespace_or_of_all(settings: dict[str, Any], message):
    with pytest.raises(ConfigError, match=message):
        JobsConfig(**settings)


@pytest.mark.parametrize(
    ("settings", "which"),
    [
        ({}, None),
        ({"driver": True}, "driver"),
        ({"rank": 0}, "rank-0"),
        ({"worker": 3}, "worker-3"),
        ({"server": 1}, "server-1"),
        ({"driver": False, "rank": 2}, "rank-2"),
    ],
)
def test_the_process_whose_lines_are_shown_is_one_word(settings: dict[str, Any], which):
    assert LogsConfig(job="a", **settings).which == which
