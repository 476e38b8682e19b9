"""Encode many ``tf.train.Example`` messages in TFRecord frames at once, without TensorFlow or the interpreter lock.

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

and of its frame (tensorflow/core/lib/io/record_writer.h)::

    8   length of the message, little-endian
    4   masked CRC-32C of the 8 bytes
    n   message
    4   masked CRC-32C of the message: written by the caller

A masked CRC is rotated right by 15 bits plus a constant, so that a CRC over bytes that hold CRCs stays good.

Arrays that the kernels share, for K lists of each of G records::

    lists     uint8, int64 [K, G + 1]                 values of all lists; where those of each begin (and the last end)
    frames    uint8, int64 [K + 1], uint8 [K], uint8 [K]
                                                      keys one after the other; where each begins; the tag of the kind;
                                                      1 if the values are packed
"""

import numpy as np

from esmm_dist.arrays import I64, U8
from esmm_dist.kernels.compiled import kernel
from preprocess.work.copy_bytes import copy_bytes

HEAD_BYTES, FOOT_BYTES = 12, 4
"""Bytes of a TFRecord frame before and after the message."""

LISTS = "Tuple((uint8[::1], int64[:, ::1]))"
FRAMES = "Tuple((uint8[::1], int64[::1], uint8[::1], uint8[::1]))"
USERS = "Tuple((uint8[::1], int64[::1], int64[::1]))"


def _crc_table() -> "np.ndarray[tuple[int], np.dtype[np.uint32]]":
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, table >> 1 ^ np.uint32(0x82F63B78), table >> 1).astype(np.uint32)
    return table


_CRC_TABLE = _crc_table()


@kernel("int64(int64)", makes_arrays=False)
def _varint_bytes(number):  # type: ignore[no-untyped-def]
    size = 1
    while number >= 0x80:
        number >>= 7
        size += 1
    return size


@kernel("int64(uint8[::1], int64, int64)", makes_arrays=False)
def _put_varint(out, p, number):  # type: ignore[no-untyped-def]
    while number >= 0x80:
        out[p] = number & 0x7F | 0x80
        number >>= 7
        p += 1
    out[p] = number
    return p + 1


@kernel("void(int64[::1], int64[::1])", makes_arrays=False)
def varint_splits(numbers, splits):  # type: ignore[no-untyped-def]
    """Write where the varint of each number >= 0 begins, one after the other: int64 [N + 1]."""
    place = 0
    splits[0] = 0
    for i in range(len(numbers)):
        place += _varint_bytes(numbers[i])
        splits[i + 1] = place


@kernel("void(int64[::1], uint8[::1])", makes_arrays=False)
def put_varints(numbers, out):  # type: ignore[no-untyped-def]
    """Write numbers >= 0 as varints, one after the other."""
    p = 0
    for i in range(len(numbers)):
        p = _put_varint(out, p, numbers[i])


@kernel("UniTuple(int64, 4)(int64, int64, int64)", makes_arrays=False)
def _sizes(payload, key, packed):  # type: ignore[no-untyped-def]
    """Return the bytes of one list's parts: list, Feature, map entry, and all of it with the entry's tag and length."""
    inner = payload + (1 + _varint_bytes(payload) if packed else 0)
    value = 1 + _varint_bytes(inner) + inner
    entry = 1 + _varint_bytes(key) + key + 1 + _varint_bytes(value) + value
    return inner, value, entry, 1 + _varint_bytes(entry) + entry


@kernel(f"void({LISTS}, {FRAMES}, int64[::1])", makes_arrays=False)
def lists_bytes(lists, frames, sizes):  # type: ignore[no-untyped-def]
    """Write the bytes of each record's lists with their frames, empty ones left out: int64 [G]."""
    splits, key_splits, packed = lists[1], frames[1], frames[3]
    for g in range(len(sizes)):
        total = 0
        for k in range(splits.shape[0]):
            payload = splits[k, g + 1] - splits[k, g]
            if payload:
                total += _sizes(payload, key_splits[k + 1] - key_splits[k], packed[k])[3]
        sizes[g] = total


