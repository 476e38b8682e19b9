"""Read the rows of a pull or push as it comes in, and check them before any of them is used."""

import numpy as np
import pyarrow as pa
import pyarrow.flight as flight

from esmm_dist.arrays import F32, I64, Ids
from esmm_dist.kernels.finite import are_finite
from esmm_dist.parameter_server import record_batches
from esmm_dist.parameter_server.headers import PullHeader, PushHeader
from esmm_dist.parameter_server.refusals import RequestError
from esmm_dist.parameter_server.stats import Timer


def read_pull(
    reader: flight.MetadataRecordBatchReader, header: PullHeader, *, max_rows: int, timer: Timer
) -> tuple[Ids, Ids]:
    """Return the ids of a pull, wanted and known, int64 each; ``timer`` leaves out the wait for them.

    Raises:
        RequestError: They are more than ``max_rows``, others than the header says, or no integers.
    """
    if header.known < 0:
        raise RequestError(f"table '{header.table}': a pull of {header.known} known rows; 0 is the least")
    with timer.waiting():
        all_rows = header.rows + header.known
        batches = _read(reader, header.table, all_rows, record_batches.ids_schema(), max_rows=max_rows)
    ids = _column(batches, 0, header.table)
    return ids[: header.rows], ids[header.rows :]


def read_push(
    reader: flight.MetadataRecordBatchReader,
    header: PushHeader,
    *,
    embedding_dim: int,
    with_counts: bool,
    max_rows: int,
    timer: Timer,
) -> tuple[Ids, F32, I64 | None]:
    """Return what a push brings: ids int64 [U], gradients float32 [U, D], counts int64 [U] where admission counts.

    Raises:
        RequestError: As ``read_pull``; a gradient is not finite; a count, the step or the impressions are below 1.
    """
    table = header.table
    if header.impressions < 1 or header.step < 1:
        raise RequestError(f"a push of step {header.step} over {header.impressions} impressions; 1 is the least")
    schema = record_batches.push_schema(header.wire, embedding_dim, with_counts=with_counts)
    with timer.waiting():
        batches = _read(reader, table, header.rows, schema, max_rows=max_rows)
    parts = [record_batches.decode_values(batch.column(1), header.wire, table=table) for batch in batches]
    # One message, as is usual, is used where it lies
    gradients = parts[0] if len(parts) == 1 else np.concatenate([np.empty((0, embedding_dim), np.float32), *parts])
    if not are_finite(gradients):
        raise RequestError(f"table '{table}': a gradient of step {header.step} is not finite")
    counts = _column(batches, 2, table) if with_counts else None
    if counts is not None and (counts < 1).any():
        raise RequestError(f"table '{table}': an id was held by {counts.min()} impressions")
    return _column(batches, 0, table), gradients, counts


def _read(
    reader: flight.MetadataRecordBatchReader, table: str, rows: int, expected: pa.Schema, *, max_rows: int
) -> list[pa.RecordBatch]:
    """Read the batches of a request, and no more rows than its header says."""
    if not 0 <= rows <= max_rows:
        raise RequestError(
            f"table '{table}': a request of {rows:,} rows; --max-request-rows is {max_rows:,}. "
            "Raise it on the servers, or lower --global-batch-records"
        )
    batches, found = [], 0
    with record_batches.decoding(table):
        record_batches.check_schema(reader.schema, expected, table=table)
        for chunk in reader:
            if chunk.data is None:
                continue
            record_batches.check_whole(chunk.data, table=table)
            found += chunk.data.num_rows
            if found > rows:
                break
            batches.append(chunk.data)
    if found != rows:
        raise RequestError(f"table '{table}': the header says {rows} rows, the request has {found} or more")
    return batches


def _column(batches: list[pa.RecordBatch], column: int, table: str) -> I64:
    parts = [record_batches.decode_ids(batch.column(column), table=table) for batch in batches]
    return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, np.int64), *parts])
