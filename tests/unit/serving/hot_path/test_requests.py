"""The forms of a request, and what is said about one that is wrong."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from esmm_dist.schema.feature_id import cross_id, feature_id, missing_id
from esmm_dist.schema.fields import Field, Schema
from esmm_dist.schema.impression_text import with_kept
from esmm_dist.schema.numeric import Numeric
from esmm_dist.schema.sources import FlatSource
from esmm_dist.serving.requests.asked_request import (
    AskedRequest,
    RequestForm,
    joined,
    read_request,
    scores_of_users,
    split_scores,
)
from esmm_dist.serving.requests.bad_request import BadRequestError
from esmm_dist.serving.requests.request_reader import RequestReader
from tests.support.tiny_dataset import (
    HISTORY,
    ITEMS,
    TAGS,
    USERS,
    flat_schema,
    sample_name,
    serialized,
    tiny_groups,
    tiny_schema,
    weighted_schema,
)

FIELDS = (
    Field(name="user id", owner="user", alias="user"),
    Field(name="age", owner="user", numeric=Numeric(buckets=(18.0,))),
    Field(name="tags", owner="user", multi_hot=True, weighted=True),
    Field(name="item", owner="item", table="items"),
    Field(name="price", owner="item", numeric=Numeric(buckets=(5.0,)), missing="none"),
    Field(name="labels", owner="item", multi_hot=True, max_ids=2),
    Field(name="share", owner="item", weighted=True),
    Field(name="item x age", owner="item", cross=("item", "age")),
    Field(name="hour", owner="context", of_time="hour"),
)
SOURCE = FlatSource(form="flat", files={"train": "t.csv"}, labels={"click": "c", "order": "o"}, time="shown at")
SCHEMA = Schema(name="shop", labels=("click", "order"), fields=FIELDS, source=SOURCE)


def reader_of(schema: Schema, *lacking: int) -> RequestReader:
    def knows(ids: np.ndarray) -> np.ndarray:
        return ~np.isin(ids, lacking)

    return RequestReader(schema, dict.fromkeys(schema.tables, knows))


READER = reader_of(SCHEMA)
TINY = tiny_schema()
TINY_READER = reader_of(TINY)


def read(form: RequestForm, body: Any, reader: RequestReader = READER) -> AskedRequest:
    class Scorer:
        pass

    scorer: Any = Scorer()
    scorer.reader = reader
    return read_request(form, body, scorer)


def short(*candidates: Any, **user: Any) -> dict[str, Any]:
    return {**user, "candidates": list(candidates)}


FEATURES: dict[str, Any] = {
    "user_ids": [USERS + 1, HISTORY + 1, HISTORY + 2],
    "user_lengths": [1, 2],
    "user_weights": [1, 0.5, 2],
    "impression_ids": [ITEMS, ITEMS + 1, TAGS],
    "impression_lengths": [1, 0, 1, 1],
    "impressions_per_group": [2],
}
VALUES: dict[str, Any] = {
    **{"user_id": ["u1"], "age": [20], "tags": ["a", "b"], "tags_lengths": [2], "tags_weights": [1, 2]},
    **{"item": ["i1", "i2"], "price": [1, None], "labels": ["x"], "labels_lengths": [0, 1]},
    **{"share": ["s", None], "share_weights": [0.5, 1], "shown_at": [0, 3600], "impressions_per_group": [2]},
}


def values(**changes: Any) -> dict[str, Any]:
    return {name: value for name, value in {**VALUES, **changes}.items() if value != "left out"}


def features(**changes: Any) -> dict[str, Any]:
    return {name: value for name, value in {**FEATURES, **changes}.items() if value != "left out"}


BAD_SHORT = [
    ("text", 'The request is "text". Write an object such as'),
    ([short(), 3], "The request's item 1 is 3. Write an object"),
    ({}, 'The request has no "candidates". Write a list'),
    ({"inputs": {}}, '"i1"}]. A request with inputs or instances goes to /v1/models/NAME:predict.'),
    ([short(), {"age": 1}], 'The request\'s item 1 has no "candidates"'),
    ({"candidates": {"item": 1}}, 'The request has {"item": 1} as its "candidates". Write a list'),
    (short({}, "i2"), 'candidates[1] is "i2". Write an object'),
    ([short(), short(None)], "[1].candidates[0] is null"),
    (short(agee=1), "The request has \"agee\", which is no field of the model. Did you mean 'age'?"),
    (short({"itme": 1}), "a candidate has \"itme\", which is no field of the model. Did you mean 'item'?"),
    (short({"item": 1}, {"age": 3}), 'candidates[1] has "age", which is a field of the user'),
    (short(**{"user id": 1, "user_id": 1}), "The request has 'user id' and 'user_id', which are the same"),
    (short({}, {}, {}, {"price": "abc"}), "candidates[3].price is \"abc\", but 'price' is a number. Write a finite"),
    (short({"price": True}), "candidates[0].price is true, but 'price' is a number"),
    (short({"price": [1]}), "candidates[0].price is [1], but 'price' is a number"),
    (short({"price": float("inf")}), "candidates[0].price is Infinity"),
    (short({"price": 10**400}), "candidates[0].price is 1000000000"),
    (short({"price": "inf"}), 'candidates[0].price is "inf"'),
    (short({"price": "1e999"}), 'candidates[0].price is "1e999"'),
    (short({}, age="x"), "age is \"x\", but 'age' is a number"),
    ([short(), short({}, age="x")], '[1].age is "x"'),
    (short({"item": "a"}, {"item": {"id": 1}}), "candidates[1].item is {\"id\": 1}, but 'item' has one value here"),
    (short({"item": ["a", "b"]}), 'candidates[0].item is ["a", "b"]'),
    (short({}, item={}), "item is {}, but 'item' has one value"),
    (short({}, {"item": 1}, item=[]), "item is [], but 'item' has one value"),
    (short({"item": "\ud800"}), "candidates[0].item is"),
    (short(tags="a"), 'tags is "a", but it has many values. Write a list'),
    (short({}, {"labels": 1}), "candidates[1].labels is 1, but it has many values"),
    (short({}, {"labels": ["a", {}]}), "candidates[1].labels[1] is {}"),
    (short(tags=["a", ["b"]], tags_weights=[1, 1]), 'tags[1] is ["b"]'),
    (short(tags=["a"]), "tags has 1 values, but tags_weights has 0. Write a weight for each value"),
    (short(tags_weights=[1]), "tags has 0 values, but tags_weights has 1"),
    (short(tags=["a", "b"], tags_weights=[1, -1]), "tags_weights[1] is -1, which is no weight. Write a number of 0"),
    (short(tags=["a"], tags_weights=[1e39]), "tags_weights[0] is 1e+39"),
    (short(tags=["a"], tags_weights=[10**400]), "tags_weights[0] is 10000"),
    (short(tags=["a"], tags_weights=["-1"]), 'tags_weights[0] is "-1"'),
    (short(tags=["a"], tags_weights=[None]), "tags_weights[0] is null"),
    (short(tags=["a"], tags_weights=[float("nan")]), "tags_weights[0] is NaN"),
    (short({"share": "a"}), "candidates[0].share_weights is null, which is no weight"),
    (short({"share": "a", "share_weights": "x"}), 'candidates[0].share_weights is "x"'),
    (short({"shown_at": "soon"}), 'candidates[0].shown_at is "soon", which is no time with an hour. Write ISO 8601'),
    (short({"shown_at": 20240131}), "candidates[0].shown_at is 20240131, which is no time with an hour"),
    (short({"shown_at": 0}, {"shown_at": -1}), "candidates[1].shown_at is -1"),
    (short({}, shown_at=True), "shown_at is true"),
]


@pytest.mark.parametrize(("body", "message"), BAD_SHORT, ids=[message for _, message in BAD_SHORT])
def test_a_wrong_short_request_is_told_where_and_what_to_write(body: Any, message: str):
    with pytest.raises(BadRequestError) as caught:
        read("short", body)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("x", "candidates[1].205 is \"x\", but the values of '205' are feature ids. Write a whole number"),
        (-2, "candidates[1].205 is -2"),
        (2**63, "candidates[1].205 is 9223372036854775808"),
        (1.5, "candidates[1].205 is 1.5"),
        (True, "candidates[1].205 is true"),
    ],
)
def test_ids_of_the_ali_ccp_form_are_whole_numbers(value: Any, message: str):
    schema = tiny_schema(fields=(Field(name="205", owner="item"),))
    with pytest.raises(BadRequestError) as caught:
        read("short", short({"205": 1}, {"205": value}), reader_of(schema))
    assert message.replace(".205", ".f_205") in str(caught.value)


def test_an_id_that_is_none_is_refused_by_the_name_and_the_alias_of_its_field():
    reader = reader_of(tiny_schema(fields=(Field(name="205", alias="item_id", owner="item"),)))
    with pytest.raises(BadRequestError) as caught:
        read("short", short({"item_id": "x"}), reader)
    assert "but the values of '205' ('item_id') are feature ids." in str(caught.value)


BAD_VALUES = [
    ([], "The inputs are []. Write an object with a list for each input"),
    (values(itm=[]), "The inputs have \"itm\", which is none. Did you mean 'item'?"),
    (values(item="left out"), "The inputs lack item. Write a list for each"),
    (values(item="i1"), 'item is "i1". Write a list.'),
    (values(item=["i1"]), "item has 1 values, but impressions_per_group makes 2 rows"),
    (values(user_id=[]), "user_id has 0 values, but impressions_per_group makes 1 rows"),
    (values(impressions_per_group=[-1]), "impressions_per_group[0] is -1. Write a whole number of 0 or more"),
    (values(impressions_per_group=[1.0]), "impressions_per_group[0] is 1.0. Write a whole number."),
    (values(impressions_per_group=[2**63]), "impressions_per_group[0] is 9223372036854775808, but int64 ends"),
    (values(tags_lengths=[3]), "tags_lengths adds up to 3, but tags has 2 values"),
    (values(tags_lengths=[1, 1]), "tags_lengths has 2 values, but impressions_per_group makes 1 rows"),
    (values(tags_weights=[1]), "tags_weights has 1 weights, but tags has 2 values"),
    (values(tags_weights=[1, "x"]), 'tags_weights[1] is "x"'),
    (values(price=[1, "x"]), 'price[1] is "x"'),
    (values(labels=[{}]), "labels[0] is {}"),
]


@pytest.mark.parametrize(("body", "message"), BAD_VALUES, ids=[message for _, message in BAD_VALUES])
def test_wrong_columns_are_told_where_and_what_to_write(body: Any, message: str):
    with pytest.raises(BadRequestError) as caught:
        read("values", body)
    assert message in str(caught.value)


BAD_FEATURES = [
    ("x", 'The inputs are "x"'),
    (features(user_ids="left out"), "The inputs lack user_ids"),
    (features(impression_weights=[1]), 'The inputs have "impression_weights", which is none'),
    (features(user_ids=[1.5, 1, 1]), "user_ids[0] is 1.5. Write a whole number"),
    (features(user_lengths=[3]), "user_lengths has 1 values, but 1 rows of 2 fields have 2. Write the number of ids"),
    (features(user_lengths=[3, -1]), "user_lengths[1] is -1"),
    (features(user_lengths=[1, 1]), "user_lengths adds up to 2, but user_ids has 3 ids"),
    (features(user_weights=[1]), "user_weights has 1 weights, but user_ids has 3 ids"),
    (features(user_weights=[1, 1, -1]), "user_weights[2] is -1"),
    (features(impressions_per_group=[1]), "impression_lengths has 4 values, but 1 rows of 2 fields have 2"),
]


@pytest.mark.parametrize(("body", "message"), BAD_FEATURES, ids=[message for _, message in BAD_FEATURES])
def test_wrong_packed_lists_are_told_where_and_what_to_write(body: Any, message: str):
    with pytest.raises(BadRequestError) as caught:
        read("features", body, TINY_READER)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"abc", "examples is \"b'abc'\". Write a list."),
        (["abc"], 'examples[0] is "abc", which is no serialized tf.train.Example. Write {"b64": ...}'),
        ([b"abc"], "The examples are no records of the schema 'tiny': record 0 of 1 in a batch is no tf.train.Example"),
    ],
)
def test_wrong_records_are_told_what_to_write(body: Any, message: str):
    with pytest.raises(BadRequestError) as caught:
        read("records", body, TINY_READER)
    assert message in str(caught.value)


def test_the_short_form_and_columns_make_the_same_batch():
    body = short(
        {"item": "i1", "price": 1, "share": "s", "share_weights": 0.5, "shown_at": 0},
        {"item": "i2", "price": None, "labels": ["x"], "shown at": 3600},
        user="u1",
        age=20,
        tags=["a", "b"],
        tags_weights=["1", 2],
    )
    with pytest.raises(BadRequestError, match=r"'shown at' and 'shown_at', which are the same"):
        read("short", body)
    body["candidates"][1]["shown_at"] = body["candidates"][1].pop("shown at")
    of_short, of_values = read("short", body), read("values", values())
    assert (of_short.several_users, of_values.several_users) == (False, True)
    for name, expected in vars(of_values.batch).items():
        np.testing.assert_array_equal(getattr(of_short.batch, name), expected, err_msg=name)
    batch = of_short.batch
    age = feature_id("age", 1)
    assert age is not None
    assert batch.user_ids.tolist() == [
        feature_id("user id", "u1"),
        age,
        feature_id("tags", "a"),
        feature_id("tags", "b"),
    ]
    assert batch.user_weights is not None
    assert batch.user_weights.tolist() == [1, 1, 1, 2]
    items = [feature_id("item", each) for each in ("i1", "i2")]
    crossed = [cross_id("item x age", [item or 0, age]) for item in items]
    assert batch.impression_lengths.tolist() == [1, 1, 0, 1, 1, 1, 1, 0, 1, 0, 1, 1]
    assert batch.impression_ids.tolist() == [
        *(items[0], feature_id("price", 0), feature_id("share", "s"), crossed[0], feature_id("hour", 0)),
        *(items[1], feature_id("labels", "x"), crossed[1], feature_id("hour", 1)),
    ]
    assert batch.impression_weights is not None
    assert batch.impression_weights.tolist() == [1, 1, 0.5, 1, 1, 1, 1, 1, 1]


def test_a_field_beside_the_candidates_holds_for_those_that_have_none_of_their_own():
    beside = short({}, {"labels": ["y"]}, {"labels": None}, labels=["x", "z"], shown_at=7200)
    apart = short(
        {"labels": ["x", "z"], "shown_at": 7200},
        {"labels": ["y"], "shown_at": 7200},
        {"shown_at": 7200},
    )
    found, expected = read("short", [beside, short({}), beside]).batch, read("short", [apart, short({}), apart]).batch
    assert found.impression_ids.tolist() == expected.impression_ids.tolist()
    assert found.impression_lengths.tolist() == expected.impression_lengths.tolist()


def test_weights_come_from_where_the_values_are():
    body = short({"share": "b", "share_weights": 3}, {}, share="a", share_weights=2)
    weights = read("short", body).batch.impression_weights
    assert weights is not None
    assert weights[weights != 1].tolist() == [3, 2]
    with pytest.raises(BadRequestError, match=r"candidates\[0\].share_weights is null"):
        read("short", short({"share": "b"}, share="a", share_weights=2))


def test_a_user_without_candidates_and_a_request_without_users_are_answered():
    none = read("short", [])
    assert (none.batch.num_groups, none.batch.num_impressions) == (0, 0)
    found = read("short", [short(age=1), short({"item": 1}, age=2), short()])
    assert found.candidates_of.tolist() == [0, 1, 0]
    assert found.batch.user_lengths.tolist() == [0, 1, 0] * 3
    several = read("short", [short(), short({}), short({}, {}), short()])
    scores = scores_of_users({"pctr": np.arange(3, dtype=np.float32)}, several)
    assert [each["pctr"].tolist() for each in scores] == [[], [0], [1, 2], []]


def test_fields_of_impressions_alone_need_no_user():
    schema = replace(SCHEMA, fields=(Field(name="item", owner="item"),))
    batch = read("short", short({"item": "a"}, {}), reader_of(schema)).batch
    assert batch.user_ids.tolist() == batch.user_lengths.tolist() == []
    assert batch.impression_lengths.tolist() == [1, 0]


def test_values_without_a_row_are_counted_by_field_and_left_out():
    new, age = feature_id("item", "new"), feature_id("age", 0)
    assert new is not None
    assert age is not None
    label, tag = feature_id("labels", "old"), feature_id("tags", "b")
    assert label is not None
    assert tag is not None
    cross = cross_id("item x age", [new, age])
    reader = reader_of(SCHEMA, new, cross, label, tag, missing_id("hour"))
    body = short(
        *({"item": "new", "labels": ["old", "x", "y", "z"]}, {"item": "i", "labels": ["x", "old", "old"]}),
        age=1,
        tags=["a", "b"],
        tags_weights=[1, 2],
    )
    found = read("short", body, reader)
    assert found.unknown == {"item": 1, "labels": 3, "tags": 1, "item x age": 1}  # a missing hour is no unknown one
    assert found.batch.user_lengths.tolist() == [0, 1, 1]
    assert found.batch.user_weights is not None
    assert found.batch.user_weights.tolist() == [1, 1]
    assert found.batch.impression_lengths.tolist() == [0, 0, 3, 0, 0, 0, 1, 0, 1, 0, 1, 0]  # cut to max_ids later
    assert read("short", body).unknown == {}


def test_ids_of_packed_lists_without_a_row_are_counted_and_stay():
    schema = replace(SCHEMA, fields=(Field(name="item", owner="item"), Field(name="hour", owner="user", missing="id")))
    reader = reader_of(schema, 5, 6, missing_id("hour"))
    body = {
        "user_ids": [missing_id("hour"), 6],
        "user_lengths": [1, 1],
        "impression_ids": [5, 7, 5],
        "impression_lengths": [1, 1, 1],
        "impressions_per_group": [1, 2],
    }
    found = read("features", body, reader)
    assert found.unknown == {"item": 2, "hour": 1}
    assert found.batch.impression_ids.tolist() == [5, 7, 5]
    assert found.batch.user_ids.tolist() == body["user_ids"]


def test_records_need_no_labels_and_no_sample_weights():
    schema = weighted_schema()
    groups = tiny_groups(3)
    records = [serialized(group, TINY) for group in groups]
    found = read("records", records, reader_of(schema, ITEMS + 1))
    assert found.batch.sample_ids.tolist() == [i.sample_id for group in groups for i in group.impressions]
    assert found.candidates_of.tolist() == [len(group.impressions) for group in groups]
    items = [id_ for group in groups for i in group.impressions for id_, _ in i.fields[0]]
    assert found.unknown == {"item": items.count(ITEMS + 1)}
    assert not found.batch.labels.any()


def test_names_of_records_come_without_the_columns_behind_them():
    schema = flat_schema("text")
    records = []
    for group in tiny_groups(2):
        record = tf.train.Example.FromString(serialized(group, schema))
        texts = record.features.feature["sample_names"].bytes_list.value
        texts[:] = [with_kept(text, ["u1"]) for text in texts]
        records.append(record.SerializeToString())
    batch = read("records", records, reader_of(schema)).batch
    assert batch.sample_names is not None
    assert batch.sample_names.tolist() == [sample_name(each) for each in batch.sample_ids.tolist()]


def test_joined_requests_are_one_batch_whose_scores_are_split_again():
    bodies = [
        [short({"item": 1}, {"item": 2}, age=1)],
        short(age=3),
        [short({}), short({"share": 1, "share_weights": 5})],
    ]
    requests = [read("short", body) for body in bodies]
    whole = read("short", [user for body in bodies for user in (body if isinstance(body, list) else [body])])
    batch = joined(requests)
    for name, expected in vars(whole.batch).items():
        if name != "sample_ids":
            np.testing.assert_array_equal(getattr(batch, name), expected, err_msg=name)
    scores = np.arange(4, dtype=np.float32)
    assert [each["pctr"].tolist() for each in split_scores({"pctr": scores}, requests)] == [[0, 1], [], [2, 3]]
    assert joined(requests[:1]) is requests[0].batch
