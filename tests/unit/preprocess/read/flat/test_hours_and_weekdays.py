"""Fields that are the hour or the weekday of the time, in records."""

import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from esmm_dist.errors import SchemaError
from esmm_dist.schema.feature_id import cross_id, feature_id, missing_id
from esmm_dist.schema.manifest import DatasetManifest
from tests.unit.preprocess.raw_logs import read_impressions, rejects, run

SCHEMA = """
name: own
labels: [click, conversion]
source:
  form: flat
  files: {train: log.csv}
  labels: {click: clicked, conversion: bought}
  time: at
  time_zone: %s
fields:
  - {name: user, owner: user}
  - {name: item, owner: item}
  - {name: hour, owner: context, of_time: %s}
  - {name: weekday, owner: context, of_time: weekday, missing: none}
  - {name: item_hour, owner: context, cross: [item, hour]}
"""


def write(folder: Path, times: list[object], zone: str = "UTC", hour: str = "hour") -> tuple[Path, str]:
    (folder / "raw").mkdir(exist_ok=True)
    rows = "".join(f"u{n % 3},i{n % 2},{time},0,0\n" for n, time in enumerate(times))
    (folder / "raw" / "log.csv").write_text("user,item,at,clicked,bought\n" + rows)
    (folder / "own.yaml").write_text(SCHEMA % (zone, hour))
    return folder / "raw", str(folder / "own.yaml")


def context_ids(out: Path, manifest: DatasetManifest) -> list[dict[str, int]]:
    """Return the ids of the fields of the context of each impression."""
    return [
        {name: id_ for name, id_, _ in each.own if name != "item"} for each in read_impressions(out, manifest, "train")
    ]


def expected(number: int, moment: datetime.datetime) -> dict[str, int]:
    hour = feature_id("hour", str(moment.hour))
    item = feature_id("item", f"i{number % 2}")
    assert hour is not None
    assert item is not None
    weekday = feature_id("weekday", str(moment.isoweekday()))
    assert weekday is not None
    return {"hour": hour, "weekday": weekday, "item_hour": cross_id("item_hour", [item, hour])}


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kolkata"])
def test_ids_are_those_of_the_texts_of_hours_and_weekdays_in_the_zone(tmp_path: Path, zone: str):
    begin = int(datetime.datetime(2024, 3, 30, 22, tzinfo=datetime.UTC).timestamp())
    seconds = [begin + 1800 * n for n in range(60)]  # Berlin's clocks are put forward within
    raw, schema = write(tmp_path, list(seconds), zone)
    manifest = run(raw, tmp_path / "out", schema=schema)
    moments = [datetime.datetime.fromtimestamp(second, ZoneInfo(zone)) for second in seconds]
    assert context_ids(tmp_path / "out", manifest) == [expected(n, each) for n, each in enumerate(moments)]
    assert {each.isoweekday() for each in moments} >= {7, 1}
    assert len({each.hour for each in moments}) >= 23


def test_a_missing_time_is_a_value_and_an_unreadable_one_a_reject(tmp_path: Path):
    raw, schema = write(tmp_path, ["2024-03-30T05:00", "", "soon", "2024-03-30T05:59:59", "2024-03-30"])
    manifest = run(raw, tmp_path / "out", schema=schema)
    first, missing, last = context_ids(tmp_path / "out", manifest)
    assert first["hour"] == last["hour"] == feature_id("hour", 5)
    assert missing["hour"] == missing_id("hour")
    assert "weekday" not in missing  # missing: none
    assert "item_hour" in missing
    assert rejects(tmp_path / "out") == [("log.csv", 4, "bad_time"), ("log.csv", 6, "bad_time")]
    assert manifest.report["splits"]["train"]["fields"]["hour"] == {"empty": 1, "unknown": 0}


def test_whole_days_have_a_weekday_and_no_hour(tmp_path: Path):
    raw, schema = write(tmp_path, [20240330, 20240331])
    with pytest.raises(
        SchemaError,
        match=r"Field 'hour' is the hour of the time .* column 'at', which holds whole days such as 20240330\. Set",
    ):
        run(raw, tmp_path / "out", schema=schema)
    raw, schema = write(tmp_path, [20240330, 20240331], hour="weekday")
    manifest = run(raw, tmp_path / "out", schema=schema)
    found = context_ids(tmp_path / "out", manifest)
    assert [each["weekday"] for each in found] == [feature_id("weekday", 6), feature_id("weekday", 7)]
