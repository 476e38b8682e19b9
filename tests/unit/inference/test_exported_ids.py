"""A graph makes the ids that preprocess makes: of any text, any number and any cross."""

import math
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given
from hypothesis import strategies as st

from esmm_dist.inference.exported_ids import category_ids, cross_ids, number_ids, value_texts
from esmm_dist.schema.feature_id import cross_id, feature_id, missing_id, value_text
from esmm_dist.schema.numeric import LEAST_NUMBER, Numeric
from tests.unit.schema.test_feature_id import APART, MISSING, SAME

NUMBERS = r"-?[0-9]{1,20}(\.[0-9]{0,20})?([eE][+-]?[0-9]{1,3})?"
TIMES = r"([0-9]{4}-[0-9]{2}-[0-9]{2}[ T])?[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{0,6})?([+-][0-9]{2}:[0-9]{2})?"
TEXTS = st.one_of(
    st.text(),
    st.from_regex(NUMBERS, fullmatch=True),
    st.from_regex(TIMES, fullmatch=True),
    st.floats().map(repr),
    st.floats(width=32).map(lambda value: str(np.float32(value))),
    st.sampled_from(["True", "true", "False", "NaN", "nan", "", "-0.0", "0.0", "007", "1.10", "1e+308", "9e+999"]),
)


def texts_of(values: list[str]) -> list[str | None]:
    found = value_texts(tf.constant([value.encode() for value in values], tf.string)).numpy()
    return [text.decode() or None for text in found]


@given(st.lists(TEXTS, max_size=8))
@example(["1.2345678E7", "5E-324", "5e-324", "1.7976931348623157e+308", "9e+18", "9.3e+18", "0.05e+01", "-1.50E-1"])
@example(["09:30:00.", "09:30:00.000+01:00", "2024-01-31 09:30:00.250", "09:30:00.+01:00", "1.5e+00", "-0e+00"])
def test_the_graph_has_the_same_text_and_id_of_any_text(values: list[str]):
    assert texts_of(values) == [value_text(value) for value in values]
    texts = value_texts(tf.constant([value.encode() for value in values], tf.string))
    ids = category_ids("item", texts).numpy().tolist()
    expected = [feature_id("item", value) for value in values]
    assert ids == [missing_id("item") if each is None else each for each in expected]


@pytest.mark.parametrize("values", [*SAME, APART, [each for each in MISSING if isinstance(each, str)]], ids=str)
def test_the_graph_knows_every_rule_of_the_table(values: list[Any]):
    texts = [value for value in values if isinstance(value, str)]
    assert texts_of(texts) == [value_text(text) for text in texts]


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=40, unique=True),
    st.lists(st.floats(), max_size=20),
)
def test_a_number_is_in_the_same_bucket_in_the_graph(edges: list[float], numbers: list[float]):
    edges = sorted({each + 0.0 for each in edges if each == 0 or abs(each) >= LEAST_NUMBER}) or [0.0]
    numeric = Numeric(buckets=tuple(edges))
    numbers = [*numbers, *edges, math.nan]
    ids = number_ids(numeric, "price", tf.constant(numbers, tf.float64)).numpy().tolist()
    of_bucket = numeric.ids("price")
    present = [each for each in numbers if not math.isnan(each)]
    buckets = [sum(edge <= (each if abs(each) >= LEAST_NUMBER else 0) for edge in edges) for each in present]
    assert numeric.of(np.array(present, np.float64)).tolist() == buckets
    of_present = iter(buckets)
    assert ids == [missing_id("price") if math.isnan(each) else int(of_bucket[next(of_present)]) for each in numbers]


@given(st.lists(st.tuples(*[st.integers(0, 2**63 - 1)] * 3), max_size=8))
def test_a_cross_has_the_same_id_in_the_graph(rows: list[tuple[int, int, int]]):
    parts = [tf.constant([row[k] for row in rows], tf.int64) for k in range(3)]
    assert cross_ids("x", parts).numpy().tolist() == [cross_id("x", row) for row in rows]
