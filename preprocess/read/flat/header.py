"""Check the columns of each file of a flat log before its rows are read, so that an error names the file."""

import codecs
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from esmm_dist.errors import InputDataError, SchemaError
from esmm_dist.near_names import nearest_hint
from esmm_dist.schema.fields import Schema
from preprocess.read.file_forms import is_json_lines
from preprocess.read.flat.column_types import is_readable, is_value
from preprocess.read.flat.text import JsonForm, TextForm, read_header
from preprocess.read.json_lines import JsonList, check_json_head

_SHOWN_COLUMNS = 30


def columns_read(schema: Schema) -> dict[str, str]:
    """Return the columns that a schema reads, and what for."""
    source = schema.flat_source
    assert source is not None  # only flat logs have columns
    columns = {field.name: f"Field '{field.name}'" for field in schema.fields if field.is_column}
    if schema.events_source is None:  # the labels of an event log are not in its impressions
        columns |= {column: f"Label '{label}'" for label, column in source.labels.items()}
    if source.sample_id is not None:
        columns[source.sample_id] = "source.sample_id"
    if source.weight is not None:
        columns[source.weight] = "source.weight"
    for column in source.keep:
        columns.setdefault(column, "source.keep")
    if source.split is not None:
        columns.setdefault(source.split.column, "source.split")
    if source.time is not None:
        columns.setdefault(source.time, "source.time")
    return columns


def text_form(schema: Schema, path: Path, read: Mapping[str, str] | None = None) -> TextForm:
    """Return how a text file writes the columns that are read; None: all that the schema reads."""
    source = schema.flat_source
    assert source is not None  # only flat logs have columns
    if not is_json_lines(path):
        return TextForm.of(source, path)
    read, lists = columns_read(schema) if read is None else read, _list_columns(schema)
    forms = {
        field.name: JsonList(
            separator=source.list_separator if field.multi_hot else None,
            weight_separator=source.weight_separator if field.weighted else None,
        )
        for field in schema.fields
        if field.name in lists and field.name in read
    }
    values = tuple(column for column in read if column not in forms)
    return TextForm.of(source, path, JsonForm(values=values, lists=forms))


def _list_columns(schema: Schema) -> set[str]:
    """Return the columns that may hold lists and pairs: of fields alone."""
    source = schema.flat_source
    assert source is not None  # only flat logs have columns
    by = {source.split.column, *source.keep} if source.split is not None else set(source.keep)
    by |= {source.time} if source.time is not None else set()
    return {field.name for field in schema.fields if field.numeric is None and field.is_column} - by


def columns_scored(schema: Schema) -> dict[str, str]:
    """Return the columns that the fields of a schema read, and what for: all that a row needs to be scored."""
    columns = {field.name: f"Field '{field.name}'" for field in schema.fields if field.is_column}
    source = schema.flat_source
    if source is not None and source.time is not None and any(field.of_time for field in schema.fields):
        columns.setdefault(source.time, "source.time")
    return columns


def check_columns(path: Path | str, names: Sequence[str], read: Mapping[str, str]) -> None:
    """Check that a file has each column that is read, once.

    Args:
        path: path of the file, or words that stand for a table
        names: names of its columns
        read: columns to read, and what for

    Raises:
        SchemaError: A column is missing, or is there twice.
    """
    for column, what in read.items():
        places = [place for place, name in enumerate(names, 1) if name == column]
        if not places:
            shown = f"{', '.join(names[:_SHOWN_COLUMNS])}" + (", ..." if len(names) > _SHOWN_COLUMNS else "")
            near = _other_delimiter(names) or nearest_hint(column, names).partition(" Known:")[0]
            raise SchemaError(
                f"{what} reads column '{column}', which is missing from {path}.{near} Its columns ({len(names)}): "
                f"{shown}. Correct the schema, or write the file with this column."
            )
        if len(places) > 1:
            raise SchemaError(
                f"{what} reads column '{column}', which {path} has {len(places)} times (columns "
                f"{', '.join(map(str, places))}). Give each column of the file a name of its own."
            )


