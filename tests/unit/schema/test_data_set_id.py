"""The identity of a data set: equal for copies, another one for other records or another schema."""

from dataclasses import replace

from esmm_dist.schema.data_set_id import data_set_id
from esmm_dist.schema.differences import deciding_mapping
from tests.unit.schema.data_sets import SHOP, data_set, shard, split

SHARDS = (shard("train/lane-000-part-000.tfrecord"), shard("train/lane-001-part-000.tfrecord", 1))
SPLIT = split(2, 1, 0, SHARDS)
BEFORE = data_set({"train": SPLIT})


def test_identity_is_16_hex_digits_which_neither_report_nor_settings_nor_order_of_splits_change():
    found = data_set_id(BEFORE)
    assert len(found) == 16
    assert int(found, 16) >= 0
    test = replace(SPLIT, shards=(shard("test/lane-000-part-000.tfrecord"),))
    assert data_set_id(replace(BEFORE, report={"seconds": 3}, settings={"workers": 2})) == found
    one_way = data_set_id(data_set({"train": SPLIT, "test": test}))
    assert one_way == data_set_id(data_set({"test": test, "train": SPLIT}))
    assert one_way != found


def test_each_of_a_shards_name_size_and_checksum_and_each_setting_of_the_schema_change_it():
    first, second = SHARDS
    others = [
        data_set({"train": replace(SPLIT, shards=(replace(first, path="train/other"), second))}),
        data_set({"train": replace(SPLIT, shards=(replace(first, file_bytes=4), second))}),
        data_set({"train": replace(SPLIT, shards=(replace(first, crc32c=5), second))}),
        data_set({"train": replace(SPLIT, shards=(first,))}),
        replace(BEFORE, schema=replace(SHOP, name="shop-2")),
        replace(BEFORE, schema=replace(SHOP, fields=SHOP.fields[1:])),
    ]
    assert len({data_set_id(each) for each in (BEFORE, *others)}) == 1 + len(others)


def test_settings_that_are_not_set_do_not_count_so_that_a_new_one_changes_no_identity(monkeypatch):
    def with_a_new_setting(schema):
        mapping = deciding_mapping(schema)
        mapping["source"] |= {"new": None, "also_new": {"inner": ()}}
        for field in mapping["fields"]:
            field["newer"] = False
        return mapping

    found = data_set_id(BEFORE)
    monkeypatch.setattr("esmm_dist.schema.data_set_id.deciding_mapping", with_a_new_setting)
    assert data_set_id(BEFORE) == found
