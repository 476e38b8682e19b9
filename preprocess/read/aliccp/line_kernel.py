r"""Read the lines of a chunk of the Ali-CCP form in one pass over its bytes, without the interpreter lock.

The kernel reads what is usual. A line with anything else (a stray separator, a longer number, several ids in a one-hot
field, ...) is *odd*: it leaves no row here, and ``line.parse_line`` judges it, whose grammar this one is a part of.

Arrays that the kernels share::

    text          uint8 [bytes]           the chunk; every line in it ends in \n
    begins        int64 [R + 1]           where each line begins; the last is the end of the text
    names         uint8, int64 [M + 1], int32 [slots], int64 [M], int64 [1], int32 [M + 1]
                                          field names one after the other; where each begins; a hash table of them (-1
                                          is free); features of each name in good lines; how many names there are; the
                                          name that last followed each (0: at the begin of a line). The first F are the
                                          schema's, the others are found in the text.
    fields        uint8 [F], uint8 [F]    1 if the field is one-hot; 1 if it is weighted
    heads         uint64 [R], int64 [R], uint8 [R, L], uint8 [R], int64 [R, 2]
                                          keys, sample ids, labels, kinds of lines (GOOD ...), bounds of the keys' texts
    features      int32 [R, F], int64 [N], float32 [N], int64 [N, 3]
                                          lengths, ids and values of good lines, by field and then in log order; and
                                          values that Python must read: where in ``values``, and bounds of the text
"""

import numpy as np

from esmm_dist.arrays import F32, I32, I64
from esmm_dist.kernels.compiled import kernel

GOOD, ODD, TEXT_KEY = 0, 1, 2
"""Kinds of lines: read in full; left to ``parse_line``; read, but its key is a text that is to be hashed."""

_COMMA, _CR, _LF, _DOT, _SEPARATOR, _ID_MARK, _VALUE_MARK = 44, 13, 10, 46, 1, 2, 3
_MOST_DIGITS = 18  # surely fit int64
_EXACT = 1 << 53  # whole numbers up to here are exact in float64, and so are the powers of ten up to 10^22:
_EXACT_POWER = 22  # one multiplication or division of the two gives the nearest float64 (Clinger, PLDI 1990)
_LARGEST_POWER = 37  # of the first digit: surely finite as float32
_POWERS = np.array([10.0**k for k in range(_EXACT_POWER + 1)], np.float64)
_FNV, _FNV_PRIME = 0xCBF29CE484222325, 0x100000001B3

TEXT = 'Array(uint8, 1, "C", readonly=True)'  # bytes of Python, which nobody writes to
NAMES = "Tuple((uint8[::1], int64[::1], int32[::1], int64[::1], int64[::1], int32[::1]))"
FIELDS = "Tuple((uint8[::1], uint8[::1]))"
HEADS = "Tuple((uint64[::1], int64[::1], uint8[:, ::1], uint8[::1], int64[:, ::1]))"
FEATURES = "Tuple((int32[:, ::1], int64[::1], float32[::1], int64[:, ::1]))"
FOUND = "Tuple((int32[::1], int64[::1], float32[::1], int64[:, ::1]))"


@kernel(f"UniTuple(int64, 2)({TEXT}, int64)", makes_arrays=False)
def _number(text, p):  # type: ignore[no-untyped-def]
    """Read digits at ``p``; return the number, -1 if there is none or it is long, and where it ends."""
    begin, number = p, 0
    while 48 <= text[p] <= 57:
        if p - begin < _MOST_DIGITS:
            number = number * 10 + (text[p] - 48)
        p += 1
    if p == begin or p - begin > _MOST_DIGITS:
        number = -1
    return number, p


@kernel(f"UniTuple(int64, 2)({TEXT}, int64)", makes_arrays=False)
def _id(text, p):  # type: ignore[no-untyped-def]
    """Read an id, or a sample id, at ``p``; return it, -1 if it is none or above 2^63 - 1, and where it ends."""
    begin, number = p, np.uint64(0)
    while 48 <= text[p] <= 57:
        number = number * np.uint64(10) + np.uint64(text[p] - 48)
        p += 1
    digits = p - begin
    if digits == 0 or digits > 19 or number > np.uint64(0x7FFFFFFFFFFFFFFF):
        return -1, p
    return np.int64(number), p


