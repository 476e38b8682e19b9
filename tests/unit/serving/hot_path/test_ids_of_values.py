"""A value of a request has the id that preprocess gives it, whatever JSON says it is."""

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st

from esmm_dist.inference.exported_values import ValueInputs
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.schema.feature_id import cross_id, feature_id, missing_id
from esmm_dist.schema.fields import Field, Schema
from esmm_dist.schema.numeric import Numeric
from esmm_dist.schema.sources import FlatSource
from esmm_dist.serving.requests import field_ids
from esmm_dist.serving.requests.asked_columns import AskedColumn
from esmm_dist.serving.requests.bad_request import BadRequestError
from esmm_dist.serving.requests.request_reader import RequestReader
from preprocess.read.flat.columns import RowReasons
from preprocess.read.flat.field_reader import FieldReader
from tests.unit.inference.test_exported_ids import TEXTS

FIELDS = (
    Field(name="user", owner="user", missing="id"),
    Field(name="age", owner="user", numeric=Numeric(buckets=(-1.5, 0.0, 18.0, 25.5, 1e15))),
    Field(name="seen", owner="user", multi_hot=True, ids_of="item"),
    Field(name="likes", owner="user", multi_hot=True, weighted=True, missing="id"),
    Field(name="item", owner="item"),
    Field(name="price", owner="item", numeric=Numeric(buckets="log"), missing="none"),
    Field(name="tags", owner="item", multi_hot=True),
    Field(name="user x item", owner="item", cross=("user", "item"), missing="none"),
    Field(name="user x age x item", owner="item", cross=("user", "age", "item")),
    Field(name="hour", owner="context", of_time="hour"),
    Field(name="day", owner="context", of_time="weekday", missing="none"),
)
LABELS = {"click": "c", "order": "o"}
SOURCE = FlatSource(
    form="flat", files={"train": "t.csv"}, labels=LABELS, time="at", time_zone="Europe/Berlin", list_separator="\x01"
)
SCHEMA = Schema(name="values", labels=("click", "order"), fields=FIELDS, source=SOURCE)
COMMA = replace(SCHEMA, source=replace(SOURCE, decimal=","))

TIMES = st.sampled_from(
    [None, "", "2024-03-31T00:59:59Z", "2024-03-31 01:00:00+00:00", "1711846800", "1711846800000", "2024-03-31 12:30"]
)
NUMBER_TEXTS = st.one_of(st.sampled_from([None, "", "NaN", " 18 ", "25.5", "-0", ".5", "1e3"]), st.integers().map(str))
ANY_VALUE = st.one_of(
    st.none(),
    TEXTS,
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(-(2.0**63) + 2048, 2.0**63 - 2048),
    st.floats(-10, 10),
)


def everything(ids: np.ndarray) -> np.ndarray:
    return np.ones(len(ids), np.bool_)


READER = RequestReader(SCHEMA, {"main": everything})


def lists_of(batch: GroupedBatch) -> tuple[list[list[list[int]]], list[list[list[int]]]]:
    """Return the ids of each field of each user, and of each impression."""

    def cut(ids: np.ndarray, lengths: np.ndarray, fields: int) -> list[list[list[int]]]:
        parts = [each.tolist() for each in np.split(ids, np.cumsum(lengths)[:-1])] if len(lengths) else []
        return [parts[begin : begin + fields] for begin in range(0, len(parts), fields)]

    return (
        cut(batch.user_ids, batch.user_lengths, len(SCHEMA.user_fields)),
        cut(batch.impression_ids, batch.impression_lengths, len(SCHEMA.impression_fields)),
    )


def ids_of(space: str, values: list[Any]) -> list[int]:
    return [id_ for id_ in (feature_id(space, value) for value in values) if id_ is not None]


