"""Random draws from uniforms: popularity ranks, counts, and uniforms that belong to an id.

Popularity is Zipf-like: rank r (from 0) of n has a probability near (r + 1)^-s, by inverting the distribution function
of the bounded Pareto law (closed form, so that four million items need no table).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from esmm_dist.hashing import finalised

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def zipf_ranks(uniforms: Floats, size: int | Ints, exponent: float) -> Ints:
    """Return popularity ranks int64 [N] in 0 .. size - 1.

    Args:
        uniforms: float64 [N] in [0, 1)
        size: number of ranks, one for all or int64 [N]; at least 1
        exponent: s >= 0; 0 is uniform, 1 is Zipf's law
    """
    if exponent == 1.0:
        continuous = np.exp(uniforms * np.log(np.asarray(size) + 1.0))
    else:
        power = 1.0 - exponent
        continuous = (1.0 + uniforms * ((np.asarray(size) + 1.0) ** power - 1.0)) ** (1.0 / power)
    ranks: Ints = np.minimum(continuous.astype(np.int64) - 1, np.asarray(size) - 1)
    return np.maximum(ranks, 0)


def heavy_counts(uniforms: Floats, largest: int) -> Ints:
    """Return counts int64 [N] >= 1 with P(count >= k) near k^-1.1, cut at ``largest``: most are 1, a few hundreds."""
    return np.minimum((1.0 - uniforms) ** (-1.0 / 1.1), largest).astype(np.int64)


def hashed_uniform(seed: int, stream: int, *keys: Ints) -> Floats:
    """Return uniforms float64 [N] in [0, 1) that depend on (seed, stream, keys) alone.

    A user's tastes and an item's appeal are drawn this way: the same in every block, without a table.
    """
    state = np.uint64((seed * 0x9E3779B97F4A7C15 + stream * 0xD1B54A32D192ED03) % 2**64)
    mixed = np.asarray(state)
    for key in keys:
        mixed = finalised(mixed ^ (key.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)))
    return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53


def hashed_standard(seed: int, stream: int, *keys: Ints) -> Floats:
    """Return uniforms as ``hashed_uniform``, moved to mean 0 and variance 1."""
    return (hashed_uniform(seed, stream, *keys) - 0.5) * 12**0.5


def scattered_keys(seed: int, numbers: Ints) -> npt.NDArray[np.uint64]:
    """Return one uint64 for each number, all different (the mixing is a bijection)."""
    return finalised(numbers.astype(np.uint64) ^ np.uint64((seed * 0xD1B54A32D192ED03) % 2**64))


@dataclass(frozen=True)
class Groups:
    """Members 0 .. n - 1 of groups, each group's in order of popularity (a member's number is its rank)."""

    order: npt.NDArray[np.int32]
    starts: Ints
    counts: Ints

    def pick(self, groups: Ints, uniforms: Floats, exponent: float) -> Ints:
        """Return for each group int64 [N] a member, the popular ones more often; -1 if the group is empty."""
        counts = self.counts[groups]
        places = self.starts[groups] + zipf_ranks(uniforms, np.maximum(counts, 1), exponent)
        members = self.order[np.minimum(places, self.order.size - 1)].astype(np.int64)
        return np.where(counts > 0, members, -1)


def group_members(group_of: npt.NDArray[np.int32], num_groups: int) -> Groups:
    """Build ``Groups`` from the group of each member, int32 [n]."""
    counts = np.bincount(group_of, minlength=num_groups)
    starts = np.concatenate(([0], np.cumsum(counts)[:-1]))
    return Groups(np.argsort(group_of, kind="stable").astype(np.int32), starts, counts)
