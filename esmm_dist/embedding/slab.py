"""Growing arrays whose growth copies nothing."""

import mmap
import os

import numpy as np
import numpy.typing as npt

from esmm_dist.arrays import I64, Array
from esmm_dist.errors import StackError

_MAP_NORESERVE = 0x4000  # Linux; the mmap module names it from Python 3.13 on


class Slab:
    """A float32 or int array ``[capacity, columns]`` in one reserved range of virtual memory.

    The range is reserved for as many rows as the machine's memory could hold; a page costs memory when it is first
    written. So growth moves nothing, and views stay valid for the life of the slab. Huge pages halve the time of random
    writes (measured at 4.5 M rows: 13 ms -> 6 ms for 90,000 rows of 128 bytes).

    Not thread-safe: the owner serialises writes.
    """

    def __init__(self, *, columns: int, dtype: npt.DTypeLike, max_rows: int | None = None) -> None:
        """Reserve the range.

        Args:
            columns: values in a row, 1 or more
            dtype: dtype of the values
            max_rows: rows to reserve for; None: as many as the machine's memory would hold

        Raises:
            ValueError: There are no columns.
            StackError: The system refuses the reservation (a limit on virtual memory, ``ulimit -v``).
        """
        self._dtype = np.dtype(dtype)
        self.row_bytes = row_bytes = self._dtype.itemsize * columns
        memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        self.max_rows = max_rows or memory_bytes // max(row_bytes, 8)
        if row_bytes == 0:
            raise ValueError("a slab needs at least one column")
        size = self.max_rows * row_bytes
        try:
            self._memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE)
        except OSError as e:
            raise StackError(
                f"Cannot reserve {size / 2**30:.1f} GiB of address space for an embedding table ({e.strerror}). "
                "Only pages in use take memory; raise the limit of `ulimit -v`."
            ) from e
        if hasattr(mmap, "MADV_HUGEPAGE"):
            self._memory.madvise(mmap.MADV_HUGEPAGE)
        self.rows: Array = np.frombuffer(self._memory, dtype=self._dtype).reshape(self.max_rows, columns)
        self._records = self.rows.view(f"V{row_bytes}").reshape(-1)

    def put(self, numbers: I64, block: Array) -> None:
        """Write rows.

        NumPy writes a row as one opaque record in 9 ms where it takes 25 ms value by value (165,000 rows of 136 bytes
        in 4.5 M).

        Args:
            numbers: row numbers int64 [n], each at most once
            block: the rows [n, columns], contiguous
        """
        self._records[numbers] = block.view(self._records.dtype).reshape(-1)

    def give_back(self, first_row: int) -> None:
        """Give the memory of all rows from ``first_row`` on back to the system; they read as zeros."""
        page = mmap.PAGESIZE
        start = -(-first_row * self.row_bytes // page) * page
        if start < len(self._memory):
            self._memory.madvise(mmap.MADV_DONTNEED, start, len(self._memory) - start)
        self.rows[first_row : -(-start // self.row_bytes)] = 0
