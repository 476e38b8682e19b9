"""Decode the lists of serialized ``tf.train.Example`` records.

The wire format of protocol buffers, as far as an Example needs it::

    Example   0A length Features                                   other fields are skipped
    Features  (0A length Entry)*
    Entry     0A length key, 12 length Feature                     in either order; of equal keys the last counts
    Feature   0A length BytesList | 12 length FloatList | 1A length Int64List | nothing
    BytesList (0A length bytes)*
    FloatList 0A length float* (packed) | (0D float)*
    Int64List 0A length varint* (packed) | (08 varint)*

Lengths and tags are varints: 7 bits a byte, the lowest first, the highest bit set in all bytes but the last. What
reaches beyond the message around it, by its length, ends with that.

What is accepted, and with which result, is what ``tf.io.parse_example`` does, its leniencies included: of a list only
the first packed block counts, of a Feature only the first list. Source:
tensorflow/core/util/example_proto_fast_parsing.cc.

Bytes are never read outside a record, whatever they say.
"""

import numpy as np

from esmm_dist.arrays import I64, U8
from esmm_dist.kernels.compiled import kernel

BYTES_LIST, FLOAT_LIST, INT64_LIST = 0x0A, 0x12, 0x1A
"""Kinds of lists: the tag of a Feature's field."""

_NONE, _PACKED, _SINGLY = 0, 1, 2  # how the values of a list are written
_LONGEST = 1 << 31  # lengths are 32 bits, and signed in places: longer ones fit nowhere
_FAILED = -1


@kernel("UniTuple(int64, 2)(uint8[::1], int64, int64)")
def _number(data: U8, at: int, end: int) -> tuple[int, int]:
    """Read a varint; return its lowest 32 bits and the place behind it, or ``_FAILED``."""
    value, shift = 0, 0
    while at < end and shift < 70:
        byte = data[at]
        at += 1
        if shift < 32:
            value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFF, at
        shift += 7
    return 0, _FAILED


@kernel("int64(int64, int64, int64)")
def _inner_end(at: int, length: int, end: int) -> int:
    """Return where something of a length ends: with what surrounds it at the latest."""
    return at + length if length < _LONGEST and at + length < end else end


@kernel("int64(uint8[::1], int64, int64)")
def _behind_other_field(data: U8, at: int, end: int) -> int:
    """Return the place behind a field that an Example does not have, or ``_FAILED``."""
    tag, at = _number(data, at, end)
    if at == _FAILED:
        return at
    kind = tag & 7
    if kind == 0:
        return _number(data, at, end)[1]
    if kind == 2:
        length, at = _number(data, at, end)
        if at == _FAILED:
            return at
        return at if length >= _LONGEST else min(at + length, end)
    size = 8 if kind == 1 else 4 if kind == 5 else end - at + 1  # 3, 4, 6, 7: none that can be skipped
    return at + size if at + size <= end else _FAILED


@kernel("int64(uint8[::1], int64, int64, uint8[::1], int64[::1])")
def _index_of(data: U8, begin: int, end: int, keys: U8, key_ends: I64) -> int:
    """Return which of the keys stands at a place, or -1."""
    key_begin = 0
    for number in range(len(key_ends)):
        length = key_ends[number] - key_begin
        if length == end - begin:
            same = True
            for i in range(length):
                if data[begin + i] != keys[key_begin + i]:
                    same = False
                    break
            if same:
                return number
        key_begin = key_ends[number]
    return -1


