"""A log of events is cut by the days of its impressions, as its flat log is."""

import datetime
from pathlib import Path

import pytest

from preprocess.by_day import preprocess_by_day
from preprocess.config import PreprocessConfig
from tests.unit.preprocess.events.event_logs import BEGIN, DAY, EventLog, make_log, write_flat, write_log
from tests.unit.preprocess.raw_logs import Messages, run, shard_bytes

TIMES = "\n  time_zone: Asia/Tokyo\n"
HOURS = "  - {name: hour, owner: context, of_time: hour}\n  - {name: weekday, owner: context, of_time: weekday}\n"


@pytest.fixture(scope="module")
def log() -> EventLog:
    return make_log(200)


def both(folder: Path, log: EventLog) -> dict[str, dict[str, object]]:
    """Return raw folder and schema of both forms, with hours and weekdays in Tokyo; texts carry no zone."""
    found: dict[str, dict[str, object]] = {}
    for form, written in (("events", write_log(folder, log)), ("flat", write_flat(folder, log))):
        raw, schema = written
        path, time = Path(schema), "" if form == "events" else "\n  time: shown_at"
        text = path.read_text().replace(f"  form: {form}\n", f"  form: {form}{time}{TIMES}")
        path.write_text(text + HOURS)
        found[form] = {"raw": raw, "schema": schema}
    return found


CUTS: list[dict[str, object]] = [
    {"validation_days": 1, "test_days": 2},
    {"days": "2024-03-03..2024-03-04", "keep_negatives": 0.5},
    {"train_until": "2024-03-05", "validation_days": 1, "test_days": 1},
]


@pytest.mark.parametrize("settings", CUTS)
def test_the_splits_of_events_are_those_of_the_flat_log(tmp_path: Path, log: EventLog, settings: dict[str, object]):
    forms = both(tmp_path, log)
    made = {form: run(out=tmp_path / "out" / form, **given, **settings) for form, given in forms.items()}  # type: ignore[arg-type]
    assert shard_bytes(tmp_path / "out/events", made["events"]) == shard_bytes(tmp_path / "out/flat", made["flat"])
    found = made["events"].report["days"]
    assert found["splits"] == made["flat"].report["days"]["splits"]
    dates = [(BEGIN + datetime.timedelta(seconds=row["shown_at"])).date().isoformat() for row in log.impressions]
    days = {day: count for split in [*found["splits"].values(), found["other_days"]] for day, count in split.items()}
    assert days == {day: dates.count(day) for day in sorted(set(dates), key=list(days).index)}


def test_each_day_of_events_continues_the_one_before(tmp_path: Path, log: EventLog):
    forms, made = both(tmp_path, log), {}
    for form, given in forms.items():
        config = PreprocessConfig(
            out=tmp_path / "by-day" / form,
            by_day=True,
            days="2024-03-02..2024-03-04",
            min_count=2,
            **given,  # type: ignore[arg-type]
        )
        made[form] = preprocess_by_day(config, Messages())
    assert list(made["events"]) == ["2024-03-02", "2024-03-03", "2024-03-04"]
    for day in made["events"]:
        folders = [tmp_path / "by-day" / form / day for form in ("events", "flat")]
        of_events, of_flat = (shard_bytes(folder, made[folder.parent.name][day]) for folder in folders)
        assert of_events == of_flat


def test_impressions_whose_windows_are_open_are_of_no_day(tmp_path: Path, log: EventLog):
    forms = both(tmp_path, log)
    made = run(out=tmp_path / "out", open_window="drop", validation_days=1, **forms["events"])  # type: ignore[arg-type]
    tables = [made.report["splits"][split]["log"] for split in ("train", "validation")]
    dropped = sum(table.get("too_recent", 0) for table in tables)
    assert dropped > 0
    assert sum(sum(days.values()) for days in made.report["days"]["splits"].values()) == len(log.impressions) - dropped
    assert DAY == 86_400
