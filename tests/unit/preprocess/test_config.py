"""Settings of ``esmm preprocess``."""

from pathlib import Path

import pytest

from esmm_dist.errors import ConfigError
from preprocess.config import PreprocessConfig


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ({"min_count": 0}, r"min_count is 0\. Set 1 or more"),
        ({"group_size": 0}, r"group_size is 0\. Set 1 or more"),
        ({"lanes": 0}, r"lanes is 0\. Set 1 or more"),
        ({"lanes": 5000}, r"lanes is 5000\. Set at most 4096"),
        ({"seed": -1}, r"seed is -1\. Set 0 or more"),
        ({"seed": 2**63}, r"seed is 9223372036854775808\. Set less than 2\*\*63"),
        ({"shard_bytes": 0}, r"shard_bytes is 0\. Set 1 or more"),
        ({"workers": 0}, r"workers is 0\. Set 1\.\.1024"),
        ({"memory_gb": 0.0}, r"memory_gb is 0\.0\. Set a positive number"),
        ({"memory_gb": float("nan")}, r"memory_gb is nan"),
        ({"max_reject_share": 1.5}, r"max_reject_share is 1\.5\. Set a share from 0 to 1"),
    ],
)
def test_setting_out_of_range_is_an_error(setting: dict[str, float], text: str):
    with pytest.raises(ConfigError, match=text):
        PreprocessConfig(raw=Path("raw"), out=Path("out"), schema="aliccp", **setting)  # type: ignore[arg-type]