def check_types(path: Path | str, types: pa.Schema, schema: Schema, read: Mapping[str, str] | None = None) -> None:
    """Check that the columns of a Parquet file that a schema reads have types that it can read.

    Args:
        path: path of the file, or words that stand for a table
        types: its columns
        schema: schema of the log
        read: columns to read, and what for; None: all that the schema reads

    Raises:
        SchemaError: A column has not; the message names it with its type.
    """
    fields = _list_columns(schema)
    for column, what in (columns_read(schema) if read is None else read).items():
        data_type = types.field(column).type
        if not (is_readable(data_type) if column in fields else is_value(data_type)):
            may_be = "a value, a list of values, or pairs of id and weight" if column in fields else "one value a row"
            raise SchemaError(
                f"{what} reads column '{column}' of {path}, which is {data_type}. It may be {may_be}, where a value is "
                "a text, a number, a bool, a date or a time. Write the column as one of these."
            )


def _other_delimiter(names: Sequence[str]) -> str:
    """Say which delimiter a file seems to have whose header was read as one column."""
    found = [delimiter for delimiter in "\t;|," if len(names) == 1 and delimiter in names[0]]
    shown = "tab" if found[:1] == ["\t"] else found[0] if found else ""
    return f" Its columns seem to be separated by '{shown}': set source.delimiter to it." if shown else ""


def checked_header(path: Path, line: bytes, form: TextForm, read: Mapping[str, str]) -> list[str]:
    """Return the columns of a text file, after all the checks of this module.

    Args:
        path: path of the file
        line: first line of the file, as ``check_header_line`` takes it; of JSON lines the first ones
        form: form of the text
        read: columns to read, and what for

    Raises:
        InputDataError: The line cannot be read.
        SchemaError: A column is missing, or is there twice.
    """
    if form.json is not None:
        check_json_head(path, line, read)
        return read_header(line, form)
    check_header_line(path, line)
    try:
        names = read_header(line, form)
    except InputDataError as e:
        raise InputDataError(f"{path}: {e}") from e
    check_columns(path, names, read)
    return names


def check_header_line(path: Path, line: bytes) -> None:
    r"""Check that a CSV file has a first line, and that its lines end as they should.

    Args:
        path: path of the file; ``.gz`` if it is compressed
        line: beginning of the file, up to the first ``\n`` or as far as it was read

    Raises:
        InputDataError: It is empty, or its lines end in ``\r`` alone.
    """
    if line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        there, utf8 = shlex.quote(str(path)), shlex.quote(str(path.with_name(f"utf8-{path.name}")))
        convert = "iconv -f UTF-16 -t UTF-8"
        command = f"zcat {there} | {convert} | gzip > {utf8}" if path.suffix == ".gz" else f"{convert} {there} > {utf8}"
        raise InputDataError(
            f"{path} is UTF-16 text, as Excel writes 'Unicode text'. Convert it and move the old file away: {command}"
        )
    text = line.removeprefix(codecs.BOM_UTF8).rstrip(b"\r\n")
    if not text:
        raise InputDataError(
            f"{path} has no header line (it is empty, or begins with an empty line). Write it again with the names of "
            "its columns in the first line, or move it away to go without it."
        )
    if b"\r" in text:
        there = shlex.quote(str(path))
        lf = shlex.quote(str(path.with_name(f"lf-{path.name}")))
        command = (
            f"zcat {there} | tr '\\r' '\\n' | gzip > {lf}"
            if path.suffix == ".gz"
            else f"tr '\\r' '\\n' < {there} > {lf}"
        )
        raise InputDataError(
            f"{path}: the lines end in CR alone, as Excel writes 'CSV (Macintosh)'; they must end in LF or CR LF. "
            f"Convert it and move the old file away: {command}"
        )
