"""Pairs of a group's elements and impressions in tiles of equal size."""

import numpy as np
import pytest
import tensorflow as tf

from esmm_dist.model import pair_tiles as tiles_module
from esmm_dist.model.pair_tiles import blocks_of, pair_tiles


def lengths(*numbers: int) -> tf.Tensor:
    return tf.constant(numbers, tf.int64)


def column(number: int) -> tf.Tensor:
    """Return float32 [number, 1]: 1, 2, ..."""
    return tf.reshape(tf.range(1.0, number + 1), [-1, 1])


def test_blocks_are_padded_at_the_end_of_each_group():
    blocks = blocks_of(lengths(3, 0, 1), 2)
    assert blocks.numbers.numpy().tolist() == [2, 0, 1]
    assert blocks.of(column(4)).numpy()[:, :, 0].tolist() == [[1, 2], [3, 0], [4, 0]]
    assert blocks.values(blocks.of(column(4))).numpy()[:, 0].tolist() == [1, 2, 3, 4]


def test_blocks_are_no_longer_than_the_longest_group():
    assert blocks_of(lengths(1, 3), 32).places.shape == (2, 3)
    assert blocks_of(lengths(40, 3), 32).places.shape == (3, 32)


@pytest.mark.parametrize("given", [(), (0, 0)])
def test_there_are_no_blocks_without_values(given):
    blocks = blocks_of(lengths(*given), 4)
    assert blocks.of(tf.zeros([0, 5])).shape == (0, 1, 5)
    assert blocks.values(tf.zeros([0, 1, 5])).shape == (0, 5)


@pytest.mark.parametrize("elements_a_block", [1, 2, 3, 32])
@pytest.mark.parametrize("impressions_a_block", [1, 2, 8])
def test_every_element_meets_every_impression_of_its_group_once(monkeypatch, elements_a_block, impressions_a_block):
    monkeypatch.setattr(tiles_module, "ELEMENTS_A_BLOCK", elements_a_block)
    monkeypatch.setattr(tiles_module, "IMPRESSIONS_A_BLOCK", impressions_a_block)
    elements, impressions = [3, 0, 1, 5], [2, 3, 0, 4]
    tiles = pair_tiles(lengths(*elements), lengths(*impressions))
    met = []
    of_elements = tiles.of_elements(column(9)).numpy()
    of_impressions = tf.gather(tiles.impressions.of(column(9)), tiles.impression_block).numpy()
    for own, other in zip(of_elements, of_impressions, strict=True):
        met += [(int(e), int(i)) for e in own[:, 0] if e for i in other[:, 0] if i]
    expected = [(e, i) for e in (1, 2, 3) for i in (1, 2)] + [(e, i) for e in range(5, 10) for i in range(6, 10)]
    assert sorted(met) == sorted(expected)
    # each impression's sum over the elements of its group: 1 + 2 + 3, none, none, 5 + 6 + 7 + 8 + 9
    ones = tf.gather(tiles.impressions.of(tf.ones([9, 1])), tiles.impression_block)
    product = tf.matmul(ones, tiles.of_elements(column(9)), transpose_b=True)
    sums = tiles.summed(tf.reduce_sum(product, axis=2, keepdims=True))
    np.testing.assert_array_equal(sums.numpy()[:, 0], [6, 6, 0, 0, 0, 35, 35, 35, 35])


def test_a_batch_without_groups_has_no_tiles():
    tiles = pair_tiles(lengths(), lengths())
    assert tiles.of_elements(tf.zeros([0, 2])).shape[0] == 0
    assert tiles.summed(tf.zeros([0, 1, 3])).shape == (0, 3)
