"""CRC-32C of parts and of the whole."""

import google_crc32c
from hypothesis import given
from hypothesis import strategies as st

from esmm_dist.schema.checksum import joined_crc32c


@given(st.lists(st.one_of(st.binary(max_size=40), st.integers(0, 100_000).map(bytes)), max_size=5))
def test_the_checksums_of_parts_join_to_that_of_the_whole(parts: list[bytes]):
    joined = 0
    for part in parts:
        joined = joined_crc32c(joined, google_crc32c.value(part), len(part))
    assert joined == google_crc32c.value(b"".join(parts))
