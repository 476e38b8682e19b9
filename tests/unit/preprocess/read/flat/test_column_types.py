"""Columns of all types of a Parquet file: the ids are those of the single values, or the column is refused by name."""

import datetime
import uuid
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esmm_dist.errors import SchemaError
from esmm_dist.schema.feature_id import feature_id
from esmm_dist.schema.fields import Field
from esmm_dist.schema.sources import FlatSource
from preprocess.read.flat.column_types import without_views
from preprocess.read.flat.columns import RowReasons, read_category
from tests.unit.preprocess.flat_logs import schema
from tests.unit.preprocess.raw_logs import run

SOURCE = FlatSource(form="flat", files={"train": "log.parquet"}, labels={"click": "clicked", "conversion": "bought"})
UUIDS = [uuid.UUID(int=n) for n in range(3)]


def features(column: pa.Array, *, multi_hot: bool = True, weighted: bool = False) -> list[tuple[int, int, float]]:
    """Return (row, id, weight) of a column's features; no row may be rejected."""
    field = Field(name="f", owner="item", multi_hot=multi_hot, weighted=weighted)
    reasons = RowReasons()
    found = read_category(pa.table({"f": column.cast(without_views(column.type))}), field, 0, SOURCE, reasons)
    assert reasons.of_row == {}
    return list(zip(found.row.tolist(), found.ids.tolist(), found.values.tolist(), strict=True))


def expected(rows: list[object]) -> list[tuple[int, int, float]]:
    """Return what ``feature_id`` says of single values, or of lists of them."""
    each = [
        (row, value) for row, values in enumerate(rows) for value in (values if isinstance(values, list) else [values])
    ]
    found = [(row, feature_id("f", value)) for row, value in each]
    return [(row, number, 1.0) for row, number in found if number is not None]


