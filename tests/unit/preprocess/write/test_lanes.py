"""How records are dealt into lanes and shards."""

from preprocess.write.lanes import num_parts, num_slices


def test_number_of_slices_and_parts_follows_from_the_sizes():
    assert [num_slices(n) for n in (0, 1, 16 << 20, (16 << 20) + 1)] == [1, 1, 1, 2]
    assert num_parts(total_piece_bytes=10**9, lanes=4, slices=100, shard_bytes=10**8) == 2  # 2.5 rounds to even
    assert num_parts(total_piece_bytes=0, lanes=4, slices=1, shard_bytes=10**8) == 1
    assert num_parts(total_piece_bytes=10**9, lanes=4, slices=3, shard_bytes=1) == 3
