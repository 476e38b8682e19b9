"""Copy many pieces of bytes, without the interpreter lock."""

import numpy as np

from esmm_dist.arrays import I64, U8
from esmm_dist.kernels.compiled import kernel
from preprocess.work.copy_bytes import copy_bytes

BYTES = 'Array(uint8, 1, "C", readonly=True)'


@kernel(f"void({BYTES}, int64[::1], int64[::1], uint8[::1])", makes_arrays=False)
def gather_pieces(data: U8, begins: I64, sizes: I64, out: U8) -> None:
    """Copy pieces of ``data`` one after the other into ``out``.

    Args:
        data: uint8
        begins: where each piece begins in ``data``, int64 [pieces]
        sizes: bytes of each piece, int64 [pieces]
        out: uint8 [sizes.sum()]
    """
    source, target = np.int64(data.ctypes.data), np.int64(out.ctypes.data)
    for i in range(len(begins)):
        copy_bytes(target, source + begins[i], sizes[i])
        target += sizes[i]


@kernel("void(uint8[::1], int64[::1], int64[::1])", makes_arrays=False)
def add_to_pieces(data: U8, sizes: I64, terms: I64) -> None:
    """Add a number to the int64 values (little-endian, at any address) of each piece.

    Args:
        data: pieces one after the other, uint8 [sizes.sum()]
        sizes: bytes of each piece, int64 [pieces]
        terms: what is added to the values of each piece, 0 or more; pieces of 0 may hold anything: int64 [pieces]
    """
    place = 0
    for i in range(len(sizes)):
        if terms[i]:
            for value in range(place, place + sizes[i], 8):
                carry = 0
                for k in range(8):
                    total = data[value + k] + (terms[i] >> (8 * k) & 255) + carry
                    data[value + k] = total & 255
                    carry = total >> 8
        place += sizes[i]
