"""How far known ids cover a data set, as a table."""

from esmm_dist.inference.tables.coverage_table import coverage_table
from esmm_dist.schema.coverage import FieldCoverage, SplitCoverage


def field(name, splits, **changes):
    counts = {name: SplitCoverage(impressions=1000, empty=empty, unknown=unknown) for name, empty, unknown in splits}
    values = {"alias": name, "ids_of": None, "distinct_ids": 12345, "kept_ids": 678, "splits": counts}
    return FieldCoverage(name=name, **{**values, **changes})


def rows(*fields):
    return [" ".join(line.split()) for line in coverage_table(fields)]


def test_a_field_has_its_ids_and_for_each_split_the_shares_that_are_empty_and_unknown():
    assert rows(field("user", [("train", 0, 12), ("test", 100, 356)])) == [
        "field ids in train kept train empty train unknown test empty test unknown",
        "user 12,345 678 0 1.2% 10.0% 35.6%",
    ]


def test_a_data_set_without_a_train_split_shows_no_counts_of_ids():
    assert rows(field("user", [("test", 0, 0)])) == ["field test empty test unknown", "user 0 0"]


def test_a_field_shows_its_alias_and_whose_ids_it_has():
    found = rows(
        field("101", [("train", 0, 0)], alias="user_id"),
        field("clicked", [("train", 0, 0)], ids_of="item"),
        field("old", [("train", 0, 0)], distinct_ids=None, kept_ids=None),  # an older version counted nothing
    )
    assert found[1:] == ["101 user_id 12,345 678 0 0", "clicked of item 0 0", "old 0 0"]


def test_without_fields_there_is_no_table():
    assert coverage_table([]) == []
