"""Keep a server's memory for rows: leave out and give back what it does not need."""

import ctypes
import importlib.abc
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

_MADV_DONTNEED = 4
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_KEPT_BYTES, _LARGE_BYTES = 64 << 20, 32 << 20

_UNNEEDED = ("h5py", "horovod", "pandas", "scipy")


def leave_out_unneeded_packages() -> None:
    """Keep TensorFlow and TFRA from importing packages that they use if they are there: 95 MB resident.

    Call it before the first import of TensorFlow. In a process that has imported them already nothing changes.
    """
    sys.meta_path.insert(0, _Unneeded())


class _Unneeded(importlib.abc.MetaPathFinder):
    """Says that some packages are not there."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname in _UNNEEDED:
            raise ModuleNotFoundError(f"a parameter server does without {fullname}", name=fullname)
        return None


def keep_few_freed_buffers() -> None:
    """Have the allocator keep 64 MB of what was freed, for all threads together, and return the rest to the system.

    Requests and replies come in pieces of 10 to 20 MB on many threads; kept by each thread they would be 200 MB. Where
    all of them go back at once, the system clears their pages anew for each call: half of the time of a pull or push of
    165,000 rows (18 -> 12 ms and 40 -> 25 ms of CPU).
    """
    libc = ctypes.CDLL(None)
    libc.mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
    libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
    libc.mallopt(_M_ARENA_MAX, 1)


def drop_resident_code() -> None:
    """Let go of the pages of library files that the start has touched: 280 MB, of which a server uses a third later.

    Only mappings that are not writable, and of which no page was ever changed, are dropped: the system reads them again
    from the files when they are needed.
    """
    libc = ctypes.CDLL(None)
    libc.malloc_trim(0)
    for start, end in _unchanged_library_mappings():
        libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _MADV_DONTNEED)


def _unchanged_library_mappings() -> Iterator[tuple[int, int]]:
    """Yield the address ranges of library files' mappings that are read-only and hold no page of their own."""
    with open("/proc/self/smaps", encoding="utf-8") as file:
        addresses, is_library = "", False
        for line in file:
            name, _, rest = line.partition(" ")
            if not name.endswith(":"):
                addresses, is_library = name, rest[:4] in ("r-xp", "r--p") and ".so" in rest
            elif name == "Anonymous:" and is_library and rest.split()[0] == "0":
                start, end = (int(address, 16) for address in addresses.split("-"))
                yield start, end
