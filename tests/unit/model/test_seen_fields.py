"""The fields that a model sees."""

import pytest

from esmm_dist.errors import ConfigError
from esmm_dist.model.seen_fields import seen_fields
from esmm_dist.schema.fields import Field
from tests.support.tiny_dataset import tiny_schema

SCHEMA = tiny_schema(
    fields=(
        Field(name="101", alias="user_id", owner="user"),
        Field(name="205", alias="item_id", owner="item"),
        Field(name="301", alias="position", owner="context"),
    )
)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ((), ["101", "205", "301"]),
        (("301", "101"), ["101", "301"]),  # as the schema lists them
        (("item_id",), ["205"]),
    ],
)
def test_fields_are_chosen_by_name_or_alias(names, expected):
    assert [field.name for field in seen_fields(SCHEMA, names)] == expected


def test_an_unknown_field_is_refused_with_near_names():
    with pytest.raises(ConfigError, match="fields: Schema 'tiny' has no field 'item'. Did you mean 'item_id'"):
        seen_fields(SCHEMA, ["item"])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["205", "item_id"], "fields names 'item_id' twice, which is also '205'. Leave one out."),
        (["301", "205", "301"], "fields names '301' twice. Leave one out."),
    ],
)
def test_a_field_named_twice_is_refused(names, message):
    with pytest.raises(ConfigError, match=message):
        seen_fields(SCHEMA, names)