@kernel(f"int64({LISTS}, {FRAMES}, int64, int64, uint8[::1])", makes_arrays=False)
def _put_lists_of(lists, frames, g, p, out):  # type: ignore[no-untyped-def]
    """Write the lists of record ``g`` at ``p``; return where they end."""
    data, splits = lists
    keys, key_splits, tags, packed = frames
    for k in range(splits.shape[0]):
        first, payload = splits[k, g], splits[k, g + 1] - splits[k, g]
        if payload == 0:
            continue
        key = key_splits[k + 1] - key_splits[k]
        inner, value, entry, _ = _sizes(payload, key, packed[k])
        out[p] = 0x0A
        p = _put_varint(out, p + 1, entry)
        out[p] = 0x0A
        p = _put_varint(out, p + 1, key)
        for i in range(key):
            out[p + i] = keys[key_splits[k] + i]
        p += key
        out[p] = 0x12
        p = _put_varint(out, p + 1, value)
        out[p] = tags[k]
        p = _put_varint(out, p + 1, inner)
        if packed[k]:
            out[p] = 0x0A
            p = _put_varint(out, p + 1, payload)
        copy_bytes(np.int64(out.ctypes.data) + p, np.int64(data.ctypes.data) + first, payload)
        p += payload
    return p


@kernel(f"void({LISTS}, {FRAMES}, int64[::1], uint8[::1])", makes_arrays=False)
def put_lists(lists, frames, splits, out):  # type: ignore[no-untyped-def]
    """Write the lists of each record, those of record g at ``splits[g]``."""
    for g in range(len(splits) - 1):
        _put_lists_of(lists, frames, g, splits[g], out)


@kernel(f"void({USERS}, int64[::1], int64[::1])", makes_arrays=False)
def record_splits(users: tuple[U8, I64, I64], sizes: I64, splits: I64) -> None:
    """Write where each record begins with its frame, one after the other: int64 [G + 1].

    Args:
        users: user parts uint8, where each begins int64 [U + 1], and that of each record int64 [G]
        sizes: bytes of each record's own lists, int64 [G]
        splits: to be written
    """
    _, user_splits, user_of = users
    splits[0] = 0
    for g in range(len(sizes)):
        features = user_splits[user_of[g] + 1] - user_splits[user_of[g]] + sizes[g]
        splits[g + 1] = splits[g] + HEAD_BYTES + 1 + _varint_bytes(features) + features + FOOT_BYTES


@kernel(f"void({USERS}, {LISTS}, {FRAMES}, int64[::1], int64[::1], uint8[::1])", makes_arrays=False)
def put_records(users, lists, frames, sizes, splits, out):  # type: ignore[no-untyped-def]
    """Write the records: frame without the CRC of the message, user part, own lists. Arguments as above."""
    user_data, user_splits, user_of = users
    for g in range(len(sizes)):
        p = splits[g]
        message = splits[g + 1] - p - HEAD_BYTES - FOOT_BYTES
        crc = np.uint32(0xFFFFFFFF)
        for i in range(8):
            byte = np.uint8(message >> (8 * i) & 255)
            out[p + i] = byte
            crc = _CRC_TABLE[(crc ^ np.uint32(byte)) & np.uint32(255)] ^ (crc >> np.uint32(8))
        crc ^= np.uint32(0xFFFFFFFF)
        masked = (crc >> np.uint32(15) | crc << np.uint32(17)) + np.uint32(0xA282EAD8)
        for i in range(4):
            out[p + 8 + i] = masked >> np.uint32(8 * i) & np.uint32(255)
        p += HEAD_BYTES
        first, user = user_splits[user_of[g]], user_splits[user_of[g] + 1] - user_splits[user_of[g]]
        out[p] = 0x0A
        p = _put_varint(out, p + 1, user + sizes[g])
        copy_bytes(np.int64(out.ctypes.data) + p, np.int64(user_data.ctypes.data) + first, user)
        _put_lists_of(lists, frames, g, p + user, out)
