"""Numbers, crosses, missing values and dimensions: what goes together, and what is refused by name."""

from dataclasses import replace
from typing import Any

import pytest

from esmm_dist.errors import ConfigError, SchemaError
from esmm_dist.schema.feature_id import cross_id, feature_id, missing_id
from esmm_dist.schema.fields import Field, Schema
from esmm_dist.schema.numeric import Numeric
from esmm_dist.schema.sources import AliCcpSource, FlatSource
from esmm_dist.schema.value_ids import id_of_value

SOURCE = FlatSource(form="flat", files={"train": "t.csv"}, labels={"click": "c", "order": "o"})
AGE = Field(name="age", owner="user", numeric=Numeric(buckets=(18.0, 30.0)))
GENDER = Field(name="gender", owner="user")
SHOP = Field(name="shop", owner="item")
TAGS = Field(name="tags", owner="item", multi_hot=True)


def schema_of(*fields: Field, source: Any = SOURCE) -> Schema:
    return Schema(name="s", labels=("click", "order"), fields=(AGE, GENDER, SHOP, TAGS, *fields), source=source)


def cross(*parts: str, **settings: Any) -> Field:
    return Field(**{"name": "x", "owner": "item", "cross": parts, **settings})


def test_a_missing_value_is_a_value_of_numbers_and_crosses_and_none_of_categories_unless_told():
    assert (AGE.missing, cross("a", "b").missing, GENDER.missing) == ("id", "id", "none")
    assert Field(name="g", owner="user", missing="id").missing == "id"
    assert replace(AGE, missing="none").missing == "none"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"numeric": AGE.numeric, "cross": ("a", "b")}, "it has numeric and cross. Make two fields"),
        ({"numeric": AGE.numeric, "multi_hot": True}, "is numeric: a number has one bucket. Leave out multi_hot"),
        ({"numeric": AGE.numeric, "ids_of": "shop"}, "Leave out ids_of"),
        ({"cross": ("a", "b"), "weighted": True}, "is a cross: it has one value. Leave out weighted"),
        ({"cross": ("a",)}, "cross names one field, 'a'. Name two or more"),
        ({"cross": ("a", "a")}, "cross names 'a' twice"),
        ({"embedding_dim": 0}, "embedding_dim is 0. Set 1 or more"),
    ],
)
def test_settings_that_exclude_each_other_are_refused(settings: dict[str, Any], message: str):
    with pytest.raises(SchemaError, match=message):
        Field(name="f", owner="item", **settings)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ([cross("gender", "shopp")], "cross names 'shopp', which is not a field. Did you mean 'shop'?"),
        ([cross("gender", "tags")], "which is multi_hot: it has no single value"),
        ([cross("gender", "shop"), cross("x", "age", name="y")], "a cross itself. Name its parts: gender, shop"),
        ([cross("gender", "shop", owner="user")], "whose owner is item, but the owner of the cross is user"),
        (
            [Field(name="city", owner="user", table="main", embedding_dim=4)],
            "fields of table 'main' have one embedding_dim, but 'age' has none and 'city' has 4",
        ),
    ],
)
def test_fields_that_do_not_go_together_are_refused(fields: list[Field], message: str):
    with pytest.raises(SchemaError, match=message):
        schema_of(*fields)


@pytest.mark.parametrize("field", [AGE, cross("gender", "shop"), replace(GENDER, missing="id")], ids=lambda f: f.name)
def test_a_log_that_has_its_ids_computes_none(field: Field):
    fields = (GENDER, SHOP, *([field] if field.name != "gender" else []))
    fields = tuple(field if each.name == field.name else each for each in fields)
    with pytest.raises(
        SchemaError, match="but the Ali-CCP form has its ids in the log. Leave it out, or write the log"
    ):
        Schema(name="s", labels=("click", "order"), fields=fields, source=AliCcpSource())


def test_fields_of_one_dimension_share_a_table_unless_it_is_named():
    a, b = (Field(name=name, owner="item", embedding_dim=8) for name in "ab")
    own = Field(name="own", owner="item", embedding_dim=8, table="own")
    schema = schema_of(a, b, own)
    assert schema.tables == ("main", "main-8", "own")
    assert schema.embedding_dims == {"main-8": 8, "own": 8}
    assert schema.field("b").table == "main-8"


def test_the_id_of_a_value_is_told_for_numbers_and_crosses():
    schema = schema_of(cross("gender", "shop", "age"))
    assert id_of_value(schema, "age", "18") == feature_id("age", 1)
    assert id_of_value(schema, "age", "") == missing_id("age")
    parts = [feature_id("gender", "f"), feature_id("shop", 7), feature_id("age", 2)]
    assert None not in parts
    assert id_of_value(schema, "x", "f,7.0,31") == cross_id("x", parts)  # type: ignore[arg-type]
    assert id_of_value(schema, "x", ",7,") == cross_id(
        "x",
        [missing_id("gender"), parts[1], missing_id("age")],  # type: ignore[list-item]
    )


def test_ids_by_another_hash_are_refused_by_name():
    with pytest.raises(
        SchemaError, match="source.id_hash is 'blake2b': feature ids by another hash than this version's"
    ):
        replace(SOURCE, id_hash="blake2b")


def test_ids_of_buckets_and_of_crosses_are_no_ones_else():
    with pytest.raises(SchemaError, match="ids_of is 'age', which is numeric: its ids are those of buckets. Name a"):
        schema_of(Field(name="seen", owner="user", multi_hot=True, ids_of="age"))
    with pytest.raises(SchemaError, match="ids_of is 'x', which is a cross. Name a field of categories, or leave"):
        schema_of(cross("gender", "shop"), Field(name="seen", owner="user", ids_of="x"))


def test_a_user_is_named_by_the_first_one_hot_category():
    history = Field(name="history", owner="user", multi_hot=True)
    assert [field.name for field in schema_of(history).split_fields] == ["gender"]
    unnamed = Schema(name="s", labels=("click", "order"), fields=(AGE, history, SHOP), source=SOURCE)
    assert unnamed.split_fields == (history,)


def test_a_number_is_looked_up_as_the_log_writes_it():
    comma = schema_of(source=replace(SOURCE, decimal=","))
    assert id_of_value(comma, "age", "18,5") == id_of_value(schema_of(), "age", " 18.5 ") == feature_id("age", 1)
    for text in ("1_0", "inf", "abc", "18,5"):
        with pytest.raises(ConfigError, match="'age' is numeric. Give a finite number"):
            id_of_value(schema_of(), "age", text)
