"""The file format of a table follows from its file's name."""

import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from esmm_dist.errors import ConfigError
from esmm_dist.inference.table_format import CSV_ENDINGS, PARQUET_ENDINGS, check_format, table_writer

SCHEMA = pa.schema({"id": pa.int64(), "text": pa.string(), "p": pa.float32()})


def written(out: Path, *pieces: pa.Table) -> pa.Table:
    """Write a table under a temporary name and read it back."""
    temporary = out.with_name("temporary")
    with table_writer(temporary, SCHEMA, named=out) as writer:
        for piece in pieces:
            writer.write_table(piece)
    if out.name.endswith(PARQUET_ENDINGS):
        return pq.read_table(temporary)
    data = temporary.read_bytes()
    text = gzip.decompress(data) if out.name.endswith(".gz") else data
    types = pacsv.ConvertOptions(
        column_types={"id": pa.int64(), "text": pa.string(), "p": pa.float32()},
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    options = pacsv.ParseOptions(newlines_in_values=True)
    return pacsv.read_csv(pa.BufferReader(text), parse_options=options, convert_options=types)


def table(ids: list[int], texts: list[str | None], p: list[float]) -> pa.Table:
    return pa.table([pa.array(ids, pa.int64()), pa.array(texts, pa.string()), pa.array(p, pa.float32())], schema=SCHEMA)


@pytest.mark.parametrize("ending", [*PARQUET_ENDINGS, *CSV_ENDINGS])
def test_pieces_come_back_as_one_table(tmp_path, ending):
    pieces = [table([1, 2], ["a", None], [0.5, 0.25]), table([], [], []), table([3], ['x, "y"\nz'], [1e-9])]
    assert written(tmp_path / f"scores{ending}", *pieces).equals(pa.concat_tables(pieces).combine_chunks())


@pytest.mark.parametrize("ending", [*PARQUET_ENDINGS, *CSV_ENDINGS])
def test_a_table_without_rows_has_its_columns(tmp_path, ending):
    found = written(tmp_path / f"scores{ending}")
    assert (found.num_rows, found.column_names) == (0, ["id", "text", "p"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(values=st.lists(st.floats(0, 1, width=32), min_size=1, max_size=20))
def test_a_csv_keeps_every_bit_of_a_probability(tmp_path, values):
    p = np.array(values, np.float32)
    found = written(tmp_path / "scores.csv", table(list(range(len(p))), ["t"] * len(p), p.tolist()))
    np.testing.assert_array_equal(found["p"].to_numpy(), p)


@pytest.mark.parametrize("name", ["a.parquet", "a.b.pq", "a.csv", "a.csv.gz", "x/.csv"])
def test_known_endings_are_accepted(name):
    check_format(Path(name), setting="out")


@pytest.mark.parametrize("name", ["a", "a.PARQUET", "csv", "a.gz", "a.parquet.gz", "a.tsv", "a.csv.bz2"])
def test_other_endings_are_refused_with_the_known_ones(name):
    message = (
        rf"^out is {name}, whose name has no known ending. Give a name that ends in .parquet, .pq, .csv or .csv.gz"
    )
    with pytest.raises(ConfigError, match=message):
        check_format(Path(name), setting="out")
