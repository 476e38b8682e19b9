"""Schemas of event logs: what they say, and what is refused."""

from typing import Any

import pytest

from esmm_dist.config import build, to_mapping
from esmm_dist.errors import SchemaError
from esmm_dist.schema.differences import record_differences
from esmm_dist.schema.fields import Schema


def mapping(**source: Any) -> dict[str, Any]:
    click = {"files": "click/*.jsonl", "time": "at", "window_hours": 1}
    buy = {"files": "buy/*.csv", "time": "at", "window_days": 7, "after": "click"}
    return {
        "name": "own",
        "labels": ["click", "buy"],
        "fields": [{"name": "user", "owner": "user"}, {"name": "item", "owner": "item"}],
        "source": {
            "form": "events",
            "impressions": {"files": "shown/*", "time": "shown_at"},
            "join": ["request"],
            "labels": {"click": click, "buy": buy},
            **source,
        },
    }


def schema(**source: Any) -> Schema:
    return build(Schema, mapping(**source), where="own.yaml", error=SchemaError)


def label(**settings: Any) -> dict[str, Any]:
    labels = mapping()["source"]["labels"]
    return {"labels": {**labels, "buy": {**labels["buy"], **settings}}}


def test_flat_source_is_that_of_the_joined_impressions():
    found = schema(keep=["item"], encoding="latin-1", split={"by": "time", "test_share": 0.2})
    flat = found.flat_source
    assert flat is not None
    assert flat.files == {"train": "shown/*"}
    assert flat.labels == {"click": "click", "buy": "buy"}
    assert (flat.keep, flat.encoding) == (("item",), "iso8859-1")
    assert flat.split is not None
    assert flat.split.column == "shown_at"
    assert build(Schema, to_mapping(found), where="manifest", error=SchemaError) == found
    named = schema(impressions={"files": {"train": "a/*", "test": "b/*"}, "time": "at"})
    assert named.flat_source is not None
    assert named.flat_source.files == {"train": "a/*", "test": "b/*"}


def test_windows_are_counted_in_microseconds():
    source = schema().events_source
    assert source is not None
    assert source.labels["click"].window_us == 3_600_000_000
    assert source.labels["buy"].window_us == 7 * 24 * 3_600_000_000


def test_one_column_names_an_impression_and_several_leave_it_to_the_time():
    for join, by, is_by_id in ((["a"], None, True), (["a", "b"], None, False), (["a", "b"], "id", True)):
        source = schema(join=join, joined_by=by).events_source
        assert source is not None
        assert source.is_by_id == is_by_id


def test_model_of_events_may_see_a_flat_log():
    flat = {**mapping()["source"], "form": "flat", "files": {"train": "x"}, "labels": {"click": "c", "buy": "b"}}
    flat = {name: flat[name] for name in ("form", "files", "labels")}
    other = build(Schema, {**mapping(), "source": flat}, where="flat.yaml", error=SchemaError)
    assert record_differences(other, schema()) == []


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"join": []}, r"source\.join is empty"),
        ({"join": ["a", "a"]}, r"source\.join names column 'a' twice"),
        ({"time_zone": "Europe/Berln"}, r"time_zone is 'Europe/Berln'.*Did you mean 'Europe/Berlin'"),
        ({"encoding": "utf-16"}, r"source\.encoding is 'utf-16'"),
        ({"impressions": {"files": " ", "time": "at"}}, r"impressions\.files is empty"),
        ({"impressions": {"files": {}, "time": "at"}}, r"impressions\.files is empty"),
        ({"impressions": {"files": {"tran": "x"}, "time": "at"}}, r"for 'tran', which is not a split.*'train'"),
        ({"impressions": {"files": "x", "time": ""}}, r"impressions\.time is empty"),
        (label(window_hours=3), r"window_hours and window_days are both set"),
        (label(window_days=None), r"window_hours and window_days are not set"),
        (label(window_days=0), r"window_days is 0\. Set a number above 0"),
        (label(files=""), r"files is empty"),
        (label(after="buy"), r"buy\.after is 'buy', which is not a label on the way.*Name one of click"),
        (label(touch="first"), r"buy\.touch is 'first', but one impression at most.*joined_by: time"),
        ({"labels": {"click": label()["labels"]["click"]}}, r"names no events for label 'buy'"),
        (
            {"labels": {**label()["labels"], "byu": label()["labels"]["buy"]}},
            r"names 'byu', which is not a label.*'buy'",
        ),
    ],
)
def test_wrong_source_is_refused(source: dict[str, Any], message: str):
    with pytest.raises(SchemaError, match=message):
        schema(**source)


def test_first_label_comes_after_none():
    labels = mapping()["source"]["labels"]
    with pytest.raises(SchemaError, match=r"click\.after is 'buy'.*Leave out after"):
        schema(labels={**labels, "click": {**labels["click"], "after": "buy"}})


def test_field_may_not_be_named_like_a_label():
    wrong = mapping()
    wrong["fields"].append({"name": "click", "owner": "context"})
    with pytest.raises(SchemaError, match="field 'click' is also the column of label 'click'"):
        build(Schema, wrong, where="own.yaml", error=SchemaError)