@kernel("int64(uint8[::1], int64, int64, uint8[::1], int64[::1], int64[:, ::1])")
def _find_entry(data: U8, at: int, end: int, keys: U8, key_ends: I64, found: I64) -> int:
    """Read one entry of a map; return the place behind it, or ``_FAILED``.

    Args:
        data: bytes
        at: place of the entry's length
        end: end of the map
        keys: the keys that are asked for, one after another
        key_ends: int64 [K], where each of them ends
        found: int64 [K, 2], where the Feature of each begins and ends; written
    """
    length, at = _number(data, at, end)
    if at == _FAILED:
        return at
    end = _inner_end(at, length, end)
    key_begin = key_end = begin = feature_end = 0
    for _ in range(2):
        tag, at = _number(data, at, end)
        if at == _FAILED or (tag != 0x0A and tag != 0x12):
            return _FAILED
        length, at = _number(data, at, end)
        if at == _FAILED or length > end - at:
            return _FAILED
        if tag == 0x0A:
            key_begin, key_end = at, at + length
        else:
            begin, feature_end = at, at + length
        at += length
    if at != end:
        return _FAILED
    number = _index_of(data, key_begin, key_end, keys, key_ends)
    if number >= 0:
        if begin < feature_end and data[begin] != 0x0A and data[begin] != 0x12 and data[begin] != 0x1A:
            return _FAILED
        found[number, 0], found[number, 1] = begin, feature_end
    return at


@kernel("boolean(uint8[::1], int64, int64, uint8[::1], int64[::1], int64[:, ::1])")
def _find_features(data: U8, at: int, end: int, keys: U8, key_ends: I64, found: I64) -> bool:
    """Find the Features of one record; see ``_find_entry``. Return whether it is an Example."""
    found[:] = 0
    while at < end:
        if data[at] != 0x0A:
            at = _behind_other_field(data, at, end)
            if at == _FAILED:
                return False
            continue
        length, at = _number(data, at + 1, end)
        if at == _FAILED:
            return False
        features_end = _inner_end(at, length, end)
        while at < features_end:
            if data[at] != 0x0A:
                return False
            at = _find_entry(data, at + 1, features_end, keys, key_ends, found)
            if at == _FAILED:
                return False
    return True


@kernel("int64(uint8[::1], int64, int64)")
def _count_int64(data: U8, begin: int, end: int) -> int:
    """Return the number of varints, or ``_FAILED`` if the last one has no end; those of more than 10 bytes remain."""
    values = data[begin:end]
    goes_on = 0  # this form is compiled to vector instructions
    for i in range(len(values)):
        goes_on += int(values[i] >> np.uint8(7))
    return end - begin - goes_on if begin == end or data[end - 1] < 0x80 else _FAILED


@kernel("int64(uint8[::1], int64, int64, int64)")
def _count_singly(data: U8, at: int, end: int, tag: int) -> int:
    """Return the number of values that each have a tag before them, or ``_FAILED``."""
    count = 0
    while at < end:
        if data[at] != tag:
            return _FAILED
        at += 1
        if tag == 0x08:
            at = _number(data, at, end)[1]
        elif tag == 0x0D:
            at += 4
        else:
            length, at = _number(data, at, end)
            if at != _FAILED:
                at += length
        if at == _FAILED or at > end:
            return _FAILED
        count += 1
    return count


@kernel("int64(uint8[::1], int64, int64, int64, int64[::1])")
def _find_list(data: U8, begin: int, end: int, kind: int, place: I64) -> int:
    """Find the values of one Feature.

    Args:
        data: bytes
        begin: begin of the Feature
        end: its end
        kind: kind that its list must have
        place: int64 [3], where the values begin and end, and how they are written; written

    Returns:
        Their number, or ``_FAILED``.
    """
    place[:] = 0
    if begin == end:
        return 0
    if data[begin] != kind:
        return _FAILED
    length, at = _number(data, begin + 1, end)
    if at == _FAILED:
        return _FAILED
    end = _inner_end(at, length, end)
    if at == end:
        return 0
    tag = 0x0A if kind == BYTES_LIST else 0x0D if kind == FLOAT_LIST else 0x08
    if data[at] == tag:
        place[0], place[1], place[2] = at, end, _SINGLY
        return _count_singly(data, at, end, tag)
    if data[at] != 0x0A:
        return _FAILED
    length, at = _number(data, at + 1, end)
    if at == _FAILED:
        return _FAILED
    end = _inner_end(at, length, end)
    place[0], place[1], place[2] = at, end, _PACKED
    if kind == INT64_LIST:
        return _count_int64(data, at, end)
    count = length // 4
    place[1] = at + 4 * count
    return count if place[1] <= end else _FAILED


