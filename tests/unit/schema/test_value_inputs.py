from esmm_dist.schema.fields import Schema
from esmm_dist.schema.value_inputs import ColumnInputs, named_inputs, spoken_names


def test_an_alias_names_an_input_where_the_field_s_own_name_begins_with_no_letter():
    inputs = named_inputs(Schema.from_yaml("aliccp"))
    assert inputs["101"] == ColumnInputs(value="user_id", lengths=None, weights=None)
    assert inputs["210"] == ColumnInputs(
        value="item_intentions", lengths="item_intentions_lengths", weights="item_intentions_weights"
    )


def test_a_plain_name_stays_and_a_taken_alias_gets_a_number():
    fields = [
        {"name": "1", "alias": "item", "owner": "user"},
        {"name": "2", "alias": "item", "owner": "item"},
        {"name": "item", "alias": "thing", "owner": "item"},
        {"name": "3 x", "alias": "also no plain name", "owner": "item"},
        {"name": "user id", "alias": "user", "owner": "item"},
    ]
    schema = Schema.from_dict({"name": "s", "labels": ["click", "buy"], "fields": fields})
    assert [each.value for each in named_inputs(schema).values()] == ["item_2", "item_3", "item", "f_3_x", "user_id"]


def test_a_field_is_spoken_of_by_an_alias_of_its_own():
    fields = [
        {"name": "1", "alias": "item", "owner": "user"},
        {"name": "2", "alias": "item", "owner": "item"},
        {"name": "3", "alias": "price", "owner": "item"},
        {"name": "4", "alias": "shop", "owner": "item"},
        {"name": "shop", "owner": "item"},
    ]
    schema = Schema.from_dict({"name": "s", "labels": ["click", "buy"], "fields": fields})
    assert spoken_names(schema) == {"1": "1", "2": "2", "3": "price", "4": "4", "shop": "shop"}
