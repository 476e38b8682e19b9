"""How far known ids cover a data set: read from the report of preprocess, and put into warnings."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from esmm_dist.schema.coverage import (
    FieldCoverage,
    SplitCoverage,
    coverage_of,
    coverage_warnings,
    dataset_coverage,
    fields_cut_by,
    scored_coverage,
    scored_warnings,
)
from esmm_dist.schema.sources import AliCcpSource
from tests.unit.schema.data_sets import SHOP, data_set, split

GOOD = SplitCoverage(impressions=100, empty=10, unknown=20)


def field(train: SplitCoverage | None = GOOD, test: SplitCoverage | None = GOOD, **changes: object) -> FieldCoverage:
    """A field that needs no warning, with changes."""
    splits = {name: of_split for name, of_split in (("train", train), ("test", test)) if of_split is not None}
    known = FieldCoverage(name="item", alias="item", ids_of=None, distinct_ids=1000, kept_ids=500, splits=splits)
    return replace(known, **changes)  # type: ignore[arg-type]


def unknown(number: int, empty: int = 0) -> SplitCoverage:
    return SplitCoverage(impressions=100, empty=empty, unknown=number)


def warnings(*fields: FieldCoverage, carried: bool = False, apart: Mapping[str, set[str]] | None = None) -> list[str]:
    return coverage_warnings(fields, min_count=20, carried=carried, apart=apart or {})


REPORT: dict[str, dict[str, dict[str, Any]]] = {
    "splits": {
        "train": {"fields": {name: {"empty": 1, "unknown": n} for n, name in enumerate(("user", "history", "item"))}},
    },
    "vocabulary": {
        "user": {"distinct_ids": 8, "kept_ids": 6},
        "history": {"distinct_ids": 0, "kept_ids": 0},
        "item": {"distinct_ids": 5, "kept_ids": 4},
    },
}


def test_shares_are_of_all_impressions_and_zero_of_none():
    assert (GOOD.empty_share, GOOD.unknown_share) == (0.1, 0.2)
    nothing = SplitCoverage(impressions=0, empty=0, unknown=0)
    assert (nothing.empty_share, nothing.unknown_share, nothing.is_all_unknown) == (0.0, 0.0, False)


@pytest.mark.parametrize(
    ("coverage", "expected"),
    [
        (unknown(100), True),
        (unknown(70, empty=30), True),
        (unknown(69, empty=30), False),
        (unknown(0, empty=100), False),  # there are no ids that could be unknown
    ],
)
def test_all_is_unknown_where_there_are_ids_and_none_is_known(coverage: SplitCoverage, expected: bool):
    assert coverage.is_all_unknown is expected


def test_a_field_is_shown_with_its_alias_where_it_has_another():
    assert field().shown == "'item'"
    assert field(alias="the item").shown == "'item' (the item)"


def test_the_ids_of_a_field_that_has_those_of_another_are_counted_there():
    user, history, item = coverage_of(SHOP, REPORT, {"train": 10})
    assert [(each.distinct_ids, each.kept_ids) for each in (user, history, item)] == [(8, 6), (5, 4), (5, 4)]
    assert (history.ids_of, item.ids_of) == ("item", None)
    assert history.splits == {"train": SplitCoverage(impressions=10, empty=1, unknown=1)}


@pytest.mark.parametrize("report", [{}, {"splits": {"train": {"log": {}}}, "vocabulary": {}}])
def test_a_report_of_an_older_version_says_nothing(report: dict[str, object]):
    assert coverage_of(SHOP, report, {"train": 10}) == []
    assert dataset_coverage(data_set({"train": split(10, 5, 1)}, report=report)) == []


def test_the_coverage_of_a_data_set_is_that_of_its_report():
    manifest = data_set({"train": split(10, 5, 1)}, report=REPORT)
    assert dataset_coverage(manifest) == coverage_of(SHOP, REPORT, {"train": 10})


def test_fields_that_are_covered_need_no_warning():
    assert warnings(field(), field(name="user")) == []
    assert warnings() == []


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        # 1% of 1,000 ids: a number, not a category
        ({"kept_ids": 10}, r"10 of 1,000 ids kept, as almost every value is seldom\. .*make it numeric in the schema"),
        ({"kept_ids": 0, "distinct_ids": 99}, r"0 of 99 ids kept, so it says nothing to a model\. Lower min_count"),
        ({"train": unknown(50)}, r"50% of the train .* no known id \(500 of 1,000 ids kept; min_count is 20\)"),
        ({"test": unknown(31)}, r"31% of the test impressions \(20% of the train impressions\) have no known id"),
        ({"test": unknown(90, empty=10)}, r"not one of its ids in the test split is known\. Train and test"),
        ({"train": None, "test": unknown(10)}, r"10% of the test impressions have no known id: .*--vocabulary RUN"),
    ],
)  # fmt: skip
def test_a_field_that_is_hardly_covered_gets_one_warning(changes: dict[str, object], text: str):
    bad = field(**changes)  # type: ignore[arg-type]
    (line,) = warnings(field(name="user"), bad)
    assert re.fullmatch(f"Field 'item': {text}.*", line)


@pytest.mark.parametrize(
    "changes",
    [
        {"kept_ids": 11},
        {"kept_ids": 1, "distinct_ids": 99},  # few ids may all be seldom
        {"train": unknown(49)},
        {"test": unknown(29)},
        {"kept_ids": None, "distinct_ids": None, "train": unknown(90), "test": unknown(90)},
        {"ids_of": "item", "name": "history", "kept_ids": 0, "distinct_ids": 99},  # the item has the warning
    ],
)
def test_at_the_border_of_a_warning_there_is_none(changes: dict[str, object]):
    assert warnings(field(name="user"), field(**changes)) == []  # type: ignore[arg-type]


def test_ids_of_the_column_that_cuts_the_splits_are_new_in_test_and_that_is_no_warning():
    user = field(name="user", test=unknown(100))
    assert warnings(field(), user, apart={"test": {"user"}}) == []
    assert len(warnings(field(), user)) == 1


@pytest.mark.parametrize(
    ("carried", "text"),
    [(False, "Train and test write their ids differently"), (True, "than those of --like or --vocabulary")],
)
def test_a_test_split_without_a_known_id_gets_one_warning_for_all_fields(carried: bool, text: str):
    fields = [field(test=unknown(100)), field(name="user", test=unknown(60, empty=40))]
    (line,) = warnings(*fields, carried=carried)
    assert line.startswith("Not one id of the test split is known: every prediction there is the same.")
    assert text in line


def test_scored_impressions_are_compared_with_the_train_split_as_preprocess_saw_it():
    manifest = data_set({"train": split(10, 5, 1), "test": split(8, 1, 0)}, report=with_test())
    counts = {"user": (8, 6, 5), "history": (8, 8, 8), "item": (8, 4, 0)}
    user, history, item = scored_coverage(manifest, "test", counts)
    # user: 2 empty in the log, as preprocess counted; of the other 6, 5 have an id that the model has learned
    assert user.splits["test"] == SplitCoverage(impressions=8, empty=2, unknown=1)
    assert history.splits["test"] == SplitCoverage(impressions=8, empty=0, unknown=0)
    assert item.splits["test"] == SplitCoverage(impressions=8, empty=3, unknown=5)
    assert item.splits["train"] == SplitCoverage(impressions=10, empty=1, unknown=2)
    assert (item.distinct_ids, item.kept_ids) == (5, 4)


def with_test() -> dict[str, object]:
    empty = {"user": 2, "history": 0, "item": 3}
    of_test = {"fields": {name: {"empty": number, "unknown": 1} for name, number in empty.items()}}
    return {**REPORT, "splits": {"train": REPORT["splits"]["train"], "test": of_test}}


def test_without_a_report_what_the_records_lack_counts_as_empty():
    manifest = data_set({"test": split(8, 1, 0)})
    user, _, _ = scored_coverage(manifest, "test", {name: (8, 6, 5) for name in ("user", "history", "item")})
    assert user.splits == {"test": SplitCoverage(impressions=8, empty=2, unknown=1)}
    assert (user.distinct_ids, user.kept_ids) == (None, None)


def test_a_model_that_knows_the_scored_ids_gets_no_warning():
    assert scored_warnings([field(), field(name="user")], "test") == []


@pytest.mark.parametrize(
    ("fields", "split_name", "text"),
    [
        ([field(test=unknown(100))], "test", "The model has learned not one id of the test split"),
        (
            [field(name="user"), field(test=unknown(100))],
            "test",
            "Field 'item': the model has learned not one of its ids in the test split.",
        ),
        ([field(test=unknown(31))], "test", "Field 'item': 31% of the test impressions hold no id that the model"),
        # train itself has nothing to be compared with
        ([field(train=unknown(10))], "train", "Field 'item': 10% of the train impressions hold no id that the model"),
    ],
)
def test_a_model_that_knows_too_little_of_a_field_is_told(fields: list[FieldCoverage], split_name: str, text: str):
    (line,) = scored_warnings(fields, split_name)
    assert line.startswith(text)


def test_a_field_that_a_split_was_cut_by_is_not_warned_of():
    fields = [field(name="user", test=unknown(100)), field(test=unknown(31))]
    (line,) = scored_warnings(fields, "test", ["user"])
    assert line.startswith("Field 'item': 31%")


@pytest.mark.parametrize("form", ["flat", "aliccp"])
def test_users_who_were_cut_out_for_validation_are_unknown_on_purpose(form: str):
    source = SHOP.source if form == "flat" else AliCcpSource()
    schema = replace(SHOP, fields=tuple(each for each in SHOP.fields if each.name != "history"), source=source)
    manifest = replace(data_set({"train": split(10, 5, 1)}), schema=schema)
    assert fields_cut_by(manifest, "validation") == []
    cut = replace(manifest, settings={"validation_share": 0.1})
    assert fields_cut_by(cut, "validation") == fields_cut_by(cut, "test") == ["user"]
    assert fields_cut_by(cut, "train") == []


def test_a_validation_split_is_warned_of_like_a_test_split_and_beside_it():
    found = field(test=unknown(100))
    found = replace(found, splits={**found.splits, "validation": unknown(35)})
    text = warnings(field(name="user"), found)
    assert [each.partition(". ")[0] for each in text] == [
        "Field 'item': 35% of the validation impressions (20% of the train impressions) have no known id: theirs are "
        "new, or written differently",
        "Field 'item': not one of its ids in the test split is known",
    ]
    alone = field(test=None)
    alone = replace(alone, splits={**alone.splits, "validation": unknown(100)})
    [text_of_all] = warnings(alone)
    assert text_of_all.startswith("Not one id of the validation split is known: every prediction there is the same. Tr")
    assert "Train and validation write their ids differently" in text_of_all


def test_a_column_that_is_filled_in_train_alone_is_warned_of_and_one_without_a_value_too():
    empty = SplitCoverage(impressions=100, empty=100, unknown=0)
    found = warnings(field(name="user"), field(test=empty))
    assert found == [
        "Field 'item': 100% of the test impressions have no value, and 10% of train, where a model learns what its "
        "absence means. Is the column filled alike?"
    ]
    (line,) = warnings(field(name="user"), field(train=empty, test=empty))
    assert line == "Field 'item': no train impression has a value. Fill the column, or leave the field out."
