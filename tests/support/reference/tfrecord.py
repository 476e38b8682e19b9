"""TFRecord framing (tensorflow/core/lib/io/record_writer.h).

::

    8   length of the data, little-endian
    4   masked CRC-32C of the 8 bytes
    n   data
    4   masked CRC-32C of the data

A masked CRC is rotated right by 15 bits plus a constant, so that a CRC over bytes that hold CRCs stays good.
"""

import struct

import google_crc32c

OVERHEAD_BYTES = 16


def frame(data: bytes) -> bytes:
    """Return one record with its frame."""
    length = struct.pack("<Q", len(data))
    return b"".join((length, _masked(length), data, _masked(data)))


def _masked(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