@kernel(f"Tuple((int64, float64, int64))({TEXT}, int64)", makes_arrays=False)
def _value(text, p):  # type: ignore[no-untyped-def]
    """Read a decimal number at ``p``.

    Returns:
        1 if it is read, 0 if it is good but has more digits than are exact here, -1 if it is odd; the number; its end.
    """
    mantissa, power, digits, seen = 0, 0, 0, 0
    while 48 <= text[p] <= 57:
        seen += 1
        if digits < _MOST_DIGITS:
            mantissa = mantissa * 10 + (text[p] - 48)
            digits += mantissa != 0
        else:
            digits, power = digits + 1, power + 1
        p += 1
    if text[p] == _DOT:
        p += 1
        while 48 <= text[p] <= 57:
            seen += 1
            if digits < _MOST_DIGITS:
                mantissa, power = mantissa * 10 + (text[p] - 48), power - 1
                digits += mantissa != 0
            else:
                digits += 1
            p += 1
    if seen == 0:
        return -1, 0.0, p
    if text[p] == 69 or text[p] == 101:  # E, e
        p += 1
        minus = text[p] == 45
        if minus or text[p] == 43:
            p += 1
        exponent, p = _number(text, p)
        if exponent < 0 or exponent > 9999:
            return -1, 0.0, p
        power += -exponent if minus else exponent
    if mantissa == 0:
        return 1, 0.0, p
    if min(digits, _MOST_DIGITS) + power - 1 > _LARGEST_POWER:
        return -1, 0.0, p
    if digits > _MOST_DIGITS or mantissa > _EXACT or power > _EXACT_POWER or power < -_EXACT_POWER:
        return 0, 0.0, p
    if power < 0:
        return 1, np.float64(mantissa) / _POWERS[-power], p
    return 1, np.float64(mantissa) * _POWERS[power], p


@kernel(f"int64({TEXT}, int64, int64, {NAMES})", makes_arrays=False)
def _slot(text, begin, end, names):  # type: ignore[no-untyped-def]
    """Return the slot of the hash table that holds a name, or the free one that is to hold it."""
    name_bytes, name_splits, slots, _, _, _ = names
    h = np.uint64(_FNV)
    for p in range(begin, end):
        h = (h ^ np.uint64(text[p])) * np.uint64(_FNV_PRIME)
    mask = len(slots) - 1
    slot = np.int64(h ^ (h >> np.uint64(32))) & mask
    while slots[slot] >= 0:
        first = name_splits[slots[slot]]
        same = name_splits[slots[slot] + 1] - first == end - begin
        k = 0
        while same and k < end - begin:
            same = name_bytes[first + k] == text[begin + k]
            k += 1
        if same:
            break
        slot = (slot + 1) & mask
    return slot


@kernel(f"int64({TEXT}, int64, int64, {NAMES})", makes_arrays=False)
def _name_code(text, begin, end, names):  # type: ignore[no-untyped-def]
    """Return the number of a name, which it is given here if it is new; -1 if there is no room for it."""
    name_bytes, name_splits, slots, counts, state, _ = names
    slot = _slot(text, begin, end, names)
    if slots[slot] >= 0:
        return np.int64(slots[slot])
    code = state[0]
    place = name_splits[code]
    if code >= len(counts) or place + end - begin > len(name_bytes):
        return -1
    for k in range(end - begin):
        name_bytes[place + k] = text[begin + k]
    name_splits[code + 1] = place + end - begin
    slots[slot] = code
    state[0] = code + 1
    return code


@kernel(f"int64({TEXT}, int64, int64, {HEADS})", makes_arrays=False)
def _head(text, p, i, heads):  # type: ignore[no-untyped-def]
    """Read the columns of line ``i`` up to its number of features, at ``p``; return where that begins, -1 if odd."""
    keys, sample_ids, labels, kinds, bounds = heads
    if labels.shape[1]:
        sample_ids[i], p = _id(text, p)
        if sample_ids[i] < 0 or text[p] != _COMMA:
            return -1
        for k in range(labels.shape[1]):
            label = np.int64(text[p + 1]) - 48 if text[p] == _COMMA and text[p + 1] != _LF else -1
            if (label != 0 and label != 1) or text[p + 2] != _COMMA:
                return -1
            labels[i, k] = label
            p += 2
        p += 1
    begin, key, others = p, np.uint64(0), 0
    while text[p] != _COMMA and text[p] != _LF:
        c = np.int64(text[p])
        digit = c - 48 if 48 <= c <= 57 else (c - 87 if 97 <= c <= 102 else -1)
        others += 1 if digit < 0 else 0
        key = key << np.uint64(4) | np.uint64(digit & 15)
        p += 1
    if text[p] == _LF:
        return -1
    keys[i] = key
    kinds[i] = GOOD if others == 0 and p - begin == 16 else TEXT_KEY
    bounds[i, 0], bounds[i, 1] = begin, p
    return p + 1


