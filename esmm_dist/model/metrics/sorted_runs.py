"""Sort more rows than the memory should hold: sorted runs in a temporary file, merged block by block.

Rows are columns, arrays of the same length. The first columns are keys, in the order of their weight: rows are ordered
by the first, among equals by the second. The order of rows with equal keys is not defined.
"""

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from esmm_dist.arrays import I64, Array
from esmm_dist.errors import StorageError
from esmm_dist.process.system_refusal import remedy
from esmm_dist.ranks.world import World

Columns = tuple[Array, ...]


class Run(Protocol):
    """Rows in the order of their keys, read from the first to the last."""

    def __len__(self) -> int:
        """Return the number of rows."""

    def rows(self, first: int, end: int) -> Columns:
        """Return rows ``first .. end``; ``end`` may be beyond the last one."""


@dataclass(frozen=True)
class MemoryRun:
    """A run in memory."""

    columns: Columns

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.columns[0])

    def rows(self, first: int, end: int) -> Columns:
        """Return rows; not a copy."""
        return tuple(column[first:end] for column in self.columns)


class SpillFile:
    """A temporary file for runs, without a name: it goes with the process, however that ends.

    It is made where the environment says (``TMPDIR``, else /tmp), when the first run is written.
    """

    def __init__(self) -> None:
        """Make nothing yet."""
        self._file: Any = None
        self.bytes = 0
        """Bytes that have been written."""

    def write(self, columns: Columns) -> "FileRun":
        """Write a run.

        Raises:
            StorageError: The folder of temporary files refuses; the message names it.
        """
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 (closed by close)
            begins = []
            for column in columns:
                begins.append(self.bytes)
                data = np.ascontiguousarray(column).view(np.uint8).data
                while len(data):
                    written = os.pwrite(self._file.fileno(), data, self.bytes)
                    self.bytes += written
                    data = data[written:]
        except OSError as e:
            raise StorageError(
                f"{tempfile.gettempdir()}: the scores of an evaluation cannot be written ({os.strerror(e.errno or 0)}; "
                f"{self.bytes:,} bytes were). {remedy(e) or 'Check the disk'}: TMPDIR names the folder."
            ) from e
        return FileRun(self, tuple(begins), tuple(column.dtype for column in columns), len(columns[0]))

    def read(self, begin: int, dtype: np.dtype[Any], rows: int) -> Array:
        """Return ``rows`` values that were written from byte ``begin`` on."""
        values = np.empty(rows, dtype)
        data = values.view(np.uint8).data
        while len(data):
            read = os.preadv(self._file.fileno(), [data], begin)
            assert read > 0, "a temporary file has become shorter"
            begin += read
            data = data[read:]
        return values

    def close(self) -> None:
        """Give the disk its space back; a second call is harmless."""
        if self._file is not None:
            self._file.close()
            self._file = None


@dataclass(frozen=True)
class FileRun:
    """A run in a file, its columns one after the other."""

    file: SpillFile
    begins: tuple[int, ...]
    dtypes: tuple[np.dtype[Any], ...]
    length: int

    def __len__(self) -> int:
        """Return the number of rows."""
        return self.length

    def rows(self, first: int, end: int) -> Columns:
        """Read rows."""
        number = min(end, self.length) - first
        return tuple(
            self.file.read(begin + first * dtype.itemsize, dtype, number)
            for begin, dtype in zip(self.begins, self.dtypes, strict=True)
        )


