"""Which impressions stand together."""

import numpy as np

from preprocess.join.groups import num_ranges, range_of


def test_ranges_of_a_context_split_its_hashes_evenly():
    assert num_ranges(np.array([1, 32_767, 32_768, 100_000])).tolist() == [1, 1, 2, 4]
    hashes = np.array([0, 2**62, 2**63, 2**64 - 1], np.uint64)
    assert range_of(hashes, np.array([4, 4, 4, 4])).tolist() == [0, 1, 2, 3]
    assert range_of(hashes, np.array([1, 1, 1, 1])).tolist() == [0, 0, 0, 0]
