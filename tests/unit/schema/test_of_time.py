"""Fields that are the hour or the weekday of the time: what a schema may say of them."""

from typing import Any

import pytest

from esmm_dist.config import build
from esmm_dist.errors import SchemaError
from esmm_dist.schema import load_schema
from esmm_dist.schema.differences import record_differences
from esmm_dist.schema.fields import Schema


def schema(hour: dict[str, Any], source: dict[str, Any] | None = None, *more: dict[str, Any]) -> Schema:
    mapping = {
        "name": "own",
        "labels": ["click", "order"],
        "source": {
            "form": "flat",
            "files": {"train": "a.csv"},
            "labels": {"click": "c", "order": "o"},
            **({"time": "at"} if source is None else source),
        },
        "fields": [{"name": "item", "owner": "item"}, {"name": "hour", **hour}, *more],
    }
    return build(Schema, mapping, where="own.yaml", error=SchemaError)


HOUR = {"owner": "context", "of_time": "hour"}


def test_a_missing_time_is_a_value_of_its_own_unless_told_otherwise():
    field = schema(HOUR).field("hour")
    assert (field.missing, field.is_column, field.is_category) == ("id", False, False)
    assert schema({**HOUR, "missing": "none"}).field("hour").missing == "none"


WRONG: list[tuple[dict[str, Any], dict[str, Any] | None, str]] = [
    ({**HOUR, "of_time": "minute"}, None, r"fields\[1\]\.of_time is 'minute'"),
    ({**HOUR, "owner": "user"}, None, r"its owner is user, but the hour of an impression changes with each\. Set"),
    ({**HOUR, "owner": "item"}, None, r"its owner is item, but the hour"),
    ({**HOUR, "multi_hot": True}, None, r"'hour' is the hour of the time: it has one value\. Leave out multi_hot"),
    ({**HOUR, "weighted": True}, None, r"'hour' is the hour of the time: it has one value\. Leave out weighted"),
    ({**HOUR, "ids_of": "item"}, None, r"'hour' is the hour of the time: it has one value\. Leave out ids_of"),
    ({**HOUR, "numeric": {"buckets": [6, 12]}}, None, r"'hour': it has of_time and numeric\. Make two fields"),
    ({**HOUR, "cross": ["item", "item2"]}, None, r"'hour': it has of_time and cross\. Make two fields"),
    (HOUR, {}, r"'hour' is the hour of the time \(of_time\), but source\.time names no column\. Set source\.time"),
    (HOUR, {"time": ""}, r"source\.time is empty\. Name a column of the log, or leave it out"),
    (HOUR, {"time": "c"}, r"source\.time reads column 'c', which is label 'click'"),
    (HOUR, {"time": "at", "time_zone": "Europa/Berlin"}, r"time_zone is 'Europa/Berlin', which is no time zone"),
]  # fmt: skip


@pytest.mark.parametrize(("hour", "source", "message"), WRONG)
def test_what_does_not_go_together_is_refused(hour: dict[str, Any], source: dict[str, Any] | None, message: str):
    with pytest.raises(SchemaError, match=message):
        schema(hour, source)


def test_the_ali_ccp_form_has_no_time():
    aliccp = load_schema("aliccp")
    mapping = {"name": "x", "labels": list(aliccp.labels), "fields": [{"name": "hour", **HOUR}]}
    with pytest.raises(SchemaError, match=r"but the Ali-CCP form has no time\. Leave it out"):
        build(Schema, mapping, where="own.yaml", error=SchemaError)


def test_its_ids_are_its_own_and_it_may_be_part_of_a_cross():
    both = {"name": "both", "owner": "context", "cross": ["item", "hour"]}
    assert schema(HOUR, None, both).field("both").cross == ("item", "hour")
    copy = {"name": "copy", "owner": "context", "ids_of": "hour"}
    with pytest.raises(SchemaError, match=r"ids_of is 'hour', which is the hour of the time"):
        schema(HOUR, None, copy)


def test_the_zone_decides_what_an_hour_means_to_a_model_and_nothing_else():
    berlin = {"time": "at", "time_zone": "Europe/Berlin"}
    assert record_differences(schema(HOUR, berlin), schema(HOUR)) == ["source.time_zone is 'Europe/Berlin', was 'UTC'"]
    plain = {"owner": "context"}
    assert record_differences(schema(plain, berlin), schema(plain, {})) == []
