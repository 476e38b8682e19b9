"""Settings of a comparison that are refused."""

import pytest

from esmm_dist.errors import ConfigError
from tests.unit.launcher.compare.comparisons import compare_config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": 0}, "seeds is 0, so nothing is trained. Set 2 or more; with 1 there is no standard deviation"),
        ({"jobs": 0}, "jobs is 0. Set 1 or more"),
        ({"models": []}, "models is empty, so there is nothing to compare. Name some: --models base,esmm"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        compare_config(tmp_path, **changes)
