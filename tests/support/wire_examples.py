"""Bytes that are almost, or quite, a serialized ``tf.train.Example``: for tests of what decodes them."""

import random
from collections.abc import Sequence

BYTES_LIST, FLOAT_LIST, INT64_LIST = 0x0A, 0x12, 0x1A
_KINDS = (BYTES_LIST, FLOAT_LIST, INT64_LIST)
_OTHER_FIELDS = (
    b"\x10\x05",  # field 2, varint
    b"\x12\x02ab",
    b"\x15abcd",  # 4 bytes
    b"\x11abcdefgh",  # 8 bytes
    b"\x13\x14",  # a group
    b"\x00\x01",  # field 0
    b"\x12\x7f",  # longer than what follows
    b"\x8a\x00\x01a",  # field 1, its tag in two bytes
    b"\x12\xff\xff\xff\xff\xff",  # a length without an end
    b"\x12\xff\xff\xff\xff\x0f",  # a negative length
    b"\x16",  # kinds 6 and 7 do not exist
    b"\x07",
)


class WireExamples:
    """Makes records by chance: most are well, and some are wrong in one of the ways in which they can be."""

    def __init__(self, seed: int, kinds: dict[str, int]) -> None:
        """Begin.

        Args:
            seed: seed of the choices
            kinds: kind of list by key
        """
        self._random, self._kinds = random.Random(seed), kinds

    def example(self) -> bytes:
        """Return one record."""
        data = b""
        for _ in range(1 if self._chance(0.9) else self._random.randrange(3)):
            if self._chance(0.05):
                data += self._random.choice(_OTHER_FIELDS)
            data += b"\x0a" + self._sized(self._features())
        if self._chance(0.05):
            data = data[: self._random.randrange(len(data) + 1)]
        if self._chance(0.1) and data:
            place = self._random.randrange(len(data))
            byte = self._random.choice((data[place] ^ 1 << self._random.randrange(8), 10, 18, 26, 8, 0, 255))
            data = data[:place] + bytes([byte]) + data[place + 1 :]
        return data

    def _chance(self, share: float) -> bool:
        return self._random.random() < share

    def _some(self, pieces: Sequence[bytes], share: float) -> bytes:
        return self._random.choice(pieces) if self._chance(share) else b""

    def _sized(self, body: bytes) -> bytes:
        """Return some bytes behind their length, which is not always right."""
        wrong = self._random.choice((-2, -1, 1, 2, 5, 100)) if self._chance(0.02) else 0
        if self._chance(0.002):
            wrong = 1 << 32  # 32 bits are read
        return self._varint(max(0, len(body) + wrong)) + body

    def _varint(self, number: int) -> bytes:
        data = bytearray()
        while number >= 0x80:
            data.append(number & 0x7F | 0x80)
            number >>= 7
        data.append(number)
        if self._chance(0.01):  # longer than it needs to be
            data[-1] |= 0x80
            data += b"\x80" * self._random.randrange(3) + b"\0"
        return bytes(data)

    def _features(self) -> bytes:
        entries = [b"\x0a" + self._sized(self._entry()) for _ in range(self._random.randrange(5))]
        return b"".join([*entries, self._some((b"\x12\x00",), 0.02)])

    def _entry(self) -> bytes:
        key = self._random.choice((*self._kinds, "another"))
        parts = [b"\x0a" + self._sized(key.encode()), b"\x12" + self._sized(self._feature(key))]
        if self._chance(0.05):
            parts.reverse()
        if self._chance(0.02):
            del parts[self._random.randrange(2)]
        if self._chance(0.02):
            parts.append(self._random.choice(parts))
        if self._chance(0.01):
            parts[0] = bytes([parts[0][0] | 0x80, 0]) + parts[0][1:]
        return b"".join(parts)

    def _feature(self, key: str) -> bytes:
        if self._chance(0.05):
            return b""
        kind = self._kinds.get(key, self._random.choice(_KINDS))
        if self._chance(0.02):
            kind = self._random.choice(_KINDS)
        data = self._some((b"\x22\x00", b"\x08\x01"), 0.02) + bytes([kind]) + self._sized(self._list(kind))
        return data + (self._feature(key) if self._chance(0.04) else b"")

    def _list(self, kind: int) -> bytes:
        size, packed = self._random.randrange(4), self._chance(0.6)
        if kind == BYTES_LIST:
            values = [self._sized(self._random.randbytes(self._random.randrange(5))) for _ in range(size)]
            data = b"".join(b"\x0a" + value for value in values)
        else:
            tag = b"\x08" if kind == INT64_LIST else b"\x0d"
            values = [
                self._varint(self._number()) if kind == INT64_LIST else self._random.randbytes(4) for _ in range(size)
            ]
            data = b"\x0a" + self._sized(b"".join(values)) if packed else b"".join(tag + value for value in values)
        data += self._list(kind) if self._chance(0.05) else b""
        return self._some((b"\x10\x01", b"\x0a\x00", b"\x08\x01"), 0.03) + data

    def _number(self) -> int:
        return self._random.choice((0, 1, 127, 128, 1 << 63, (1 << 64) - 1, self._random.getrandbits(40)))
