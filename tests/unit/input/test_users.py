"""The user of each impression of a batch."""

from dataclasses import replace

import numpy as np
import pytest

from esmm_dist.errors import ConfigError
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.input.users import NO_USER, BatchUsers
from esmm_dist.schema.fields import Field
from tests.support.tiny_dataset import tiny_schema

NO_IDS = np.zeros(0, np.int64)
BATCH = GroupedBatch(
    # (user, history) of three contexts; the second has no user
    user_ids=np.array([7, 21, 22, 23, 9]),
    user_lengths=np.array([1, 2, 0, 1, 1, 0]),
    user_weights=None,
    # (item, tags) of four impressions; the third has no item
    impression_ids=np.array([31, 41, 42, 32, 43, 33]),
    impression_lengths=np.array([1, 2, 1, 0, 0, 1, 1, 0]),
    impression_weights=None,
    impressions_per_group=np.array([2, 1, 1]),
    sample_ids=np.arange(4),
    labels=np.zeros((4, 2), np.int64),
)


def test_user_of_an_impression_is_the_id_of_its_context_in_the_first_one_hot_field():
    assert BatchUsers(tiny_schema()).of(BATCH).tolist() == [7, 7, NO_USER, 9]


def test_user_may_be_the_id_of_an_impressions_own_field():
    assert BatchUsers(tiny_schema(), "item").of(BATCH).tolist() == [31, 32, NO_USER, 33]


def test_schema_without_a_one_hot_field_of_users_knows_no_user():
    fields = (Field(name="history", owner="user", multi_hot=True), Field(name="item", owner="item"))
    assert BatchUsers(tiny_schema(fields=fields)).of(replace(BATCH, user_ids=NO_IDS)).tolist() == [NO_USER] * 4


def test_field_that_is_none_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match=r"gauc_field is 'usr', no field of schema 'tiny'\. Did you mean 'user'"):
        BatchUsers(tiny_schema(), "usr")
