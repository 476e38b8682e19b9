"""Texts of feature ids: only those whose hash is the id."""

import datetime

import numpy as np
import pytest

from esmm_dist.inference import value_texts
from esmm_dist.inference.value_texts import KeptTexts, keeps_texts_of, likely_texts, texts_of_ids
from esmm_dist.schema.feature_id import feature_id, missing_id, value_text
from esmm_dist.schema.fields import Field
from esmm_dist.schema.impression_text import with_kept
from esmm_dist.schema.numeric import Numeric
from esmm_dist.schema.sources import FlatSource
from tests.support.tiny_dataset import tiny_schema

BUCKETS = Numeric(buckets=(18.0, 25.0))
AGE = Field(name="age", owner="user", numeric=BUCKETS)
CITY = Field(name="city", owner="user")
GENDER = Field(name="gender", owner="user", missing="id")
LABELS = {"click": "clicked", "conversion": "bought"}
SCHEMA = tiny_schema(
    fields=(AGE, CITY, GENDER, Field(name="pair", owner="user", cross=("city", "gender")), *tiny_schema().fields[2:]),
    source=FlatSource(form="flat", files={"train": "a.csv"}, labels=LABELS, keep=("item", "city")),
)  # fmt: skip


def texts(field, ids, kept=None):
    return texts_of_ids(SCHEMA, field, ids, kept or {})


def test_ids_of_the_ali_ccp_form_are_what_the_log_has():
    assert texts_of_ids(tiny_schema(), tiny_schema().field("item"), [5, 7], {}) == {}


def test_a_numeric_field_has_its_buckets_and_the_missing_value():
    ids = [*BUCKETS.ids("age").tolist()[1:], missing_id("age")]
    assert texts(AGE, ids) == dict(zip(ids, ["[18, 25)", "[25, inf)", "no value"], strict=True))


@pytest.mark.parametrize("value", [-1, 0, 7, 999_999, True, datetime.date(2024, 2, 29), "20240131", "2049-12-01"])
def test_whole_numbers_and_dates_are_recognised(value):
    id_ = feature_id("city", value)
    assert texts(CITY, [id_]) == {id_: str(value).lower()}


def test_a_missing_value_with_an_id_and_an_unknown_text_are_told_apart():
    other = feature_id("gender", "f")
    assert texts(GENDER, [missing_id("gender"), other]) == {missing_id("gender"): "no value"}


def test_a_kept_text_counts_only_if_its_hash_is_the_id():
    oslo, bergen = feature_id("city", "Oslo"), feature_id("city", "Bergen")
    assert texts(CITY, [oslo, bergen], {oslo: "Oslo", bergen: "Oslo", 99: "Rome"}) == {oslo: "Oslo"}


def test_a_cross_has_no_text():
    pair = SCHEMA.field("pair")
    assert texts(pair, [feature_id("pair", 7)]) == {}


def test_values_of_a_field_with_the_ids_of_another_are_that_fields():
    last = Field(name="last", owner="user", ids_of="city")
    id_ = feature_id("city", 12)
    assert texts(last, [id_]) == {id_: "12"}


def test_kept_texts_are_remembered_by_id_up_to_a_limit(monkeypatch):
    assert [keeps_texts_of(SCHEMA, SCHEMA.field(name)) for name in ("city", "gender")] == [True, False]
    assert not keeps_texts_of(tiny_schema(), tiny_schema().field("item"))
    seen = KeptTexts(SCHEMA, CITY)
    records = np.empty(3, np.object_)
    records[:] = [with_kept(b"", ["i1", "Oslo"]), with_kept(b"n", ["i2", None]), with_kept(b"", ["i3", "Oslo"])]
    seen.add(np.array([4, -1, 4]), records)
    assert seen.by_id == {4: "Oslo", -1: ""}
    monkeypatch.setattr(value_texts, "MOST_TEXTS", 2)
    seen.add(np.array([5, 6, 7]), records)
    assert seen.by_id == {4: "Oslo", -1: ""}


def test_texts_that_are_tried_are_those_of_values_already():
    """So that their hash is the feature id, without a look at what they are."""
    tried = list(likely_texts(1000))
    assert len(tried) == 3 + 2 * 365 * 50 + 1000
    assert [value_text(text) for text in tried] == tried
