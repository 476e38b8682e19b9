"""The rows of a table in parts, each a range of buckets: what a served model is written from, in bounded memory."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from esmm_dist.arrays import F32, Bools, Ids
from esmm_dist.embedding.placement import NUM_BUCKETS, bucket_of
from esmm_dist.embedding.table_files import TableFile, read_rows
from esmm_dist.embedding.table_rows import TableRows
from esmm_dist.errors import CheckpointError, CheckpointMismatchError
from esmm_dist.served_model.layers import in_bucket_order
from esmm_dist.storage.folder import Folder


@dataclass(frozen=True, kw_only=True)
class RowsPart:
    """All rows that a table has in a range of buckets."""

    first_bucket: int
    last_bucket: int
    """The range is ``[first_bucket, last_bucket)``."""
    ids: Ids
    """int64 [n], each once, in any order"""
    rows: F32
    """float32 [n, D]"""


def checkpoint_parts(
    folder: Folder,
    files: Sequence[TableFile],
    table: str,
    embedding_dim: int,
    keep: Callable[[TableRows], Bools] | None = None,
) -> Iterator[RowsPart]:
    """Yield the rows of a checkpoint's table file by file, whichever servers wrote them, in the order of buckets.

    Args:
        folder: folder of the checkpoint
        files: its files of rows; those of other tables are not opened
        table: name of the table
        embedding_dim: D
        keep: returns which rows of a file are wanted, bool [n]; None: all

    Raises:
        CheckpointError: A file is missing or damaged.
        CheckpointMismatchError: Rows have another dimension.
        StorageError: The storage refuses.
    """
    chosen = [file for file in files if file.table == table and file.kind == "rows"]
    for file in sorted(chosen, key=lambda file: (file.first_bucket, file.last_bucket)):
        found = read_rows(folder, file)
        if len(found.ids) and found.rows.shape[1] != embedding_dim:
            raise CheckpointMismatchError(
                f"{folder}/{file.path} has rows of {found.rows.shape[1]} columns, but its settings say embedding_dim "
                f"{embedding_dim}. Use another checkpoint."
            )
        if keep is not None:
            found = found.chosen(keep(found))
        rows = found.rows.reshape(len(found.ids), embedding_dim)
        yield RowsPart(first_bucket=file.first_bucket, last_bucket=file.last_bucket, ids=found.ids, rows=rows)


def ordered_parts(parts: Iterable[RowsPart], *, where: str) -> Iterator[RowsPart]:
    """Yield parts that cover all buckets, empty ones where none was given, each with its rows by (bucket, id).

    Args:
        parts: ascending by bucket
        where: beginning of error messages

    Raises:
        CheckpointError: Two parts have a bucket in common, an id is there twice, or lies in another bucket.
    """
    end, dim = 0, 0
    for part in parts:
        buckets = f"buckets {part.first_bucket} to {part.last_bucket}"
        if not end <= part.first_bucket <= part.last_bucket <= NUM_BUCKETS:
            raise CheckpointError(f"{where}: {buckets} come after bucket {end}. Use another checkpoint.")
        dim = part.rows.shape[1]
        if part.first_bucket > end:
            yield _without_rows(end, part.first_bucket, dim)
        order = in_bucket_order(part.ids)
        ids = part.ids[order]
        if (ids[1:] == ids[:-1]).any():
            again = ids[1:][ids[1:] == ids[:-1]][0]
            raise CheckpointError(f"{where}: {buckets} have two rows of id {again}. Use another checkpoint.")
        outer = bucket_of(ids[[0, -1]]) if len(ids) else np.empty(0, dtype=np.int64)  # they ascend
        elsewhere = outer[(outer < part.first_bucket) | (outer >= part.last_bucket)]
        if len(elsewhere):
            raise CheckpointError(f"{where}: {buckets} hold an id of bucket {elsewhere[0]}. Use another checkpoint.")
        yield RowsPart(first_bucket=part.first_bucket, last_bucket=part.last_bucket, ids=ids, rows=part.rows[order])
        end = part.last_bucket
    if end < NUM_BUCKETS:
        yield _without_rows(end, NUM_BUCKETS, dim)


def _without_rows(first_bucket: int, last_bucket: int, dim: int) -> RowsPart:
    return RowsPart(
        first_bucket=first_bucket,
        last_bucket=last_bucket,
        ids=np.empty(0, dtype=np.int64),
        rows=np.empty((0, dim), dtype=np.float32),
    )
