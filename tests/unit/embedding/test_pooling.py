"""Pooling of a lookup's rows and its gradient, against gather and segment sum and their automatic differentiation."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from esmm_dist.embedding.lookup import LookupPlan, TableLookup
from esmm_dist.embedding.pooling import pool, pool_gradient, weight_norms
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.kernels import threads
from esmm_dist.schema.fields import Field, Schema

FIELDS = (Field(name="u", owner="user", multi_hot=True, weighted=True), Field(name="i", owner="item", multi_hot=True))
SCHEMA = Schema(name="s", labels=("click", "conversion"), fields=FIELDS)


def lookup_of(lists: list[list[tuple[int, float]]], impressions: int) -> TableLookup:
    """Return the lookup of one user field's lists, one a group, and of ``impressions`` impressions with id 3 each."""
    per_group = np.zeros(len(lists), np.int64)
    per_group[-1] = impressions
    batch = GroupedBatch(
        user_ids=np.array([id_ for values in lists for id_, _ in values], np.int64),
        user_lengths=np.array([len(values) for values in lists], np.int64),
        user_weights=np.array([weight for values in lists for _, weight in values], np.float32),
        impression_ids=np.full(impressions, 3),
        impression_lengths=np.ones(impressions, np.int64),
        impression_weights=None,
        impressions_per_group=per_group,
        sample_ids=np.arange(impressions),
        labels=np.zeros((impressions, 2), np.int64),
    )
    return LookupPlan(SCHEMA).prepare(batch)["main"]


# Group 1 has no ids; id 4 stands twice in group 2
LOOKUP = lookup_of([[(2, 1.0)], [], [(0, 0.5), (4, 2.0), (4, -1.0)], [(1, 0.0)], [(3, 3.0), (0, 1.5)]], 1)
ROWS = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)


def by_gather(lookup: TableLookup, rows: tf.Tensor) -> tf.Tensor:
    gathered = tf.gather(rows, lookup.places) * lookup.weights[:, None]
    return tf.math.unsorted_segment_sum(gathered, lookup.segments, lookup.num_segments)


def test_pooling_equals_gather_and_segment_sum_and_empty_segments_are_zero():
    pooled = pool(LOOKUP, ROWS)
    np.testing.assert_allclose(pooled, by_gather(LOOKUP, tf.constant(ROWS)).numpy(), rtol=1e-6)
    assert pooled.shape == (6, 3)
    assert not pooled[1].any()


def test_the_gradient_equals_that_of_gather_and_segment_sum():
    upstream = np.random.default_rng(1).normal(size=(6, 3)).astype(np.float32)
    rows = tf.constant(ROWS)
    with tf.GradientTape() as tape:
        tape.watch(rows)
        loss = tf.reduce_sum(by_gather(LOOKUP, rows) * upstream)
    expected = tf.convert_to_tensor(tape.gradient(loss, rows)).numpy()
    found, finite = pool_gradient(LOOKUP, upstream)
    assert finite
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)
    assert not found[1].any()  # id 1 weighs nothing


def test_rows_may_be_a_read_only_view_of_a_message():
    rows = np.frombuffer(ROWS.tobytes(), np.float32).reshape(ROWS.shape)
    assert not rows.flags.writeable
    np.testing.assert_array_equal(pool(LOOKUP, rows), pool(LOOKUP, ROWS))


def test_no_ids_pool_to_zeros_and_have_no_gradient():
    nothing = lookup_of([[], []], 0)
    assert pool(nothing, np.empty((0, 3), np.float32)).tolist() == [[0.0] * 3] * 2
    gradient, finite = pool_gradient(nothing, np.ones((2, 3), np.float32))
    assert (gradient.shape, finite) == ((0, 3), True)


@pytest.mark.parametrize(
    ("value", "finite"),
    [(1.8e19, True), (-1.8e19, True), (1.9e19, False), (np.inf, False), (-np.inf, False), (np.nan, False)],
)
@pytest.mark.parametrize(("dim", "column"), [(3, 2), (16, 0), (16, 15), (35, 17), (35, 34)])
def test_a_gradient_can_be_used_if_its_squares_are_finite(value, finite, dim, column):
    """float32 ends at 3.4e38, the square of 1.84e19."""
    upstream = np.zeros((6, dim), np.float32)
    upstream[0, column] = value  # group 0 holds id 2 alone, with weight 1
    found, is_finite = pool_gradient(LOOKUP, upstream)
    np.testing.assert_array_equal(found[2], upstream[0])
    assert is_finite == finite


def test_norms_are_at_least_one():
    expected = [1.0, 1.0, np.sqrt(5.25), 1.0, np.sqrt(11.25), 1.0]
    np.testing.assert_allclose(weight_norms(LOOKUP)[:, 0], expected, rtol=1e-6)


@settings(max_examples=30, deadline=None)
@given(
    lists=st.lists(st.lists(st.tuples(st.integers(0, 9), st.floats(-2, 2, width=32)), max_size=6), min_size=1),
    dim=st.integers(1, 40),
    parts=st.integers(1, 5),
)
def test_any_number_of_threads_adds_in_the_order_of_the_batch_to_the_last_bit(lists, dim, parts):
    lookup = lookup_of(lists, 1)
    random = np.random.default_rng(dim)
    rows = random.normal(size=(len(lookup.ids), dim)).astype(np.float32)
    upstream = random.normal(size=(lookup.num_segments, dim)).astype(np.float32)
    pooled, gradient = np.zeros_like(upstream), np.zeros_like(rows)
    for segment, place, weight in zip(lookup.segments, lookup.places, lookup.weights, strict=True):
        pooled[segment] += weight * rows[place]
        gradient[place] += weight * upstream[segment]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "num_threads", lambda: parts)
        patch.setattr(threads, "SMALLEST_PART", 1)
        np.testing.assert_array_equal(pool(lookup, rows), pooled)
        np.testing.assert_array_equal(pool_gradient(lookup, upstream)[0], gradient)
