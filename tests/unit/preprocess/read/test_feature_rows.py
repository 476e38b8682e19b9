"""Ragged feature lists of many rows."""

import numpy as np

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
