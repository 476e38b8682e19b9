"""Fields and schemas: their orders, and what does not go together."""

import json
from dataclasses import replace

import pytest

from esmm_dist.config import build, to_mapping
from esmm_dist.errors import SchemaError
from esmm_dist.schema import Field, FlatSource, Schema, load_schema

ITEM = Field(name="item", owner="item")


def test_fields_are_listed_by_owner_in_schema_order():
    fields = (
        ITEM,
        Field(name="b", owner="user"),
        Field(name="c", owner="context", table="t2"),
        Field(name="a", owner="user"),
    )
    schema = Schema(name="s", labels=("x", "y"), fields=fields)
    assert [f.name for f in schema.user_fields] == ["b", "a"]
    assert [f.name for f in schema.impression_fields] == ["item", "c"]
    assert schema.tables == ("main", "t2")
    assert schema.field("c").alias == "c"


def test_schema_survives_a_mapping():
    schema = load_schema("flat-example")
    assert build(Schema, json.loads(json.dumps(to_mapping(schema))), where="test") == schema


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"name": ""}, r"A field has an empty name"),
        ({"max_ids": 0, "multi_hot": True}, r"Field 'item': max_ids is 0\. Set 1 or more"),
        ({"max_ids": 3}, r"Field 'item': max_ids is for multi-hot fields"),
    ],
)
def test_wrong_field_is_an_error(settings: dict[str, object], text: str):
    with pytest.raises(SchemaError, match=text):
        replace(ITEM, **settings)  # type: ignore[arg-type]


HISTORY = Field(name="history", owner="user", multi_hot=True, ids_of="item")


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        (
            (ITEM, replace(HISTORY, ids_of="itm")),
            r"'history': ids_of is 'itm', which is not a field\. Did you mean 'item'",
        ),
        ((ITEM, replace(HISTORY, ids_of="history")), r"'history': ids_of is 'history', the field itself"),
        (
            (ITEM, HISTORY, replace(HISTORY, name="last", ids_of="history")),
            r"'last': .* no ids of its own\. Set ids_of: item",
        ),
        ((ITEM, replace(HISTORY, table="t")), r"whose table is 'main', but table is 't' here: .* Set table: main\."),
    ],
)
def test_field_with_the_ids_of_no_other_is_an_error(fields: tuple[Field, ...], text: str):
    source = FlatSource(form="flat", files={"train": "x"}, labels={"a": "a", "b": "b"})
    schema = Schema(name="s", labels=("a", "b"), fields=(ITEM, HISTORY), source=source)
    assert [schema.id_space_index(field) for field in schema.fields] == [0, 0]
    with pytest.raises(SchemaError, match=rf"^Schema 's': field {text}" if text[0] == "'" else text):
        replace(schema, fields=fields)


def test_form_whose_ids_stand_in_the_log_takes_no_ids_of():
    with pytest.raises(SchemaError, match=r"field 'history': ids_of is 'item', but the Ali-CCP form has its ids"):
        Schema(name="s", labels=("a", "b"), fields=(ITEM, HISTORY))


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"labels": ("click",)}, r"has the labels \['click'\], and ESMM needs two or more"),
        ({"labels": ("a", "a")}, r"label 'a' is listed twice"),
        ({"fields": (ITEM, ITEM)}, r"field 'item' is listed twice"),
        ({"fields": (Field(name="u", owner="user"),)}, r"no field is owned by item or context"),
        (
            {"source": FlatSource(form="flat", files={"train": "x"}, labels={"a": "a"})},
            r"source\.labels names no column for label 'b'",
        ),
    ],
)
def test_wrong_schema_is_an_error(settings: dict[str, object], text: str):
    with pytest.raises(SchemaError, match=text):
        replace(Schema(name="s", labels=("a", "b"), fields=(ITEM,)), **settings)  # type: ignore[arg-type]


def test_unknown_field_names_the_known():
    with pytest.raises(SchemaError, match=r"has no field 'shop'\. Known: \['item'\]"):
        Schema(name="s", labels=("a", "b"), fields=(ITEM,)).field("shop")
