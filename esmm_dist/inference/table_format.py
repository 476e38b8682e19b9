"""The file format of a table of predictions, which follows from the file's name."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from esmm_dist.errors import ConfigError
from esmm_dist.storage.arrow_path import arrow_path

PARQUET_ENDINGS = (".parquet", ".pq")
CSV_ENDINGS = (".csv", ".csv.gz")
_ENDINGS = (*PARQUET_ENDINGS, *CSV_ENDINGS)


def check_format(path: Path, *, setting: str) -> None:
    """Check that a file's name stands for a format that can be written.

    Raises:
        ConfigError: It stands for another one, or none.
    """
    if not is_named_as_table(path):
        raise ConfigError(
            f"{setting} is {path}, whose name has no known ending. Give a name that ends in "
            f"{', '.join(_ENDINGS[:-1])} or {_ENDINGS[-1]}."
        )


def is_named_as_table(path: Path) -> bool:
    """Return whether a file's name stands for a format that can be written."""
    return path.name.endswith(_ENDINGS)


def table_writer(path: Path, schema: pa.Schema, *, named: Path) -> Any:
    """Open a table for writing, as a context manager whose ``write_table`` adds rows.

    A CSV has a header line; numbers are written so that they read back to the same float32.

    Args:
        path: file to write, which may have a temporary name
        schema: schema of the table
        named: final name of the file, which decides its format
    """
    if named.name.endswith(PARQUET_ENDINGS):
        return pq.ParquetWriter(arrow_path(path), schema)
    compression = "gzip" if named.name.endswith(".gz") else None
    return _CsvWriter(pa.output_stream(arrow_path(path), compression=compression), schema)


class _CsvWriter:
    """Writes a CSV file; closes what is below it too."""

    def __init__(self, stream: pa.NativeFile, schema: pa.Schema) -> None:
        self._stream = stream
        self._writer = pacsv.CSVWriter(stream, schema)

    def write_table(self, table: pa.Table) -> None:
        """Add rows."""
        self._writer.write_table(table)

    def __enter__(self) -> "_CsvWriter":
        return self

    def __exit__(self, *error: object) -> None:
        self._writer.close()
        self._stream.close()