@given(st.lists(ANY_VALUE, min_size=1, max_size=6))
@example([1, 1.0, True, "1", "1.0", "True", 0, -0.0, False, 2**63, 2.0**62])
@example([None, 5, "5", "5.0", 5.0])
def test_any_json_value_of_a_category_has_its_feature_id(values: list[Any]):
    body = {"user": values[0], "seen": values, "candidates": [{"item": each, "tags": values} for each in values]}
    parsed = orjson.loads(json.dumps(body))  # as the server has it
    users, own = lists_of(READER.read("short", parsed).batch)
    name = feature_id("user", values[0])
    assert users[0][0] == [missing_id("user") if name is None else name]
    assert users[0][2] == ids_of("item", values)
    for value, found in zip(values, own, strict=True):
        assert found[0] == ids_of("item", [value])
        assert found[2] == ids_of("tags", values)
        item = feature_id("item", value)
        assert found[3] == ([] if name is None or item is None else [cross_id("user x item", [name, item])])


@given(
    st.lists(st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**63), 2**64 - 1)))
)
@example([-1.5, -1.4999, 0, 18, 25.5, "25.5", " 18 ", "1e15", 5e-324, "NaN", "", "-.5"])
def test_any_json_number_has_the_id_of_its_bucket(values: list[Any]):
    edges = (-1.5, 0.0, 18.0, 25.5, 1e15)
    users, _ = lists_of(READER.read("short", [{"age": each, "candidates": []} for each in values]).batch)
    for value, found in zip(values, users, strict=True):
        if value is None or value in ("NaN", ""):
            assert found[1] == [missing_id("age")]
            continue
        number = 0.0 if abs(float(value)) < 2.3e-308 else float(value)
        assert found[1] == [feature_id("age", sum(edge <= number for edge in edges))], value


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "user": st.one_of(st.none(), TEXTS),
            "age": NUMBER_TEXTS,
            "seen": st.lists(TEXTS, max_size=3),
            "likes": st.lists(st.tuples(TEXTS, st.floats(0, 2.0**99, width=32)), max_size=3),
            "item": st.one_of(st.none(), TEXTS),
            "price": NUMBER_TEXTS,
            "tags": st.lists(TEXTS, max_size=3),
            "at": TIMES,
        }
    ),
    min_size=1,
    max_size=4,
)


def short_of(row: dict[str, Any]) -> dict[str, Any]:
    user = {name: row[name] for name in ("user", "age", "seen")}
    likes = {"likes": [name for name, _ in row["likes"]], "likes_weights": [weight for _, weight in row["likes"]]}
    return {**user, **likes, "candidates": [{name: row[name] for name in ("item", "price", "tags", "at")}]}


def by_preprocess(rows: list[dict[str, Any]], schema: Schema) -> tuple[Any, Any]:
    pairs = pa.list_(pa.struct([("name", pa.string()), ("weight", pa.float32())]))
    likes = [[{"name": name, "weight": weight} for name, weight in row["likes"]] for row in rows]
    kinds = {"seen": pa.list_(pa.string()), "tags": pa.list_(pa.string())}
    columns = {
        name: pa.array([row[name] for row in rows], kinds.get(name, pa.string())) for name in rows[0] if name != "likes"
    }
    reasons = RowReasons()
    reader = FieldReader(pa.table({**columns, "likes": pa.array(likes, pairs)}), schema, reasons)
    found = reader.read(schema.user_fields), reader.read(schema.impression_fields)
    assert not reasons.of_row
    return found


@settings(max_examples=60)
@given(ROWS, st.booleans())
def test_a_request_has_the_records_of_preprocess(rows: list[dict[str, Any]], comma: bool):
    schema = COMMA if comma else SCHEMA
    reader = RequestReader(schema, {"main": everything})
    if comma:
        rows = [{**row, "price": "19,5", "item": "2,0"} for row in rows]
    batch = reader.read("short", [short_of(row) for row in rows]).batch
    user, own = by_preprocess(rows, schema)
    assert batch.user_ids.tolist() == user.ids.tolist()
    assert batch.user_lengths.tolist() == user.lengths.ravel().tolist()
    assert batch.user_weights is not None
    assert batch.user_weights.tolist() == user.values.tolist()
    assert batch.impression_ids.tolist() == own.ids.tolist()
    assert batch.impression_lengths.tolist() == own.lengths.ravel().tolist()
    assert batch.impression_weights is None


