"""CRC-32C of parts and of the whole."""

import json
from pathlib import Path

import google_crc32c
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esmm_dist.schema.checksum import _CHUNK_BYTES, file_crc32c, joined_crc32c, mapping_crc32c, text_crc32c


@given(st.lists(st.one_of(st.binary(max_size=40), st.integers(0, 100_000).map(bytes)), max_size=5))
def test_the_checksums_of_parts_join_to_that_of_the_whole(parts: list[bytes]):
    joined = 0
    for part in parts:
        joined = joined_crc32c(joined, google_crc32c.value(part), len(part))
    assert joined == google_crc32c.value(b"".join(parts))


@pytest.mark.parametrize("size", [0, 1, _CHUNK_BYTES - 1, _CHUNK_BYTES, _CHUNK_BYTES + 1])
def test_the_checksum_of_a_file_does_not_depend_on_how_it_is_read(tmp_path: Path, size: int):
    data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    (tmp_path / "file").write_bytes(data)
    assert file_crc32c(tmp_path / "file") == google_crc32c.value(data)


def test_the_checksum_of_nine_digits_is_the_published_one(tmp_path: Path):
    """The check value of CRC-32C in the catalogue of parametrised CRC algorithms (reveng.sourceforge.io)."""
    (tmp_path / "file").write_text("123456789")
    assert file_crc32c(tmp_path / "file") == 0xE3069283


def test_the_checksum_of_a_mapping_is_that_of_its_text_in_its_order():
    assert mapping_crc32c({"a": 1, "b": [2]}) == google_crc32c.value(b'{\n "a": 1,\n "b": [\n  2\n ]\n}')
    assert mapping_crc32c({"b": [2], "a": 1}) != mapping_crc32c({"a": 1, "b": [2]})


MEMBERS = st.dictionaries(st.text(max_size=5), st.one_of(st.integers(), st.lists(st.text(max_size=5))), min_size=1)


@given(MEMBERS)
def test_the_checksum_of_a_mapping_is_found_from_its_text(mapping: dict[str, object]):
    mapping.pop("crc32c", None)
    checksum = mapping_crc32c(mapping)
    text = json.dumps({**mapping, "crc32c": checksum}, indent=1) + "\n"
    assert text_crc32c(text, checksum) == checksum
    assert text_crc32c(text.replace("{", "{ ", 1), checksum) != checksum


@pytest.mark.parametrize(
    "text", ['{"a": 1, "crc32c": 7}', '{\n "crc32c": 7,\n "a": 1\n}\n', "", '{\n "crc32c": 77\n}\n']
)
def test_a_text_that_was_not_written_so_gives_no_checksum(text: str):
    assert text_crc32c(text, 7) is None
