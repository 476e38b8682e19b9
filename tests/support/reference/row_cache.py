"""The row cache in plain Python, line by line: what its kernels are compared with."""

import numpy as np

from esmm_dist.arrays import I64

_LOW_64_BITS = (1 << 64) - 1
PLACES = 4


def spread(id_: int) -> int:
    """Return 40 hashed bits of an id."""
    mixed = id_ & _LOW_64_BITS
    mixed = ((mixed ^ (mixed >> 32)) * 0x9E3779B97F4A7C15) & _LOW_64_BITS
    mixed = ((mixed ^ (mixed >> 32)) * 0xBF58476D1CE4E5B9) & _LOW_64_BITS
    return mixed >> 24


class ReferenceLines:
    """Lines of up to four (id, code) pairs, each a list of places; None: empty."""

    def __init__(self, num_lines: int) -> None:
        self.lines: list[list[tuple[int, int] | None]] = [[None] * PLACES for _ in range(num_lines)]

    def line_of(self, id_: int) -> list[tuple[int, int] | None]:
        whole = 1 << (len(self.lines).bit_length() - 1)
        number = spread(id_) % (2 * whole)
        return self.lines[number if number < len(self.lines) else number - whole]

    def find(self, id_: int) -> int:
        return next((pair[1] for pair in self.line_of(id_) if pair is not None and pair[0] == id_), -1)

    def put(self, id_: int, code: int) -> None:
        line = self.line_of(id_)
        same = [place for place, pair in enumerate(line) if pair is not None and pair[0] == id_]
        empty = [place for place, pair in enumerate(line) if pair is None]
        dropped = (spread(id_) >> 38) % PLACES
        line[same[0] if same else empty[-1] if empty else dropped] = (id_, code)

    def remove(self, id_: int) -> None:
        line = self.line_of(id_)
        line[:] = [None if pair is not None and pair[0] == id_ else pair for pair in line]

    def grow(self, num_lines: int) -> None:
        while len(self.lines) < num_lines:
            self.lines.append([None] * PLACES)
            whole = 1 << ((len(self.lines) - 1).bit_length() - 1)
            if whole * 2 == len(self.lines) - 1:
                whole *= 2
            old, new = self.lines[len(self.lines) - 1 - whole], self.lines[-1]
            for place, pair in enumerate(old):
                if pair is not None and self.line_of(pair[0]) is new:
                    new[place], old[place] = pair, None

    def array(self) -> I64:
        """Return the lines as the kernels hold them: int64 [lines, 8]."""
        rows = [
            [pair[0] if pair else 0 for pair in line] + [pair[1] + 1 if pair else 0 for pair in line]
            for line in self.lines
        ]
        return np.array(rows, dtype=np.int64)
