"""Which field attends to which list of the user."""

import json
from dataclasses import replace

import pytest

from esmm_dist.errors import ConfigError, SchemaError
from esmm_dist.schema import Field, Schema
from esmm_dist.schema.attention import attended_lists
from esmm_dist.schema.differences import deciding_mapping, record_differences, schema_differences
from esmm_dist.schema.files import load_schema
from esmm_dist.schema.manifest import read_manifest
from tests.unit.schema.data_sets import data_set

USER = Field(name="user", owner="user")
SEEN = Field(name="seen", owner="user", multi_hot=True, weighted=True)
SHOPS = Field(name="shops", owner="user", multi_hot=True)
CATEGORY = Field(name="category", owner="item")
SHOP = Field(name="shop", owner="item")
TAGS = Field(name="tags", owner="item", multi_hot=True)


def schema_of(*fields: Field) -> Schema:
    return Schema(name="s", labels=("click", "order"), fields=(USER, *fields, CATEGORY, SHOP, TAGS))


def attended(field: Field, by: str) -> Field:
    return replace(field, attended_by=by)


def test_lists_are_attended_to_by_the_fields_that_the_schema_names_in_its_order():
    schema = schema_of(attended(SEEN, "category"), attended(SHOPS, "tags"))
    assert list(attended_lists(schema.fields).items()) == [("seen", "category"), ("shops", "tags")]
    assert attended_lists(schema_of(SEEN, SHOPS).fields) == {}


def test_a_setting_stands_in_the_place_of_the_schema():
    schema = schema_of(attended(SEEN, "category"), SHOPS)
    assert attended_lists(schema.fields, ["shops = shop"]) == {"shops": "shop"}
    both = attended_lists(schema.fields, ["shops=shop", "seen=tags"])
    assert list(both.items()) == [("seen", "tags"), ("shops", "shop")]  # in the order of the fields


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            [attended(SEEN, "categry")],
            "attended_by is 'categry', but 'categry' is not a field. Did you mean 'category'",
        ),
        ([attended(SEEN, "user")], "but the owner of 'user' is user: it is the same for all impressions of a user"),
        ([attended(SEEN, "shops"), SHOPS], "but the owner of 'shops' is user"),
        ([replace(SHOPS, name="x", owner="item", attended_by="shop")], "but 'x' is owner item: what is attended to"),
        (
            [replace(USER, name="x", attended_by="shop")],
            "but 'x' is one-hot: what is attended to is a list of the user",
        ),
        (
            [Field(name="seen", owner="user", multi_hot=True, embedding_dim=8, attended_by="shop")],
            "column by column, and of embedding_dim 'seen' has 8 and 'shop' has none. Set the same",
        ),
    ],
)
def test_a_schema_refuses_what_cannot_attend_or_be_attended_to(fields: list[Field], message: str):
    with pytest.raises(SchemaError, match=message):
        schema_of(*fields)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["seen"], "attend names 'seen'. Write LIST=FIELD: a list of the user, and the field that attends to it"),
        (["seen="], "attend names 'seen='. Write LIST=FIELD"),
        (["sen=shop"], r"but 'sen' is not a list of the user. Did you mean 'seen'\? Known: seen, shops"),
        (["seen=shp"], "attend names 'seen=shp', but 'shp' is not a field. Did you mean 'shop'"),
        (["user=shop"], "but 'user' is one-hot"),
        (
            ["seen=shop", "seen=tags"],
            "attend names 'seen=tags', and 'seen=shop' before it. One field attends to a list",
        ),
    ],
)
def test_a_setting_that_does_not_fit_is_refused(texts: list[str], message: str):
    with pytest.raises(ConfigError, match=message):
        attended_lists(schema_of(SEEN, SHOPS).fields, texts)


def test_who_attends_is_no_difference_between_data_sets():
    old, new = schema_of(SEEN), schema_of(attended(SEEN, "category"))
    assert schema_differences(new, old) == record_differences(new, old) == []
    assert deciding_mapping(new) == deciding_mapping(old)
    assert "attended_by" not in deciding_mapping(new)["fields"][0]


@pytest.mark.parametrize("name", ["aliccp", "aliccp-full"])
def test_the_schemas_of_aliccp_let_what_an_item_is_attend_to_what_the_user_saw_of_it(name: str):
    assert attended_lists(load_schema(name).fields) == {
        "109_14": "206",
        "110_14": "207",
        "127_14": "216",
        "150_14": "210",
    }


def test_guidebook_has_two_of_these_lists():
    assert attended_lists(load_schema("guidebook").fields) == {"109_14": "206", "127_14": "216"}


def test_a_manifest_from_before_there_was_attention_is_read_and_attended_to_by_the_setting(tmp_path):
    manifest = json.loads(replace(data_set({}), schema=schema_of(SEEN)).to_json())
    del manifest["crc32c"]
    for field in manifest["schema"]["fields"]:
        del field["attended_by"]
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    schema = read_manifest(tmp_path).schema
    assert schema == schema_of(SEEN)
    assert attended_lists(schema.fields, ["seen=category"]) == {"seen": "category"}
