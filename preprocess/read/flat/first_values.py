"""Find out from the first rows of a log what the schema does not say, and what it says and the log has not."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from esmm_dist.errors import SchemaError
from esmm_dist.schema.fields import Schema
from esmm_dist.storage.arrow_path import arrow_path
from preprocess.read.chunks import read_chunk, split_lines
from preprocess.read.flat.columns import sample_number
from preprocess.read.flat.header import check_columns, check_types, checked_header, columns_read, text_form
from preprocess.read.flat.local_time import read_times
from preprocess.read.flat.row_texts import value_shown
from preprocess.read.flat.text import read_rows
from preprocess.read.flat.value_texts import written_texts
from preprocess.read.input_texts import first_line, reading, stream_texts
from preprocess.read.inputs import InputFile

HEAD_ROWS = 1000
"""Rows of the first file that decide: a few damaged ids do not."""

_HEAD_BYTES = 1 << 18


def with_sample_id_form(schema: Schema, files: Sequence[InputFile]) -> Schema:
    """Return the schema with ``source.sample_id_form`` 'text' where it is None and the log's ids are texts.

    They are texts if most ids of the first rows of the first file are no whole numbers; else None stands for numbers.

    Raises:
        EsmmError: The first file cannot be read, or has no such column.
    """
    source = schema.flat_source
    if source is None or source.sample_id is None or source.sample_id_form is not None:
        return schema
    values = _first_values(schema, files[0], source.sample_id)
    texts = [text for text in written_texts(values)[0].to_pylist() if text]
    numbers = sum(sample_number(text) >= 0 for text in texts)
    if 2 * numbers >= len(texts):
        return schema
    form: Literal["text"] = "text"
    own = schema.events_source
    return replace(schema, source=replace(source if own is None else own, sample_id_form=form))


def check_hours(schema: Schema, files: Sequence[InputFile]) -> None:
    """Check that the times of a log have an hour where a field of the schema is the hour.

    Raises:
        SchemaError: All times of the first rows are whole days.
        EsmmError: The first file cannot be read, or has no such column.
    """
    source = schema.flat_source
    hours = [field.name for field in schema.fields if field.of_time == "hour"]
    if source is None or source.time is None or not hours:
        return
    column = _first_values(schema, files[0], source.time)
    times = read_times(column, source)
    if times.is_time.any() and not times.has_hour.any():
        first = value_shown(column, int(np.argmax(times.is_time)))
        raise SchemaError(
            f"Field '{hours[0]}' is the hour of the time (of_time: hour), but source.time reads column "
            f"'{source.time}', which holds whole days such as {first}. Set source.time to a column with the time of "
            "the day, or leave the field out; of_time: weekday needs no hour."
        )


def _first_values(schema: Schema, file: InputFile, column: str) -> pa.Array:
    if file.packing == "parquet":
        with reading(file.path), pq.ParquetFile(arrow_path(file.path)) as opened:
            check_columns(file.path, opened.schema_arrow.names, columns_read(schema))
            check_types(file.path, opened.schema_arrow, schema)
            batch = next(opened.iter_batches(HEAD_ROWS, columns=[column], use_threads=False), None)
        values = pa.nulls(0) if batch is None else batch.column(0)
    else:
        values = _first_rows(schema, file).column(column).combine_chunks()
    return values


def _first_rows(schema: Schema, file: InputFile) -> pa.Table:
    form, read = text_form(schema, file.path), columns_read(schema)
    if file.packing == "plain":
        if form.json is None:  # before a chunk is cut by line ends, which the first line checks
            names = checked_header(file.path, first_line(file.path), form, read)
        with reading(file.path):
            text = read_chunk(file.path, 0, _HEAD_BYTES)
        if form.json is not None:
            names = checked_header(file.path, text, form, read)
    else:
        _, _, text = next(stream_texts([file], _HEAD_BYTES))
        names = checked_header(file.path, text.partition(b"\n")[0] if form.json is None else text, form, read)
    lines = split_lines(text)[form.header_lines :]
    table, _, _ = read_rows(lines[:HEAD_ROWS], form.header_lines, names, form)
    return table
