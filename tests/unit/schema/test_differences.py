"""What two schemas differ in is told by setting and value."""

from dataclasses import replace

from esmm_dist.schema import Field, FlatSource, Schema
from esmm_dist.schema.differences import record_differences, schema_differences

SOURCE = FlatSource(form="flat", files={"train": "a.csv"}, labels={"click": "c", "order": "o"})
SHOP = Schema(
    name="shop",
    labels=("click", "order"),
    fields=(Field(name="user", owner="user"), Field(name="item", owner="item"), Field(name="shop", owner="item")),
    source=SOURCE,
)


def changed_field(name, **changes):
    return replace(SHOP, fields=tuple(replace(f, **changes) if f.name == name else f for f in SHOP.fields))


def test_equal_schemas_differ_in_nothing():
    assert schema_differences(SHOP, replace(SHOP)) == record_differences(SHOP, replace(SHOP)) == []


def test_where_a_log_lies_and_what_it_is_called_is_nothing_to_a_model():
    source = replace(SOURCE, files={"train": "b.csv"}, list_separator=";")
    other = replace(changed_field("item", alias="the item"), name="tomorrow", source=source)
    assert record_differences(other, SHOP) == []
    assert schema_differences(other, SHOP) == [
        "name is 'tomorrow', was 'shop'",
        "source.files.train is 'b.csv', was 'a.csv'",
        "source.list_separator is ';', was '|'",
        "fields.item.alias is 'the item', was 'item'",
    ]


def test_every_other_setting_of_a_field_is_told_with_both_values():
    other = changed_field("item", multi_hot=True, max_ids=5, combiner="mean")
    assert record_differences(other, SHOP, before_is="the model has") == [
        "fields.item.multi_hot is True, the model has False",
        "fields.item.combiner is 'mean', the model has 'sum'",
        "fields.item.max_ids is 5, the model has None",
    ]


def test_a_missing_field_another_order_and_other_labels_are_told():
    without = replace(SHOP, fields=SHOP.fields[:2])
    assert record_differences(without, SHOP) == ["order of fields is ['user', 'item'], was ['user', 'item', 'shop']"]
    turned = replace(SHOP, fields=(SHOP.fields[0], SHOP.fields[2], SHOP.fields[1]))
    assert record_differences(turned, SHOP) == [
        "order of fields is ['user', 'shop', 'item'], was ['user', 'item', 'shop']"
    ]
    relabelled = replace(SHOP, labels=("click", "buy"), source=replace(SOURCE, labels={"click": "c", "buy": "o"}))
    assert record_differences(relabelled, SHOP) == ["labels is ['click', 'buy'], was ['click', 'order']"]


def test_the_form_of_the_log_decides_the_ids_and_so_is_a_difference():
    raw = Schema(name="shop", labels=SHOP.labels, fields=SHOP.fields)
    assert record_differences(raw, SHOP) == ["source.form is 'aliccp', was 'flat'"]
