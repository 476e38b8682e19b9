"""How many records are shuffled together, from the size of a split."""

import pytest

from esmm_dist.schema.shuffle_blocks import SHUFFLED_BYTES, shuffle_block_records, unsized_block_records


@pytest.mark.parametrize("records", [10**6, 10**8, 10**10])
@pytest.mark.parametrize("lanes", [1, 16, 256])
@pytest.mark.parametrize("bytes_a_record", [100, 5_000, 1_000_000])
def test_a_block_of_each_lane_has_the_same_bytes_whatever_the_size_of_the_log(records, lanes, bytes_a_record):
    block = shuffle_block_records(records, records * bytes_a_record, lanes)
    held = block * lanes * bytes_a_record
    assert held <= max(SHUFFLED_BYTES, lanes * bytes_a_record)  # one record of a lane at least
    assert held > SHUFFLED_BYTES - lanes * bytes_a_record


def test_a_split_without_records_has_blocks_too():
    assert shuffle_block_records(0, 0, 64) >= 1


def test_a_data_set_that_does_not_say_is_cut_into_blocks_only_where_it_is_large():
    assert unsized_block_records(1000, 999_999_999, 1, "ZLIB") is None
    assert unsized_block_records(1000, 1_000_000_000, 1, "NONE") == 256  # 256 MB of 1 MB a record
    assert unsized_block_records(1000, 1_000_000_000, 1, "ZLIB") == 64  # of up to 4 MB
