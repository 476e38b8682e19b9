"""How many records of a lane are shuffled together, so that a reader's memory does not depend on the size of a log.

The records of a lane are in the order of a hash already, so a shuffle that moves them within blocks mixes users as
one over everything does: a block of each lane together holds some ten thousand records.
"""

from typing import Literal

SHUFFLED_BYTES = 256_000_000
"""Bytes of records that one block of each lane holds, all lanes together. Half a million impressions of short lists,
400,000 of full-length ones, and little beside what TensorFlow and the rows of a batch take."""

LARGE_UNSIZED_BYTES = 1_000_000_000
"""Bytes of the shards of a split from which a data set that does not name its blocks is read in blocks too: below, it
is shuffled as the version that wrote it did, a part at a time."""

_MOST_INFLATED = 4  # records over ZLIB bytes, for a data set that does not say: 1.8 measured


def shuffle_block_records(records: int, record_bytes: int, lanes: int) -> int:
    """Return how many records of a lane are shuffled together, at least 1.

    Args:
        records: records of the split
        record_bytes: their bytes, before compression
        lanes: lanes of the data set
    """
    return max(1, SHUFFLED_BYTES * records // max(1, lanes * record_bytes))


def unsized_block_records(
    records: int, file_bytes: int, lanes: int, compression: Literal["ZLIB", "NONE"]
) -> int | None:
    """Return the same for a data set of an earlier version, which does not say; None: a part, whatever its size.

    Args:
        records: records of the split
        file_bytes: bytes of its shards
        lanes: lanes of the data set
        compression: how the shards are compressed
    """
    if file_bytes < LARGE_UNSIZED_BYTES:
        return None
    return shuffle_block_records(records, file_bytes * (_MOST_INFLATED if compression == "ZLIB" else 1), lanes)
