"""The texts of an impression's ids are those of the log: kept ones first, what can be tried, and those of crosses."""

import numpy as np

from esmm_dist.arrays import Objects
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.report.importance.impression_texts import texts_of_impression
from esmm_dist.schema.feature_id import cross_id, feature_id, missing_id
from esmm_dist.schema.fields import Field, Schema
from esmm_dist.schema.impression_text import with_kept
from esmm_dist.schema.numeric import Numeric
from esmm_dist.schema.sources import FlatSource
from tests.support.tiny_dataset import tiny_schema

SCHEMA = Schema(
    name="shop",
    labels=("click", "buy"),
    fields=(
        Field(name="user", owner="user"),
        Field(name="age", owner="user", numeric=Numeric(buckets=(18.0, 40.0))),
        Field(name="tags", owner="user", multi_hot=True, weighted=True),
        Field(name="item", owner="item"),
        Field(name="shop", owner="item"),
        Field(name="day", owner="context", missing="id"),
        Field(name="item x age", owner="item", cross=("item", "age")),
        Field(name="item x shop", owner="item", cross=("item", "shop")),
    ),
    source=FlatSource(
        form="flat", files={"train": "t.csv"}, labels={"click": "click", "buy": "buy"}, keep=("user", "tags", "item")
    ),
)


def id_of(field: str, text: str) -> int:
    """Return a feature id."""
    found = feature_id(field, text)
    assert found is not None
    return found


AGE_BUCKET = int(Numeric(buckets=(18.0, 40.0)).ids("age")[1])
IDS = {
    "user": [id_of("user", "<b>u</b>")],
    "age": [AGE_BUCKET],
    "tags": [id_of("tags", "red"), id_of("tags", "new"), id_of("tags", "gone")],
    "item": [id_of("item", "i 1")],
    "shop": [id_of("shop", "a shop that nothing tells")],
    "day": [missing_id("day")],
    "item x age": [cross_id("item x age", [id_of("item", "i 1"), AGE_BUCKET])],
    "item x shop": [12345],
}


def impression(schema: Schema, ids: dict[str, list[int]], text: bytes | None) -> GroupedBatch:
    """Return one impression."""
    texts: Objects | None = None
    if text is not None:
        texts = np.array([text], np.object_)
    users, own = ([ids[field.name] for field in fields] for fields in (schema.user_fields, schema.impression_fields))
    return GroupedBatch(
        user_ids=np.array([id_ for each in users for id_ in each], np.int64),
        user_lengths=np.array([len(each) for each in users]),
        user_weights=None,
        impression_ids=np.array([id_ for each in own for id_ in each], np.int64),
        impression_lengths=np.array([len(each) for each in own]),
        impression_weights=None,
        impressions_per_group=np.ones(1, np.int64),
        sample_ids=np.zeros(1, np.int64),
        labels=np.zeros((1, 2), np.int64),
        sample_names=texts,
    )


def test_kept_texts_buckets_missing_values_and_crosses_are_told() -> None:
    found = texts_of_impression(SCHEMA, impression(SCHEMA, IDS, with_kept(b"", ["<b>u</b>", "red:0.5|new", "i 1"])))
    assert found["user"] == {IDS["user"][0]: "<b>u</b>"}
    assert found["age"] == {AGE_BUCKET: "[18, 40)"}
    assert found["tags"] == {IDS["tags"][0]: "red", IDS["tags"][1]: "new"}
    assert found["item"] == {IDS["item"][0]: "i 1"}
    assert found["shop"] == {}
    assert found["day"] == {IDS["day"][0]: "no value"}
    assert found["item x age"] == {IDS["item x age"][0]: "i 1 × [18, 40)"}
    assert found["item x shop"] == {}  # the id is not that of its parts, as if the log had changed


def test_a_cross_names_parts_that_are_unknown_or_missing() -> None:
    ids = {**IDS, "item": [], "shop": [77]}
    crossed = cross_id("item x shop", [missing_id("item"), 77])
    found = texts_of_impression(SCHEMA, impression(SCHEMA, {**ids, "item x shop": [crossed]}, None))
    assert found["item x shop"] == {crossed: "no value × id 77"}


def test_a_kept_text_that_is_not_the_value_is_not_shown() -> None:
    found = texts_of_impression(SCHEMA, impression(SCHEMA, IDS, with_kept(b"", ["someone else", None, None])))
    assert (found["user"], found["tags"], found["item"]) == ({}, {}, {})


def test_ids_of_the_aliccp_form_are_their_own_texts() -> None:
    schema = tiny_schema()
    ids = {"user": [1007], "history": [2001, 2002], "item": [3003], "tags": []}
    found = texts_of_impression(schema, impression(schema, ids, None))
    assert found == {
        "user": {1007: "1007"},
        "history": {2001: "2001", 2002: "2002"},
        "item": {3003: "3003"},
        "tags": {},
    }