@kernel(f"int64({TEXT}, int64, {NAMES}, {FIELDS}, int32[::1], {FOUND})", makes_arrays=False)
def _list(text, p, names, fields, lengths, found):  # type: ignore[no-untyped-def]
    """Read the features of one line, at ``p``, in log order; return how many there are, or -1 if the line is odd.

    Args:
        text: as above
        p: where the list begins
        names: as above
        fields: as above
        lengths: features of each field, counted here: int32 [F]
        found: for each feature the number of its name, its id, its value, and the bounds of a value's text that Python
            must read, -1 where it need not
    """
    one_hot, weighted = fields
    codes, ids, values, hard = found
    name_bytes, name_splits, followers = names[0], names[1], names[5]
    n, code = 0, np.int64(-1)
    while text[p] != _LF and not (text[p] == _CR and text[p + 1] == _LF):
        begin = p
        while text[p] > 10 and text[p] != _COMMA and text[p] != _CR:
            p += 1
        if text[p] != _ID_MARK:
            return -1
        expected = np.int64(followers[code + 1])  # mostly the fields of all lines follow each other alike
        first = name_splits[expected]
        same = expected < names[4][0] and name_splits[expected + 1] - first == p - begin
        k = 0
        while same and k < p - begin:
            same = text[begin + k] == name_bytes[first + k]
            k += 1
        if not same:
            expected = _name_code(text, begin, p, names)
            if expected < 0:
                return -1
            followers[code + 1] = expected
        code = expected
        feature_id, p = _id(text, p + 1)
        if feature_id < 0 or text[p] != _VALUE_MARK:
            return -1
        begin = p + 1
        is_read, value, p = _value(text, begin)
        value32 = np.float32(value)
        if is_read < 0:
            return -1
        hard[n, 0] = -1
        if code < len(one_hot):
            lengths[code] += 1
            if one_hot[code] and lengths[code] > 1:
                return -1
            if not weighted[code]:
                value32 = np.float32(1)
            elif is_read == 0:
                hard[n, 0], hard[n, 1] = begin, p
        codes[n], ids[n], values[n] = code, feature_id, value32
        n += 1
        if text[p] == _SEPARATOR:
            p += 1
            if text[p] == _LF or text[p] == _CR:  # an empty feature
                return -1
        elif text[p] != _LF and not (text[p] == _CR and text[p + 1] == _LF):
            return -1
    return n


def line_scratch(begins: I64, num_fields: int) -> tuple[tuple[I32, I64, F32, I64], I64]:
    """Return room for the features of one line, as ``_list`` finds them, and for a place in each field.

    Args:
        begins: as above
        num_fields: F
    """
    longest = int(np.diff(begins).max(initial=0))
    room = longest // 4 + 1  # a feature has two separators, a digit of each number and a separator or the line's end
    found = (
        np.empty(room, np.int32),
        np.empty(room, np.int64),
        np.empty(room, np.float32),
        np.empty((room, 2), np.int64),
    )
    return found, np.empty(num_fields, np.int64)


@kernel(
    f"UniTuple(int64, 2)({TEXT}, int64[::1], Tuple(({NAMES}, {FIELDS})), {HEADS}, {FEATURES}, "
    f"Tuple(({FOUND}, int64[::1])))",
    makes_arrays=False,
)
def read_usual_lines(text, begins, schema, heads, features, scratch):  # type: ignore[no-untyped-def]
    """Read all lines; return how many features, and how many values for Python, were written.

    Lines that are ODD already are left out. ``schema`` is (names, fields), ``scratch`` what ``line_scratch`` returns.
    """
    names, fields = schema
    found, places = scratch
    kinds, counts = heads[3], names[3]
    for code in range(names[4][0]):  # the names of the schema
        names[2][_slot(names[0], names[1][code], names[1][code + 1], names)] = code
    lengths, ids, values, hard = features
    num_fields = lengths.shape[1]
    codes, line_ids, line_values, line_hard = found
    written, num_hard = 0, 0
    for i in range(len(begins) - 1):
        if kinds[i] == ODD:
            continue
        p = _head(text, begins[i], i, heads)
        n, wanted = -1, np.int64(-1)
        if p >= 0:
            wanted, p = _number(text, p)
            if wanted >= 0 and text[p] == _COMMA:
                n = _list(text, p + 1, names, fields, lengths[i], found)
        if n < 0 or n != wanted:
            kinds[i] = ODD
            lengths[i, :] = 0
            continue
        for f in range(num_fields):
            places[f] = written
            written += lengths[i, f]
        for k in range(n):
            code = codes[k]
            if code >= num_fields:
                counts[code] += 1
                continue
            place = places[code]
            places[code] += 1
            ids[place], values[place] = line_ids[k], line_values[k]
            if line_hard[k, 0] >= 0:
                hard[num_hard, 0], hard[num_hard, 1], hard[num_hard, 2] = place, line_hard[k, 0], line_hard[k, 1]
                num_hard += 1
    return written, num_hard
