"""Pairs of a group's elements and its impressions in tiles of equal size, for products over all pairs.

Each group of a batch has a list of elements (of its user) and some impressions, and what a network computes of every
pair of the two is a product of matrices within the group. Lists differ in length, so that both sides are cut into
blocks of a fixed size, the last one of a group padded with zeros, and every block of elements meets every block of
impressions of its group in a tile::

    group 0: elements e0 e1 e2, impressions i0 i1       blocks of 2 elements: [e0 e1] [e2 -]   blocks of 2: [i0 i1]
    group 1: elements e3,       impressions i2                                [e3 -]                        [i2 -]

    tiles:  [e0 e1] x [i0 i1]   [e2 -] x [i0 i1]   [e3 -] x [i2 -]

A batched product of matrices then has one tile a batch entry. Measured against rows gathered for every pair, and
against lists padded to the longest: README.md beside this file.
"""

from typing import NamedTuple

import tensorflow as tf

ELEMENTS_A_BLOCK = 32
"""64 takes a tenth less time at lists of 150 elements, but pads lists of ten more."""
IMPRESSIONS_A_BLOCK = 8
"""The impressions of a record, unless preprocess is told otherwise. Batches whose groups have fewer have smaller
blocks."""


class Blocks(NamedTuple):
    """Ragged values of G groups in Z blocks of equal size."""

    places: tf.Tensor
    """int64 [Z, size]: one more than the place of each value; 0: padding"""
    numbers: tf.Tensor
    """int64 [G]: blocks of each group"""
    place_of_value: tf.Tensor
    """int64 [n]: the place of each value among those of all blocks"""

    def of(self, values: tf.Tensor) -> tf.Tensor:
        """Return values float32 [n, ...] in blocks, float32 [Z, size, ...]; zeros where there is none."""
        padded = tf.pad(values, [[1, 0], *[[0, 0]] * (len(values.shape) - 1)])
        return tf.gather(padded, self.places)

    def values(self, blocks: tf.Tensor) -> tf.Tensor:
        """Return what is in blocks float32 [Z, size, D], without padding: float32 [n, D]."""
        return tf.gather(tf.reshape(blocks, [-1, blocks.shape[-1]]), self.place_of_value)


class PairTiles(NamedTuple):
    """All pairs of elements and impressions of one group, in P tiles."""

    elements: Blocks
    impressions: Blocks
    element_block: tf.Tensor
    """int64 [P]: the block of elements of each tile"""
    impression_block: tf.Tensor
    """int64 [P]: its block of impressions"""

    def of_elements(self, values: tf.Tensor) -> tf.Tensor:
        """Return the values float32 [n, ...] of the elements of each tile, float32 [P, size, ...]."""
        return tf.gather(self.elements.of(values), self.element_block)

    def summed(self, values: tf.Tensor) -> tf.Tensor:
        """Return the sum over the tiles of each impression, of float32 [P, size, D]: float32 [B, D]."""
        number = tf.shape(self.impressions.places)[0]
        return self.impressions.values(tf.math.unsorted_segment_sum(values, self.impression_block, number))


def pair_tiles(elements_per_group: tf.Tensor, impressions_per_group: tf.Tensor) -> PairTiles:
    """Cut the pairs of a batch into tiles.

    Args:
        elements_per_group: int64 [G]
        impressions_per_group: int64 [G]
    """
    elements = blocks_of(elements_per_group, ELEMENTS_A_BLOCK)
    impressions = blocks_of(impressions_per_group, IMPRESSIONS_A_BLOCK)
    numbers = elements.numbers * impressions.numbers
    group = _group_of(numbers)
    within = tf.range(tf.size(group, out_type=tf.int64)) - tf.gather(_firsts(numbers), group)
    beside = tf.gather(impressions.numbers, group)
    return PairTiles(
        elements=elements,
        impressions=impressions,
        element_block=tf.gather(_firsts(elements.numbers), group) + within // beside,
        impression_block=tf.gather(_firsts(impressions.numbers), group) + within % beside,
    )


def blocks_of(lengths: tf.Tensor, most: int) -> Blocks:
    """Cut the values of groups into blocks.

    Args:
        lengths: int64 [G], values of each group
        most: values of a block, unless the longest group has fewer
    """
    # The longest of no group is the least int64
    size = tf.clip_by_value(tf.reduce_max(lengths), tf.constant(1, tf.int64), tf.constant(most, tf.int64))
    numbers = (lengths + size - 1) // size
    first_blocks, first_values = _firsts(numbers), _firsts(lengths)
    group = _group_of(numbers)
    begin = (tf.range(tf.size(group, out_type=tf.int64)) - tf.gather(first_blocks, group)) * size
    within = begin[:, tf.newaxis] + tf.range(size)
    there = within < tf.gather(lengths, group)[:, tf.newaxis]
    places = tf.where(there, tf.gather(first_values, group)[:, tf.newaxis] + within + 1, 0)
    own = _group_of(lengths)
    place = tf.range(tf.size(own, out_type=tf.int64)) + tf.gather(first_blocks * size - first_values, own)
    return Blocks(places=places, numbers=numbers, place_of_value=place)


def _group_of(lengths: tf.Tensor) -> tf.Tensor:
    """Return the group of each value, ascending: int64 [n]."""
    # Not tf.repeat, which makes a row as long as the longest group for each
    return tf.searchsorted(tf.cumsum(lengths), tf.range(tf.reduce_sum(lengths)), side="right", out_type=tf.int64)


def _firsts(lengths: tf.Tensor) -> tf.Tensor:
    """Return the number of values before each group: int64 [G]."""
    return tf.cumsum(lengths, exclusive=True)
