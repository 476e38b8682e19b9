"""Which field is named when a step is not finite."""

import numpy as np
import pytest

from esmm_dist.embedding.lookup import LookupPlan
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.train.numerical_check import numerical_error
from tests.support.tiny_dataset import tiny_schema

# One user with a history of two ids, one impression without tags
BATCH = GroupedBatch(
    user_ids=np.array([10, 20, 21]),
    user_lengths=np.array([1, 2]),
    user_weights=np.array([1, 1, 3], dtype=np.float32),
    impression_ids=np.array([30]),
    impression_lengths=np.array([1, 0]),
    impression_weights=None,
    impressions_per_group=np.array([1]),
    sample_ids=np.array([7]),
    labels=np.array([[0, 0]]),
)


@pytest.mark.parametrize("lists", [(), ("history",)], ids=["", "history by element"])
def test_the_field_whose_pooled_vectors_hold_the_largest_value_is_named(lists):
    schema = tiny_schema()
    lookups = LookupPlan(schema, lists=lists).prepare(BATCH)
    # Pooled: user 2; history 5 · 1/4 + 0.5 · 3/4 = 1.6; item 1.5. An element alone is 5, which is no pooled vector
    rows = {"main": np.array([[2.0], [5.0], [0.5], [1.5]], dtype=np.float32)}
    error = numerical_error(step=3, epoch=0, schema=schema, batch=BATCH, lookups=lookups, rows=rows)
    assert "The largest pooled value is 2, in field 'user'" in str(error)
