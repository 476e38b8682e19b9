"""Which columns belong to which field, by name and by alias."""

import numpy as np
import pytest
import tensorflow as tf

from esmm_dist.errors import ConfigError
from esmm_dist.model.pooled_fields import FieldLayout

LAYOUT = FieldLayout(
    user_dims={"101": 2, "121": 1}, impression_dims={"205": 3}, aliases={"user_id": "101", "item_id": "205"}
)
USER = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
IMPRESSION = [[7.0, 8.0, 9.0], [10.0, 11.0, 12.0], [13.0, 14.0, 15.0]]
POOLED = LAYOUT.pooled(tf.constant(USER), tf.constant(IMPRESSION), tf.constant([0, 1, 1], tf.int64))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("101", [[1, 2], [4, 5]]),
        ("user_id", [[1, 2], [4, 5]]),
        ("121", [[3], [6]]),
        ("205", IMPRESSION),
        ("item_id", IMPRESSION),
    ],
)
def test_a_field_has_its_columns_once_a_group_or_once_an_impression(name, expected):
    np.testing.assert_array_equal(POOLED.field(name), expected)
    assert LAYOUT.dim(name) == len(expected[0])


@pytest.mark.parametrize(
    ("name", "expected"), [("121", [[3], [6], [6]]), ("user_id", [[1, 2], [4, 5], [4, 5]]), ("item_id", IMPRESSION)]
)
def test_a_users_field_is_repeated_for_each_impression(name, expected):
    np.testing.assert_array_equal(POOLED.per_impression(name), expected)


def test_the_layout_lists_names_and_counts_columns():
    assert (LAYOUT.user_fields, LAYOUT.impression_fields) == (("101", "121"), ("205",))
    assert (LAYOUT.user_columns, LAYOUT.impression_columns) == (3, 3)


@pytest.mark.parametrize("ask", [POOLED.field, POOLED.per_impression, LAYOUT.dim])
def test_a_field_that_the_network_does_not_see_is_refused_with_near_names(ask):
    message = "The network sees no field 'user'. Did you mean 'user_id'. Known: .*model.fields, if it is set, lists"
    with pytest.raises(ConfigError, match=message):
        ask("user")


def test_a_network_may_see_fields_of_items_alone():
    layout = FieldLayout(user_dims={}, impression_dims={"a": 1})
    pooled = layout.pooled(tf.ones([2, 0]), tf.ones([3, 1]), tf.constant([0, 1, 1], tf.int64))
    assert (layout.user_columns, pooled.user_fields) == (0, {})
    assert pooled.field("a").shape == (3, 1)
