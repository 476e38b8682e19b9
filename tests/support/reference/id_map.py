"""The map from ids to row numbers in plain Python, line by line: what its kernels are compared with."""

import numpy as np

from esmm_dist.arrays import I64, U32

_LOW_64_BITS = (1 << 64) - 1
PLACES = 5


def spread(id_: int) -> int:
    """Return 32 hashed bits of an id."""
    mixed = id_ & _LOW_64_BITS
    mixed = ((mixed ^ (mixed >> 32)) * 0x9E3779B97F4A7C15) & _LOW_64_BITS
    mixed = ((mixed ^ (mixed >> 32)) * 0xBF58476D1CE4E5B9) & _LOW_64_BITS
    return mixed >> 32


class ReferenceIdMap:
    """Lines of up to five (id, number) pairs, each a list of places (None: empty), and how many pairs passed each."""

    def __init__(self, num_lines: int) -> None:
        self.lines: list[list[tuple[int, int] | None]] = [[None] * PLACES for _ in range(num_lines)]
        self.passed = [0] * num_lines

    def pairs(self) -> dict[int, int]:
        return dict(pair for line in self.lines for pair in line if pair is not None)

    def find(self, id_: int) -> int:
        return self.pairs().get(id_, -1)

    def way(self, id_: int) -> list[int]:
        """Return the numbers of all lines in the order in which an id tries them."""
        home = spread(id_) * len(self.lines) >> 32
        return [(home + step) % len(self.lines) for step in range(len(self.lines))]

    def put(self, id_: int, number: int) -> None:
        way = self.way(id_)
        same = [
            (line, self.lines[line].index(pair)) for line in way for pair in self.lines[line] if pair and pair[0] == id_
        ]
        free = [(line, self.lines[line].index(None)) for line in way if None in self.lines[line]]
        line, place = (same or free)[0]
        self.lines[line][place] = (id_, number)
        for before in [] if same else way[: way.index(line)]:
            self.passed[before] += 1

    def remove(self, id_: int) -> None:
        for steps, line in enumerate(self.way(id_)):
            for place, pair in enumerate(self.lines[line]):
                if pair is not None and pair[0] == id_:
                    self.lines[line][place] = None
                    for before in self.way(id_)[:steps]:
                        self.passed[before] -= 1

    def arrays(self) -> tuple[I64, U32]:
        """Return ids int64 [lines, 5], and numbers + 1 and passed uint32 [lines, 6], as the kernels hold them."""
        ids = [[pair[0] if pair else 0 for pair in line] for line in self.lines]
        words = [
            [pair[1] + 1 if pair else 0 for pair in line] + [passed]
            for line, passed in zip(self.lines, self.passed, strict=True)
        ]
        return np.array(ids, dtype=np.int64), np.array(words, dtype=np.uint32)