@kernel("int64(uint8[::1], int64[::1], uint8[::1], int64[::1], int64[::1], int64[:, :, ::1])")
def find_lists(data: U8, ends: I64, keys: U8, key_ends: I64, kinds: I64, lists: I64) -> int:
    """Find the lists of some keys in each record.

    Args:
        data: uint8 [bytes], the records one after another
        ends: int64 [G], where each record ends
        keys: uint8 [bytes], the keys one after another
        key_ends: int64 [K], where each key ends
        kinds: int64 [K], the kind of list that each key has
        lists: int64 [K, G, 4]: where the values of each list begin and end, how they are written, and their number;
            written. Nothing is there where a record has no such key.

    Returns:
        The first record that is no Example or has a list of another kind; -1 if all are well.
    """
    found = np.empty((len(key_ends), 2), dtype=np.int64)
    begin = 0
    for record in range(len(ends)):
        if not _find_features(data, begin, ends[record], keys, key_ends, found):
            return record
        for key in range(len(key_ends)):
            place = lists[key, record]
            place[3] = _find_list(data, found[key, 0], found[key, 1], kinds[key], place[:3])
            if place[3] == _FAILED:
                return record
        begin = ends[record]
    return -1


@kernel("int64(uint8[::1], int64[:, ::1], int64[::1])")
def read_int64(data: U8, lists: I64, values: I64) -> int:
    """Read the values of one key.

    Args:
        data: uint8 [bytes], see ``find_lists``
        lists: int64 [G, 4], what ``find_lists`` has found for a key of int64 values
        values: int64 [N], as many as the lists have together; written

    Returns:
        The first record with a varint of more than 10 bytes; -1 if all are well.
    """
    one = np.uint64(1)  # unsigned places are not checked for being counted from the end
    number = np.uint64(0)
    for record in range(len(lists)):
        at, end, tags = np.uint64(lists[record, 0]), np.uint64(lists[record, 1]), np.uint64(lists[record, 2] == _SINGLY)
        while at < end:
            at += tags
            byte = np.uint64(data[at])
            at += one
            value, shift = byte & np.uint64(0x7F), np.uint64(0)
            while byte >= np.uint64(0x80):
                shift += np.uint64(7)
                if shift == np.uint64(70):
                    return record
                byte = np.uint64(data[at])
                at += one
                value |= (byte & np.uint64(0x7F)) << shift
            values[number] = value
            number += one
    return -1


@kernel("void(uint8[::1], int64[:, ::1], uint8[::1])")
def read_float(data: U8, lists: I64, values: U8) -> None:
    """Read the values of one key.

    Args:
        data: uint8 [bytes], see ``find_lists``
        lists: int64 [G, 4], what ``find_lists`` has found for a key of float values
        values: uint8 [4 * N], the bytes of as many floats as the lists have together; written
    """
    number = 0
    for record in range(len(lists)):
        at, end = lists[record, 0], lists[record, 1]
        tags = int(lists[record, 2] == _SINGLY)
        size = 4 if tags else end - at
        while at < end:
            floats, read = values[number : number + size], data[at + tags : at + tags + size]
            for i in range(size):
                floats[i] = read[i]
            at += tags + size
            number += size


@kernel("void(uint8[::1], int64[:, ::1], int64[:, ::1])")
def find_bytes(data: U8, lists: I64, places: I64) -> None:
    """Find the values of one key.

    Args:
        data: uint8 [bytes], see ``find_lists``
        lists: int64 [G, 4], what ``find_lists`` has found for a key of bytes values
        places: int64 [N, 2], where each of the values begins and ends, as many as the lists have together; written
    """
    number = 0
    for record in range(len(lists)):
        at, end = lists[record, 0], lists[record, 1]
        while at < end:
            length, at = _number(data, at + 1, end)
            places[number, 0], places[number, 1] = at, at + length
            at += length
            number += 1