def merged(runs: Sequence[Run], keys: int, *, rows_in_memory: int) -> Iterator[Columns]:
    """Yield the rows of several runs in the order of their keys, in blocks.

    Args:
        runs: the runs
        keys: number of columns that are keys
        rows_in_memory: rows that are held at the most, but no fewer than one a run
    """
    block = max(rows_in_memory // max(len(runs), 1), 1)
    cursors = [_Cursor(run, block) for run in runs if len(run)]
    while cursors:
        limits = [_key_of_last(cursor.held, keys) for cursor in cursors if cursor.has_more]
        limit = min(limits) if limits else None
        yield _in_order([cursor.take(keys, limit) for cursor in cursors], keys)
        cursors = [cursor for cursor in cursors if cursor.fill()]


def merged_over_ranks(
    blocks: Iterator[Columns], dtypes: Sequence[np.dtype[Any]], keys: int, world: World
) -> Iterator[Columns]:
    """Yield the rows of all ranks in the order of their keys, in blocks, the same on each; a collective.

    In each round a rank gives those of its next block that no later row of any rank can come before.

    Args:
        blocks: this rank's rows, in the order of their keys
        dtypes: dtypes of the columns
        keys: number of columns that are keys
        world: the ranks
    """
    if world.size == 1:
        yield from blocks
        return
    held, following = next(blocks, None), next(blocks, None)
    while True:
        own: dict[str, Any] | None = None
        if held is not None:
            own = {"last": _key_of_last(held, keys), "more": following is not None}
        ranks = [each for each in world.gather_values(own) if each is not None]
        if not ranks:
            return
        limits = [tuple(each["last"]) for each in ranks if each["more"]]
        given, held = _split(held, keys, min(limits) if limits else None)
        yield _in_order(_gathered(given, dtypes, world), keys)
        if held is None:
            held, following = following, next(blocks, None)


class _Cursor:
    """The next rows of a run."""

    def __init__(self, run: Run, block: int) -> None:
        self._run, self._block, self._next = run, block, 0
        self._held: Columns | None = None
        self.fill()

    @property
    def held(self) -> Columns:
        """Rows in memory, at least one."""
        assert self._held is not None
        return self._held

    @property
    def has_more(self) -> bool:
        """Whether rows come after those in memory."""
        return self._next < len(self._run)

    def fill(self) -> bool:
        """Read until a block is held; return whether any row is.

        In each round of a merge all runs begin with a full block, so that nearly all rows in memory are yielded: as
        many rounds as the memory is filled, whatever the number of runs.
        """
        held = 0 if self._held is None else len(self._held[0])
        if held < self._block and self.has_more:
            read = self._run.rows(self._next, self._next + self._block - held)
            self._next += len(read[0])
            if self._held is not None:
                read = tuple(np.concatenate(pair) for pair in zip(self._held, read, strict=True))
            self._held = read
        return self._held is not None

    def take(self, keys: int, limit: tuple[Any, ...] | None) -> Columns:
        """Return the held rows up to a key, and hold them no more."""
        taken, self._held = _split(self.held, keys, limit)
        assert taken is not None
        return taken


def sorted_order(columns: Sequence[Array]) -> I64:
    """Return the order of rows by their keys, the columns given: int64 [n]."""
    return np.argsort(columns[0]) if len(columns) == 1 else np.lexsort(columns[::-1])


def _split(held: Columns | None, keys: int, limit: tuple[Any, ...] | None) -> tuple[Columns | None, Columns | None]:
    """Return the rows up to a key (None: all), and those after it, None if there are none."""
    if held is None or limit is None:
        return held, None
    begin, end = 0, len(held[0])
    for column, value in zip(held[:keys], limit, strict=True):
        sides = (np.searchsorted(column[begin:end], value, side=side) for side in ("left", "right"))
        begin, end = (begin + int(place) for place in sides)
    if end == len(held[0]):
        return held, None
    return tuple(column[:end] for column in held), tuple(column[end:] for column in held)


def _key_of_last(columns: Columns, keys: int) -> tuple[Any, ...]:
    return tuple(column[-1].item() for column in columns[:keys])


def _in_order(parts: Sequence[Columns], keys: int) -> Columns:
    """Return the rows of several parts in the order of their keys; each part is in this order."""
    parts = [part for part in parts if len(part[0])]
    if len(parts) == 1:
        return parts[0]
    columns = tuple(np.concatenate(column) for column in zip(*parts, strict=True))
    order = sorted_order(columns[:keys])
    return tuple(column[order] for column in columns)


def _gathered(given: Columns | None, dtypes: Sequence[np.dtype[Any]], world: World) -> list[Columns]:
    """Return the rows that each rank gives. A row travels as the bytes of its columns."""
    row = np.dtype([(str(place), dtype) for place, dtype in enumerate(dtypes)])
    own = np.empty(0 if given is None else len(given[0]), row)
    for place, column in enumerate(given or ()):
        own[str(place)] = column
    lengths = np.cumsum(world.gather_values(len(own)))
    gathered = np.ascontiguousarray(world.gather(own.view(np.uint8).reshape(len(own), row.itemsize)))
    parts = np.split(gathered.reshape(-1).view(row), lengths[:-1])
    return [tuple(np.ascontiguousarray(part[name]) for name in row.names or ()) for part in parts]
