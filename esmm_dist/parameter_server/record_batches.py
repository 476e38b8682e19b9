"""The record batches of pulls and pushes (Arrow), with the checks of what comes in.

A pull sends ids and gets rows; a push sends ids, gradients and, where admission counts, impressions::

    ids          int64 [U], strictly ascending, no nulls
    values       fixed_size_list<float>[D]      float32
                 fixed_size_list<halffloat>[D]  float16
                 fixed_size_list<uint16>[D]     bfloat16: the upper 16 bits of a float32
    counts       int64 [U]

Nothing in a batch is ever unpickled or evaluated. What it claims of itself is compared with its bytes (``check_whole``)
before any of it is used, by servers and by clients.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import ml_dtypes
import numpy as np
import pyarrow as pa
import pyarrow.flight as flight

from esmm_dist.arrays import F32, Ids
from esmm_dist.errors import NumericalError
from esmm_dist.parameter_server.config import Wire
from esmm_dist.parameter_server.refusals import RequestError

ROWS_A_MESSAGE = 262_144
"""A pull or push is sent in pieces of so many rows, 19 MB at D = 16; most are one piece, used where it lies."""

_ARROW_TYPES: dict[Wire, pa.DataType] = {"float32": pa.float32(), "float16": pa.float16(), "bfloat16": pa.uint16()}


def ids_schema() -> pa.Schema:
    """Return the schema of a pull's batch."""
    return pa.schema([pa.field("id", pa.int64(), nullable=False)])


def values_schema(wire: Wire, embedding_dim: int) -> pa.Schema:
    """Return the schema of the batch that answers a pull."""
    return pa.schema([_values_field("row", wire, embedding_dim)])


def push_schema(wire: Wire, embedding_dim: int, *, with_counts: bool) -> pa.Schema:
    """Return the schema of a push's batch."""
    fields = [pa.field("id", pa.int64(), nullable=False), _values_field("gradient", wire, embedding_dim)]
    if with_counts:
        fields.append(pa.field("count", pa.int64(), nullable=False))
    return pa.schema(fields)


def check_schema(found: pa.Schema, expected: pa.Schema, *, table: str) -> None:
    """Compare the schema of what comes in with the one that the table needs.

    Raises:
        RequestError: They differ; the message names the table, the column, both types and what to do.
    """
    if found.names != expected.names:
        raise RequestError(
            f"table '{table}': the request has columns {found.names}, expected {expected.names}. Use a client of this "
            "version, with the run's settings."
        )
    for name in expected.names:
        if found.field(name).type != expected.field(name).type:
            raise RequestError(
                f"table '{table}': column '{name}' is {found.field(name).type}, expected {expected.field(name).type}. "
                "Set --embedding-dim and --wire as the run was opened with."
            )


@contextmanager
def decoding(table: str) -> Iterator[None]:
    """Around the reading of batches: what Arrow raises on bytes that are none of its messages is one error.

    Raises:
        RequestError: The bytes are not what the protocol says.
    """
    try:
        yield
    except (flight.FlightError, RequestError):
        raise
    except (pa.ArrowException, OSError, ValueError) as e:  # ValueError: a column's name is not UTF-8
        raise RequestError(f"table '{table}': the bytes cannot be read as record batches: {e}") from e


def check_whole(batch: pa.RecordBatch, *, table: str) -> None:
    """Compare what a batch that came in says of itself with the bytes that came: Arrow's readers believe its lengths.

    Without it, one that claims more rows than it holds is read beyond its end. It costs microseconds: columns of fixed
    width are compared by their lengths.

    Raises:
        RequestError: The batch claims what it does not hold.
    """
    try:
        batch.validate(full=True)
    except pa.ArrowException as e:
        raise RequestError(f"table '{table}': the batch claims what it does not hold: {e}") from e


def encode_ids(ids: Ids) -> pa.RecordBatch:
    """Return a pull's batch; copies nothing."""
    return pa.record_batch([pa.array(ids)], schema=ids_schema())


def encode_values(values: F32, wire: Wire) -> pa.RecordBatch:
    """Return the batch that answers a pull with rows float32 [U, D].

    Raises:
        NumericalError: A value is not finite, or too large for ``wire``.
    """
    return pa.record_batch([_to_arrow(values, wire)], schema=values_schema(wire, values.shape[1]))


def encode_push(ids: Ids, gradients: F32, counts: Ids | None, wire: Wire) -> pa.RecordBatch:
    """Return a push's batch.

    Raises:
        NumericalError: As ``encode_values``.
    """
    columns = [pa.array(ids), _to_arrow(gradients, wire)]
    if counts is not None:
        columns.append(pa.array(counts))
    schema = push_schema(wire, gradients.shape[1], with_counts=counts is not None)
    return pa.record_batch(columns, schema=schema)


def decode_ids(column: pa.Array, *, table: str) -> Ids:
    """Return int64 [U] of a column without nulls.

    Raises:
        RequestError: It has nulls.
    """
    if column.null_count:
        raise RequestError(f"table '{table}': the request has {column.null_count} nulls. Send integers only.")
    return np.asarray(column.to_numpy())


def decode_values(column: pa.Array, wire: Wire, *, table: str) -> F32:
    """Return float32 [U, D] of a column of ``values_schema`` or ``push_schema``.

    Raises:
        RequestError: It has nulls.
    """
    values = column.flatten()  # honours the offset of a slice, and leaves out null lists
    dim = column.type.list_size
    if column.null_count or values.null_count:
        raise RequestError(f"table '{table}': the request has nulls among its values. Send numbers only.")
    raw = values.to_numpy(zero_copy_only=True)
    if wire == "bfloat16":
        raw = raw.view(ml_dtypes.bfloat16)
    return np.asarray(raw, dtype=np.float32).reshape(len(column), dim)


def _values_field(name: str, wire: Wire, embedding_dim: int) -> pa.Field:
    item = pa.field("item", _ARROW_TYPES[wire], nullable=False)
    return pa.field(name, pa.list_(item, embedding_dim), nullable=False)


def _to_arrow(values: F32, wire: Wire) -> pa.Array:
    flat = np.ascontiguousarray(values).reshape(-1)
    if wire == "float32":
        items = pa.array(flat)
    else:
        with np.errstate(over="ignore"):
            narrow = flat.astype(np.float16 if wire == "float16" else ml_dtypes.bfloat16)
        if not np.isfinite(narrow).all():
            largest = float(np.abs(flat).max())
            raise NumericalError(
                f"A row or gradient has the value {largest:.3g}, which --wire {wire} cannot carry. Set --wire bfloat16 "
                "or float32, or lower the learning rates."
            )
        items = pa.array(narrow if wire == "float16" else narrow.view(np.uint16))
    field = pa.field("item", _ARROW_TYPES[wire], nullable=False)
    return pa.FixedSizeListArray.from_arrays(items, type=pa.list_(field, values.shape[1]))
