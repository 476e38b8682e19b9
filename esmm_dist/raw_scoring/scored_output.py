"""Files of scores and of rejects, which are whole or not there, on a disk or in an object store."""

import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from esmm_dist.arrays import I64
from esmm_dist.errors import InputDataError
from esmm_dist.inference.probabilities import probabilities
from esmm_dist.inference.table_format import table_writer
from esmm_dist.raw_scoring.raw_reader import ReadRows
from esmm_dist.raw_scoring.row_scorer import AnsweredBatch
from esmm_dist.schema.label_tree import LabelTree
from esmm_dist.storage.file_copy import copy_with_tries
from esmm_dist.storage.folder import Folder, StoredFile
from esmm_dist.storage.whole_file import durable_file
from preprocess.read.rejects import Reject, reject_line, reject_place

_ROWS_WRITTEN = 1 << 16
"""Rows that are written together, a row group of Parquet: pages and statistics then cost next to nothing"""


@contextmanager
def whole_output(folder: Folder, name: str) -> Iterator[Path]:
    """Yield a path to write a file to; after the block it is in the folder, whole, and on the disk.

    A block that fails leaves nothing behind. What an object store holds after a copy that was cut off may be the
    beginning of the file: see ``whole_parquet_rows``.
    """
    if folder.is_local:
        with durable_file(folder.local_path / name) as temporary:
            yield temporary
        return
    with tempfile.TemporaryDirectory(prefix="esmm-scores-") as scratch:
        path = Path(scratch) / name
        yield path
        about = StoredFile(size=path.stat().st_size, changed_ns=0)
        copy_with_tries(Folder.open(scratch), name, folder, name, about, lambda amount: None)


def whole_parquet_rows(folder: Folder, name: str) -> int | None:
    """Return the rows of a Parquet file; None if it is not there, or not whole: its footer comes last."""
    with suppress(FileNotFoundError, pa.ArrowInvalid), folder.open_input(name) as stream:
        return int(pq.read_metadata(stream).num_rows)
    return None


class RejectLog:
    """Writes rejected lines and counts them by reason. One thread writes."""

    def __init__(self, folder: Folder, name: str) -> None:
        """Begin without any; the file is made with the first one.

        Args:
            folder: folder of the file
            name: its name
        """
        self._folder, self._name = folder, name
        self._stack = ExitStack()
        self._file: TextIO | None = None
        self.counts: Counter[str] = Counter()
        self.first: dict[str, str] = {}
        """For each reason, the place of the first line."""

    def add(self, rows: ReadRows, rejects: list[Reject]) -> None:
        """Add the rejects of a piece, by their places in its chunk, ascending."""
        if rejects and self._file is None:
            path = self._stack.enter_context(whole_output(self._folder, self._name))
            self._file = self._stack.enter_context(path.open("w", encoding="utf-8"))
        for each in rejects:
            line = rows.chunk.lines_before + each.line + 1
            assert self._file is not None
            self._file.write(reject_line(rows.file.shown_name, line, each))
            self.counts[each.reason] += 1
            self.first.setdefault(each.reason, reject_place(rows.file.shown_name, line, each))

    def __enter__(self) -> "RejectLog":
        """Return self."""
        self._folder.delete_file(self._name)  # of a part that was begun before
        return self

    def __exit__(self, *error: Any) -> None:
        """Put the file in its place, if there is one; after an error, leave none."""
        self._stack.__exit__(*error)


def count_rejects(folder: Folder, name: str) -> Counter[str]:
    """Return the number of lines by reason of a file of rejects; none if it is not there."""
    counts: Counter[str] = Counter()
    with suppress(FileNotFoundError), folder.open_input(name) as stream:
        for line in bytes(stream.read()).splitlines():
            counts[json.loads(line)["reason"]] += 1
    return counts


class ScoreWriter:
    """Writes rows of scores; a few batches together. One thread uses it."""

    def __init__(self, writer: Any, schema: pa.Schema, tree: LabelTree) -> None:
        """Begin.

        Args:
            writer: from ``table_writer``
            schema: columns that are written: the row's name, kept columns, probabilities
            tree: labels of the model
        """
        self._writer, self._schema, self._tree = writer, schema, tree
        self._waiting: list[pa.Table] = []
        self.rows = 0

    def add(self, batch: AnsweredBatch[tuple[ReadRows, pa.Array]]) -> None:
        """Write the rows of a batch in the order of the log.

        Raises:
            InputDataError: A kept column cannot have the type that it has in the first file.
        """
        order: I64 = np.argsort(batch.rows.rows)
        rows, (piece, names) = pa.array(batch.rows.rows[order]), batch.of
        kept = [piece.table.column(name) for name in self._schema.names[1 : -len(self._tree.columns)]]
        columns = [
            names.take(rows),
            *(_as_kept(column.take(rows), self._schema, n) for n, column in enumerate(kept, 1)),
        ]
        columns += [pa.array(column) for column in probabilities(batch.logits[order], self._tree)]
        try:
            self._waiting.append(pa.table(columns, names=self._schema.names).cast(self._schema))
        except pa.ArrowInvalid as e:
            raise InputDataError(
                f"A column of keep has another type in {piece.file.path} than in the first file, and a value that does "
                f"not fit it: {e}. Write the column as one type, or score the files apart."
            ) from e
        self.rows += len(rows)
        if sum(table.num_rows for table in self._waiting) >= _ROWS_WRITTEN:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if self._waiting:
            self._writer.write_table(pa.concat_tables(self._waiting).combine_chunks())
        self._waiting = []


def _as_kept(column: pa.ChunkedArray, schema: pa.Schema, place: int) -> pa.ChunkedArray | pa.Array:
    """Return a kept column; lists of JSON lines, beside which other rows may hold texts, as JSON."""
    if not (pa.types.is_list(column.type) and pa.types.is_string(schema.field(place).type)):
        return column
    texts = (None if value is None else json.dumps(value, ensure_ascii=False) for value in column.to_pylist())
    return pa.array(texts, pa.string())


@contextmanager
def score_file(folder: Folder, name: str, schema: pa.Schema, tree: LabelTree) -> Iterator[ScoreWriter]:
    """Write a file of scores, which is there if the ``with`` block ends well.

    Args:
        folder: folder of the file
        name: its name, which decides the format
        schema: columns that are written
        tree: labels of the model
    """
    with whole_output(folder, name) as path, table_writer(path, schema, named=Path(name)) as opened:
        writer = ScoreWriter(opened, schema, tree)
        yield writer
        writer.flush()
