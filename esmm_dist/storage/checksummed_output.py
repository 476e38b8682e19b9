"""A file that is written piece by piece, with its size and CRC-32C."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import google_crc32c
import pyarrow as pa

from esmm_dist.storage.folder import Folder


class ChecksummedOutput:
    """Counts and checksums what is written to a stream; a file of Python's kind, whose owner closes the stream."""

    closed = False

    def __init__(self, stream: pa.NativeFile) -> None:
        """Begin with nothing written."""
        self._stream = stream
        self.size = 0
        """Bytes written."""
        self.crc32c = 0
        """CRC-32C of all bytes written."""

    def write(self, data: Any) -> int:
        """Write a piece, bytes or an Arrow buffer, without a copy of it; return its bytes."""
        self._stream.write(data)
        self.crc32c = int(google_crc32c.extend(self.crc32c, data))
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        """Do nothing: the stream is flushed when it is closed."""

    def close(self) -> None:
        """Do nothing: the stream is its owner's."""


@contextmanager
def checksummed_output(folder: Folder, name: str) -> Iterator[ChecksummedOutput]:
    """Write a file for the ``with`` block; see ``Folder.open_output``.

    Raises:
        StorageError: The disk or the store refuses.
    """
    with folder.open_output(name) as stream:
        yield ChecksummedOutput(stream)
