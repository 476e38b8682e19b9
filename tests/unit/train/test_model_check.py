"""What does not fit a data set that is not made yet."""

from typing import Any

import pytest

from esmm_dist.errors import ConfigError
from esmm_dist.train.model_check import check_model
from tests.unit.train.test_chosen_settings import config_of, manifest_of

LOG = manifest_of(300_000)  # 16 lanes


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"model": {"network": ["ple"], "objective": "base"}}, "network is ple, which is one network for all labels"),
        ({"model": {"task_weights": [1, 2, 3]}}, "task_weights has 3 values, but the schema has 2 labels"),
        ({"evaluation": {"gauc_field": "nobody"}}, "gauc_field is 'nobody'"),
        ({"input": {"global_batch_records": 20}}, "global_batch_records is 20, but the data set has 16 lanes"),
    ],
)
def test_settings_that_do_not_fit_are_refused_without_a_data_set(settings: dict[str, Any], text: str):
    with pytest.raises(ConfigError, match=text):
        check_model(config_of(**settings), LOG)


def test_the_defaults_fit():
    check_model(config_of(), LOG)