TYPES = [
    *(pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
    *(pa.float16(), pa.float32(), pa.float64(), pa.decimal128(12, 3), pa.decimal256(50, 0)),
    *(pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary(), pa.binary_view()),
]


@st.composite
def columns(draw: st.DrawFn) -> tuple[pa.DataType, list[int | None]]:
    data_type = draw(st.sampled_from(TYPES))
    numbers = draw(st.lists(st.one_of(st.none(), st.integers(0, 127)), max_size=8))
    return data_type, numbers


def written(data_type: pa.DataType, number: int | None) -> object:
    if number is None:
        return None
    if pa.types.is_decimal(data_type):
        return Decimal(number)
    if pa.types.is_floating(data_type):
        return np.dtype(data_type.to_pandas_dtype()).type(number)
    if pa.types.is_integer(data_type):
        return number
    text = f"{number}.0"  # as pandas writes a column with gaps
    return text.encode() if "binary" in str(data_type) else text


@settings(max_examples=150)
@given(columns(), st.sampled_from(["plain", "dictionary", "list", "large list", "list of dictionary", "run ends"]))
def test_a_whole_number_has_one_id_in_columns_of_every_type(column: tuple[pa.DataType, list[int | None]], layout: str):
    data_type, numbers = column
    array = pa.array([written(data_type, number) for number in numbers], data_type)
    encodable = not (pa.types.is_float16(data_type) or "view" in str(data_type))
    if layout in ("dictionary", "list of dictionary") and encodable:
        array = array.dictionary_encode()
    if layout == "run ends" and not pa.types.is_float16(data_type) and "view" not in str(data_type):
        array = pa.compute.run_end_encode(array)
    rows: list[object] = list(numbers)
    if "list" in layout:
        kind = pa.LargeListArray if layout == "large list" else pa.ListArray
        array = kind.from_arrays([0, len(array), len(array)], array)
        rows = [list(numbers), []]
    assert features(array) == expected(rows)


def test_texts_and_numbers_in_lists_and_with_weights_have_the_ids_of_single_values():
    parts = expected([["111", "007", "2"]])
    assert features(pa.array(["111.0|007|2.0"])) == parts
    assert features(pa.array([["111.0", "007", "nan", "2"]])) == parts
    weighted = [(row, number, 0.5) for row, number, _ in parts]
    assert features(pa.array(["111.0:0.5|007:0.5|:1|nan:1|2:0.5"]), weighted=True) == weighted
    pairs = pa.list_(pa.struct([("id", pa.float32()), ("weight", pa.float16())]))
    numbers = pa.array([[(111.0, np.float16(0.5)), (None, None), (2.0, np.float16(0.5))]], pairs)
    assert features(numbers, weighted=True) == [weighted[0], weighted[2]]


@pytest.mark.parametrize(
    ("array", "values"),
    [
        (pa.array([["1", "2"], None], pa.list_(pa.string(), 2)), [["1", "2"], None]),
        (pa.ListArray.from_arrays([0, 2, 3], ["1", "2", "3"], mask=pa.array([True, False])), [None, ["3"]]),
        (pa.array([["1"], ["a"]], pa.list_(pa.string_view())), [["1"], ["a"]]),
        (pa.array([each.bytes for each in UUIDS], pa.uuid()), UUIDS),
        (pa.array([each.bytes for each in UUIDS], pa.binary(16)), [each.bytes for each in UUIDS]),
        (pa.array([True, False, None]), [True, False, None]),
        (pa.nulls(2), [None, None]),
        (pa.array([0.1, float("nan"), float("inf")], pa.float32()), [np.float32(0.1), None, np.float32("inf")]),
        (pa.array([datetime.date(2024, 1, 31)], pa.date64()), [datetime.date(2024, 1, 31)]),
        (pa.array([datetime.time(9, 30)], pa.time64("ns")), [datetime.time(9, 30)]),
        *(
            (pa.array([datetime.datetime(2024, 1, 31, 9, 30)], pa.timestamp(unit)), ["2024-01-31 09:30:00"])
            for unit in ("s", "ms", "us", "ns")
        ),
        (
            pa.array([datetime.datetime(2024, 1, 31, 9, 30, tzinfo=datetime.UTC)], pa.timestamp("us", "Europe/Oslo")),
            [datetime.datetime(2024, 1, 31, 9, 30, tzinfo=datetime.UTC)],
        ),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_a_column_of_another_layout_or_type_has_the_ids_of_its_values(array: pa.Array, values: list[object]):
    assert features(array) == expected(values)


def log(folder: Path, **columns: pa.Array) -> Path:
    """Write a log of two rows whose columns are texts, but for those that are given."""
    raw = folder / "raw"
    raw.mkdir()
    plain = {"user": ["u", "u"], "interests": [None, None], "item": ["1", "2"], "tags": [None, None]}
    table = {"id": [1, 2], **plain, "clicked": [0, 1], "bought": [0, 0], **columns}
    pq.write_table(pa.table(table), raw / "log.parquet")
    return raw


@pytest.mark.parametrize(
    ("column", "array"),
    [
        ("tags", pa.array([[["1"], ["2"]], None])),
        ("tags", pa.array([{"a": 1, "b": 2, "c": 3}, None])),
        ("tags", pa.array([datetime.timedelta(1), None])),
        ("tags", pa.array([[("a", ["b"])], None], pa.map_(pa.string(), pa.list_(pa.string())))),
        ("id", pa.array([["1"], ["2"]])),
        ("clicked", pa.array([[1], [0]])),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else value,
)
def test_a_column_that_cannot_be_read_is_refused_by_name_and_type(tmp_path: Path, column: str, array: pa.Array):
    raw = log(tmp_path, **{column: array})
    with pytest.raises(SchemaError) as caught:
        run(raw, tmp_path / "out", schema=schema(tmp_path, "log.parquet"))
    as_stored = pq.read_schema(raw / "log.parquet").field(column).type
    assert f"reads column '{column}' of {raw / 'log.parquet'}, which is {as_stored}. It may be" in str(caught.value)


def test_views_and_fixed_lists_pass_through_all_stages(tmp_path: Path):
    arrays = {
        "user": pa.array(["u", "u"], pa.string_view()),
        "item": pa.array([b"1", b"2"], pa.binary_view()),
        "tags": pa.array([["1", "2"], ["1", "3"]], pa.list_(pa.string(), 2)),
    }
    manifest = run(log(tmp_path, **arrays), tmp_path / "out", schema=schema(tmp_path, "log.parquet"))
    kept = {name: counts["kept_ids"] for name, counts in manifest.report["vocabulary"].items()}
    assert kept == {"user": 1, "interests": 0, "item": 2, "tags": 3}


def test_floats_that_lost_digits_are_told_by_column(tmp_path: Path):
    from preprocess.report import report_lines

    large = pa.array([float(2**53), float(2**53 + 2)])
    small = pa.array([[float(2**24)], [1.0]], pa.list_(pa.float32()))
    manifest = run(log(tmp_path, id=large, tags=small), tmp_path / "out", schema=schema(tmp_path, "log.parquet"))
    assert manifest.report["splits"]["train"]["log"]["lost_digits"] == {"id": 2, "tags": 1}
    told = [line for line in report_lines(manifest.report) if "floats so large" in line]
    assert [line.partition(" are floats")[0] for line in told] == [
        "train: 2 values of column 'id'",
        "train: 1 values of column 'tags'",
    ]
