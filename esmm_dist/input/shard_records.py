"""Read the records of a shard, one after another, with their checksums compared.

A shard is a TFRecord file, whole or as one zlib stream::

    length   uint64         bytes of the data
    crc      uint32         masked CRC-32C of the 8 bytes before
    data     byte[length]   a tf.train.Example, see esmm_dist.schema.record_format
    crc      uint32         masked CRC-32C of the data

Source: tensorflow/core/lib/io/record_writer.h.
"""

import struct
from collections.abc import Generator, Iterable, Iterator
from functools import lru_cache
from typing import cast

import google_crc32c
from isal import isal_zlib

RECORD_HEADER = struct.Struct("<QI")
"""Length and its masked CRC-32C."""

RECORD_CRC = struct.Struct("<I")
"""Masked CRC-32C of the data."""

_InflateError = cast("type[Exception]", isal_zlib.IsalError)  # its stub says that it is an instance
_MASK_DELTA = 0xA282EAD8
_READ_BYTES = 1 << 16  # of 32 kB to 1 MB as fast as any; up to 256 lanes are open at a time
_INFLATED_BYTES = 1 << 20  # what a stream that was made to grow may give at a time


class BrokenShardError(ValueError):
    """The bytes of a shard are not those of so many records."""


def masked_crc(data: bytes) -> int:
    """Return the CRC-32C of some bytes, masked: so that the CRC of bytes that hold CRCs stays good."""
    crc = int(google_crc32c.value(data))
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF


@lru_cache(maxsize=1 << 14)  # a data set's lengths come again and again
def _length_crc(length: int) -> int:
    """Return the masked CRC-32C of a record's length, in the form in which it stands before the record."""
    return masked_crc(RECORD_HEADER.pack(length, 0)[:8])


def shard_records(path: str, *, compressed: bool) -> Generator[bytes, None, None]:
    """Yield the records of a shard; a few hundred kB of the file are in memory at a time.

    Args:
        path: the file; closed when the iterator is
        compressed: whether it is a zlib stream

    Raises:
        OSError: The file cannot be read.
        BrokenShardError: A checksum differs, the zlib stream breaks, or the file ends within a record.
    """
    chunks = _chunks(path)
    yield from _records(_inflated(chunks) if compressed else chunks)


def _chunks(path: str) -> Iterator[bytes]:
    with open(path, "rb", buffering=0) as file:
        while chunk := file.read(_READ_BYTES):
            yield chunk


def _inflated(chunks: Iterable[bytes]) -> Iterator[bytes]:
    stream = isal_zlib.decompressobj()
    try:
        for chunk in chunks:
            plain = stream.decompress(chunk, _INFLATED_BYTES)
            yield plain
            while len(plain) == _INFLATED_BYTES:  # more may wait in the stream
                plain = stream.decompress(stream.unconsumed_tail, _INFLATED_BYTES)
                yield plain
            if stream.unused_data:
                raise BrokenShardError("bytes follow the end of the zlib stream")
    except _InflateError as e:
        raise BrokenShardError(f"the zlib stream breaks: {e}") from e
    if not stream.eof:
        raise BrokenShardError("the zlib stream ends too early")


def _records(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        data = rest + chunk if rest else chunk
        begin, first = RECORD_HEADER.size, 0
        while begin <= len(data):
            length, crc = RECORD_HEADER.unpack_from(data, first)
            if _length_crc(length) != crc:
                raise BrokenShardError("the length of a record has another checksum")
            end = begin + length
            if end + RECORD_CRC.size > len(data):
                break
            record = data[begin:end]
            crc = google_crc32c.value(record)  # as in masked_crc, without a call for each record
            if ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF != RECORD_CRC.unpack_from(data, end)[0]:
                raise BrokenShardError("the data of a record has another checksum")
            yield record
            first = end + RECORD_CRC.size
            begin = first + RECORD_HEADER.size
        rest = data[first:]
    if rest:
        raise BrokenShardError("the file ends within a record")
