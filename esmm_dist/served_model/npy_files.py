"""Files of NumPy's format, written row by row with their checksum, and mapped from disk."""

import io
import os
from collections.abc import Sequence
from pathlib import Path

import google_crc32c
import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

from esmm_dist.arrays import Array
from esmm_dist.errors import ServedModelError
from esmm_dist.schema.checksum import file_crc32c, joined_crc32c
from esmm_dist.served_model.manifest import ServedFile

REPAIR = "Copy the version again from where it was exported, or export it again."
"""What to do about a damaged file of a served model."""


class NpyOutput:
    """A ``.npy`` file that grows by rows; its header, which says how many there are, is written last.

    NumPy's headers have room for more rows (since 1.24), so that its length does not change.
    """

    def __init__(self, served: Path, path: str, dtype: npt.DTypeLike, columns: Sequence[int] = ()) -> None:
        """Begin a file without rows.

        Args:
            served: folder ``served`` of the version
            path: file's path in it
            dtype: type of the elements
            columns: shape of a row
        """
        self._place, self._path, self._dtype, self._columns = served / path, path, np.dtype(dtype), tuple(columns)
        header = self._header(0)
        self._place.write_bytes(header)
        self._header_bytes = len(header)
        self.rows = 0
        """Rows written."""
        self._crc32c, self._data_bytes = 0, 0

    def append(self, rows: Array) -> None:
        """Write rows behind the others."""
        assert rows.dtype == self._dtype
        assert rows.shape[1:] == self._columns
        data = np.ascontiguousarray(rows).reshape(-1).view(np.uint8)
        with self._place.open("ab") as file:  # not held open: there may be no end
            file.write(data.data)
        self._crc32c = int(google_crc32c.extend(self._crc32c, data))
        self._data_bytes += rows.nbytes
        self.rows += len(rows)

    def close(self) -> ServedFile:
        """Write the header; the file is on the disk on return."""
        header = self._header(self.rows)
        assert len(header) == self._header_bytes
        with self._place.open("r+b") as file:
            file.write(header)
            file.flush()
            os.fsync(file.fileno())
        crc32c = joined_crc32c(google_crc32c.value(header), self._crc32c, self._data_bytes)
        return ServedFile(path=self._path, file_bytes=len(header) + self._data_bytes, crc32c=crc32c)

    def _header(self, rows: int) -> bytes:
        written = io.BytesIO()
        described = {"descr": self._dtype.str, "fortran_order": False, "shape": (rows, *self._columns)}
        npy.write_array_header_1_0(written, described)  # type: ignore[no-untyped-call]
        return written.getvalue()


def write_npy(served: Path, path: str, array: Array) -> ServedFile:
    """Write a file whole; it is on the disk on return."""
    output = NpyOutput(served, path, array.dtype, array.shape[1:])
    output.append(array)
    return output.close()


def check_file(served: Path, file: ServedFile, *, whole: bool) -> None:
    """Compare a file with its description.

    Args:
        served: folder ``served`` of the version
        file: its description
        whole: whether to read it and compare its checksum, about 2 GB/s; else only its size is

    Raises:
        ServedModelError: It is missing or another; the message names it.
    """
    path = served / file.path
    try:
        size = path.stat().st_size
        if size != file.file_bytes:
            raise ServedModelError(f"{path} has {size:,} bytes, the manifest says {file.file_bytes:,}. {REPAIR}")
        if whole and file_crc32c(path) != file.crc32c:
            raise ServedModelError(f"{path} has another checksum than the manifest: its bytes changed. {REPAIR}")
    except FileNotFoundError as e:
        raise ServedModelError(f"{path} is missing. {REPAIR}") from e
    except OSError as e:
        raise ServedModelError(f"{path} cannot be read: {e.strerror}. Check its permissions and the disk.") from e


def mapped(served: Path, file: ServedFile, dtype: npt.DTypeLike, shape: tuple[int, ...]) -> Array:
    """Map a checked file from disk, to be read only.

    Raises:
        ServedModelError: It holds no such array.
    """
    path = served / file.path
    try:
        array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as e:
        raise ServedModelError(f"{path} cannot be mapped: {e}. {REPAIR}") from e
    if array.dtype != np.dtype(dtype) or array.shape != shape or not array.flags.c_contiguous:
        raise ServedModelError(
            f"{path} holds {array.dtype} {list(array.shape)}, expected {np.dtype(dtype)} {list(shape)}. {REPAIR}"
        )
    return np.asarray(array)
