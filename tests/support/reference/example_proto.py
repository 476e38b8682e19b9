"""Encode many ``tf.train.Example`` messages at once, without TensorFlow.

Bytes of a message (https://protobuf.dev/programming-guides/encoding; field numbers of
tensorflow/core/example/{example,feature}.proto). ``v(n)`` is n as varint: 7 bits a byte, least first, 0x80 = more::

    Example    0A v(length)              features = 1: Features
      Features   0A v(length)            one map entry for each key, repeated
        entry      0A v(length) key      the key, UTF-8
                   12 v(length)          the value: Feature
          Feature    1A v(length)        int64_list = 3:  Int64List
                       0A v(length) v(n) v(n) ...       values, packed
                     12 v(length)        float_list = 2:  FloatList
                       0A v(length) float32 float32 ... values, packed, little-endian
                     0A v(length)        bytes_list = 1:  BytesList
                       0A v(length) bytes               each value, not packed

A record is long in its values and short in its frame. So the values of many rows are encoded together in NumPy
(``varints``), and a frame is a prefix that depends only on key and length, and is kept (``ListFrame``).
"""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import numpy as np

from esmm_dist.arrays import I64

_MAX_VARINT = 10
_LIST_TAGS = {"int64": b"\x1a", "float": b"\x12", "bytes": b"\x0a"}


def varint(number: int) -> bytes:
    """Return one number >= 0 as varint."""
    result = bytearray()
    while number >= 0x80:
        result.append(number & 0x7F | 0x80)
        number >>= 7
    result.append(number)
    return bytes(result)


def varints(values: I64) -> tuple[bytes, I64]:
    """Return numbers >= 0 as varints, one after the other, and where each begins: int64 [N + 1]."""
    unsigned = values.astype(np.uint64)
    sizes = np.ones(len(values), np.int64)
    largest = int(unsigned.max()) if len(values) else 0
    rounds = max(1, -(-largest.bit_length() // 7))
    for k in range(1, rounds):
        sizes += unsigned >= np.uint64(1 << 7 * k)
    splits = np.zeros(len(values) + 1, np.int64)
    np.cumsum(sizes, out=splits[1:])
    out = np.empty(int(splits[-1]), np.uint8)
    starts = splits[:-1]
    for k in range(rounds):
        longer = sizes > k + 1
        byte = (unsigned >> np.uint64(7 * k)).astype(np.uint8) & np.uint8(0x7F) | (longer.astype(np.uint8) << 7)
        out[starts + k] = byte
        if k + 1 < rounds:
            starts, unsigned, sizes = starts[longer], unsigned[longer], sizes[longer]
    return out.tobytes(), splits


@dataclass
class ListFrame:
    """The frame of one key's list within ``Features``."""

    key: str
    kind: Literal["int64", "float", "bytes"] = "int64"
    _prefixes: dict[int, bytes] = field(default_factory=dict)

    def prefix(self, payload_bytes: int) -> bytes:
        """Return the bytes that stand before a list's values of so many bytes (more than 0)."""
        known = self._prefixes.get(payload_bytes)
        if known is None:
            known = self._prefixes[payload_bytes] = self._make(payload_bytes)
        return known

    def _make(self, payload_bytes: int) -> bytes:
        packed = b"" if self.kind == "bytes" else b"\x0a" + varint(payload_bytes)
        inner = len(packed) + payload_bytes
        value = _LIST_TAGS[self.kind] + varint(inner)
        key = self.key.encode()
        head = b"\x0a" + varint(len(key)) + key + b"\x12" + varint(len(value) + inner)
        return b"\x0a" + varint(len(head) + len(value) + inner) + head + value + packed


def bytes_value(data: bytes) -> bytes:
    """Return one value of a list of bytes, as it stands in the list."""
    return b"\x0a" + varint(len(data)) + data


def example(features: bytes) -> bytes:
    """Wrap the lists of one message, each with its frame, into an Example."""
    return b"\x0a" + varint(len(features)) + features


def encode_rows(frame: ListFrame, payload: bytes, splits: I64) -> list[bytes]:
    """Return for each row its list with the frame, or nothing for an empty list.

    Args:
        frame: frame of the key
        payload: packed values of all rows
        splits: where each row's bytes begin in ``payload``, int64 [rows + 1]
    """
    ends = splits.tolist()
    return [frame.prefix(end - begin) + payload[begin:end] if end > begin else b"" for begin, end in pairwise(ends)]
