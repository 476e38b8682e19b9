"""Ragged feature lists of many rows."""

import numpy as np
import pytest

from preprocess.read.feature_rows import FeatureEntries, FeatureRows, ragged_index, splits_of


def test_features_are_arranged_by_row_then_field_then_log_order():
    entries = FeatureEntries(
        row=np.array([0, 0, 0, 1, 2, 2]),
        field=np.array([1, 0, 1, 0, 1, 0], np.uint8),
        ids=np.array([10, 11, 12, 13, 14, 15]),
        values=np.arange(6, dtype=np.float32),
    )
    rows = entries.in_order(np.array([2, 0, 1]), 2)
    assert rows.lengths.tolist() == [[1, 1], [1, 2], [1, 0]]
    assert rows.ids.tolist() == [15, 14, 11, 10, 12, 13]
    assert rows.values.tolist() == [5, 4, 1, 0, 2, 3]
    assert rows.field_of_feature().tolist() == [0, 1, 0, 1, 1, 0]
    assert rows.row_of_feature().tolist() == [0, 0, 1, 1, 1, 2]


def test_arranging_more_rows_than_16_bits_count_gives_the_same_order():
    count = 70_000
    row = np.repeat(np.arange(count), 2)
    entries = FeatureEntries(
        row=row,
        field=np.tile(np.array([1, 0], np.uint8), count),
        ids=np.arange(2 * count),
        values=np.ones(2 * count, np.float32),
    )
    rows = entries.in_order(np.arange(count)[::-1], 2)
    assert rows.ids[:2].tolist() == [2 * count - 1, 2 * count - 2]
    assert rows.ids[-2:].tolist() == [1, 0]


def test_rows_can_be_taken_and_their_features_dropped():
    rows = FeatureRows(
        lengths=np.array([[2, 1], [0, 1]], np.int32), ids=np.array([1, 2, 3, 4]), values=np.ones(4, np.float32)
    )
    taken = rows.take(np.array([1, 0, 1]))
    assert (taken.ids.tolist(), taken.lengths.tolist()) == ([4, 1, 2, 3, 4], [[0, 1], [2, 1], [0, 1]])
    kept = rows.keep(np.array([True, False, False, True]))
    assert (kept.ids.tolist(), kept.lengths.tolist()) == ([1, 4], [[1, 0], [0, 1]])
    assert ragged_index(splits_of(np.array([2, 0])), np.zeros(0, np.int64)).tolist() == []


@pytest.mark.parametrize("readonly", [False, True])
def test_features_that_a_mask_leaves_out_are_gone_and_the_rest_keeps_its_order(readonly):
    random = np.random.default_rng(3)
    lengths = random.integers(0, 4, (50, 3)).astype(np.int32)
    number = int(lengths.sum())
    rows = FeatureRows(lengths=lengths, ids=np.arange(number), values=random.random(number).astype(np.float32))
    if readonly:  # as blocks of a file are
        for array in (rows.lengths, rows.ids, rows.values):
            array.setflags(write=False)
    mask = random.random(number) < 0.6
    kept = rows.keep(mask)
    cells = np.repeat(np.arange(150), lengths.ravel())
    np.testing.assert_array_equal(kept.lengths.ravel(), np.bincount(cells[mask], minlength=150))
    np.testing.assert_array_equal(kept.ids, rows.ids[mask])
    np.testing.assert_array_equal(kept.values, rows.values[mask])
    assert [each.dtype.str for each in (kept.lengths, kept.ids, kept.values)] == ["<i4", "<i8", "<f4"]


def test_taking_a_few_rows_again_and_again_does_not_go_through_all_rows_again():
    rows = FeatureRows(lengths=np.ones((4, 2), np.int32), ids=np.arange(8), values=np.ones(8, np.float32))
    assert rows.take(np.array([2])).ids.tolist() == [4, 5]
    splits = rows.row_splits
    assert rows.take(np.array([3])).ids.tolist() == [6, 7]
    assert rows.row_splits is splits
