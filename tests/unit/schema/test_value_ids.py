"""A value as it stands in a log leads to the feature id that preprocess gives it."""

from dataclasses import replace

import pytest

from esmm_dist.errors import ConfigError
from esmm_dist.schema.feature_id import feature_id
from esmm_dist.schema.fields import Field, Schema
from esmm_dist.schema.sources import FlatSource
from esmm_dist.schema.value_ids import id_of_value

SHOP = Schema(
    name="shop",
    labels=("click", "order"),
    fields=(
        Field(name="user", alias="the user", owner="user"),
        Field(name="history", owner="user", multi_hot=True, ids_of="item"),
        Field(name="item", owner="item"),
    ),
    source=FlatSource(form="flat", files={"train": "a.csv"}, labels={"click": "c", "order": "o"}),
)
RAW = Schema(name="raw", labels=SHOP.labels, fields=tuple(replace(f, ids_of=None) for f in SHOP.fields))


def test_a_value_of_a_flat_log_is_hashed_with_the_field_that_has_the_ids():
    assert id_of_value(SHOP, "user", "u7") == id_of_value(SHOP, "the user", "u7") == feature_id("user", "u7")
    assert id_of_value(SHOP, "history", "4") == id_of_value(SHOP, "item", "4") == feature_id("item", "4")


def test_a_value_of_the_aliccp_form_is_the_id():
    assert id_of_value(RAW, "item", "4") == 4


@pytest.mark.parametrize("value", ["x", "-1", "1.0", "", str(2**63)])
def test_what_is_no_id_of_the_aliccp_form_is_refused(value):
    with pytest.raises(ConfigError, match="feature ids of the Ali-CCP form are whole numbers"):
        id_of_value(RAW, "item", value)


def test_an_unknown_field_is_refused():
    with pytest.raises(ConfigError, match="has no field 'itme'. Did you mean 'item'?"):
        id_of_value(SHOP, "itme", "4")


def test_an_alias_of_several_fields_is_refused_and_a_name_goes_before_it():
    fields = (
        *SHOP.fields[:2],
        Field(name="item", alias="user", owner="item"),
        Field(name="x", alias="user", owner="item"),
    )
    schema = replace(SHOP, fields=fields)
    assert id_of_value(schema, "user", "4") == feature_id("user", "4")
    fields = (Field(name="u", owner="user"), *(replace(f, alias="same") for f in fields[2:]))
    with pytest.raises(ConfigError, match="'same' is the alias of several fields. Give the name of one: item, x"):
        id_of_value(replace(SHOP, fields=fields), "same", "4")