def columns_of(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Return rows, a user each, as the inputs of the signature ``values``."""
    return {
        **{name: [row[name] for row in rows] for name in ("user", "age", "item", "price", "at")},
        **{name: [value for row in rows for value in row[name]] for name in ("seen", "tags")},
        **{f"{name}_lengths": [len(row[name]) for row in rows] for name in ("seen", "tags", "likes")},
        "likes": [name for row in rows for name, _ in row["likes"]],
        "likes_weights": [weight for row in rows for _, weight in row["likes"]],
        "impressions_per_group": [1] * len(rows),
    }


def known(ids: Any) -> Any:
    return ids % 3 != 0


@pytest.fixture(scope="module")
def graph() -> Any:
    inputs = ValueInputs(SCHEMA, {"main": known})
    spec = {name: tf.TensorSpec([None], kind) for name, kind in inputs.specs.items()}
    return tf.function(inputs.features, input_signature=[spec], autograph=False)


@settings(max_examples=8, deadline=None)
@given(rows=ROWS)
def test_columns_have_the_ids_that_the_graph_of_an_export_makes(graph: Any, rows: list[dict[str, Any]]):
    columns = columns_of(rows)
    batch = RequestReader(SCHEMA, {"main": known}).read("values", columns).batch

    def tensor(name: str, values: list[Any]) -> tf.Tensor:
        if name in ("age", "price"):
            numbers = [math.nan if each in (None, "", "NaN") else float(each) for each in values]
            return tf.constant(numbers, tf.float64)
        if name.endswith("_weights"):
            return tf.constant(values, tf.float32)
        if name.endswith(("_lengths", "per_group")):
            return tf.constant(values, tf.int64)
        return tf.constant([(each or "").encode() for each in values], tf.string)

    features = graph({name: tensor(name, values) for name, values in columns.items()})
    for key in ("user_ids", "user_lengths", "user_weights", "impression_ids", "impression_lengths"):
        np.testing.assert_array_equal(getattr(batch, key), features[key].numpy(), err_msg=key)


def test_a_full_cache_is_dropped_and_ids_stay(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(field_ids, "_MOST_CACHED", 3)
    cache = field_ids.CachedIds("item", decimal_comma=False)
    values = ["a", "b", 1, "c", None, "a", "b" * 101]
    assert [cache[value] for value in values] == [
        field_ids.NO_ID if value is None else feature_id("item", value) for value in values
    ]
    assert list(cache) == ["c", None, "a"]  # the long text is not kept


def test_a_number_that_lost_its_digits_is_refused():
    parsed = orjson.loads('{"candidates": [{"item": 1}, {"item": 18446744073709551617}]}')
    with pytest.raises(
        BadRequestError, match=r"candidates\[1\].item is 1.8446744073709552e\+19: .* Write it as a text"
    ):
        READER.read("short", parsed)
    assert (
        feature_id("item", "18446744073709551617")
        == lists_of(READER.read("short", {"candidates": [{"item": "18446744073709551617"}]}).batch)[1][0][0][0]
    )


@pytest.mark.parametrize(("alias", "text"), [("125", "of '125' are"), ("age", r"of '125' \('age'\) are")])
def test_a_field_of_ids_is_named_with_its_alias(alias: str, text: str):
    field = Field(name="125", alias=alias, owner="user")
    with pytest.raises(BadRequestError, match=rf"but the values {text} feature ids"):
        field_ids.WholeIds(field).read(AskedColumn(values=["x"], place=str))
