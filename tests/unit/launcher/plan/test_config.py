import math

import pytest

from esmm_dist.errors import ConfigError
from launcher.plan.config import PlanConfig


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({}, "impressions and ids are missing, so the log's size is unknown. Give --impressions and --ids, or --data"),
        ({"impressions": 10}, "ids is missing, so the log's size is unknown. Give --ids, or --data DATA"),
        ({"impressions": 0, "ids": 1}, "impressions is 0. Set 1 or more"),
        ({"dim": 0}, "dim is 0. Set 1 or more"),
        ({"servers": -1}, "servers is -1. Set 0 or more"),
        ({"workers": 5000}, "workers is 5000. A run has 4096 at the most"),
        ({"network_gbps": 0.0}, "network_gbps is 0.0. Set a positive number"),
        ({"network_ms": math.nan}, "network_ms is nan. Set a number of 0 or more"),
        ({"hours": math.inf}, "hours is inf. Set a positive number"),
        ({"group_size": 0.5}, "group_size is 0.5. Set 1 or more"),
        ({"hidden_units": (0,)}, r"hidden_units is \[0\]. Every layer needs at least 1 unit"),
        (
            {"workers": 2, "servers": 0},
            "a table within a worker belongs to it alone. Set --servers 1 or more, or --work",
        ),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(given: dict, error: str):
    log = {} if "missing" in error else {"impressions": 1000, "ids": 100}
    with pytest.raises(ConfigError, match=error):
        PlanConfig(**(log | given))


def test_no_servers_means_one_worker():
    assert PlanConfig(impressions=1, ids=1, servers=0).workers is None
