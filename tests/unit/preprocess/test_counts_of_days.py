"""Impressions and labels of each calendar day, in the report of a data set: against counts made of the raw text."""

import datetime
import random
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from esmm_dist.schema.manifest import DatasetManifest
from tests.unit.preprocess.events.event_logs import BEGIN, make_log, write_log
from tests.unit.preprocess.plans import use_plan
from tests.unit.preprocess.raw_logs import files, run
from tests.unit.preprocess.raw_logs import make_log as aliccp_log

ZONE = "America/New_York"
SCHEMA = """
name: own
labels: [click, buy, like after click]
source:
  form: flat
  files: {train: "log*.csv"}
  labels: {click: click, buy: buy, like: like}
  sample_id: id
  %s
fields:
  - {name: user, owner: user}
  - {name: item, owner: item}
"""
TIME = f"time: at\n  time_zone: {ZONE}"
FIRST = 1_709_251_200  # 2024-03-01 in UTC


def rows(number: int = 900) -> pd.DataFrame:
    """Draw a log with repeated sample ids, bad labels and times that are missing."""
    draw = random.Random(5)
    return pd.DataFrame(
        {
            "id": [draw.randrange(number) for _ in range(number)],
            "user": [f"u{draw.randrange(40)}" for _ in range(number)],
            "item": [f"i{draw.randrange(30)}" for _ in range(number)],
            "at": [_time(FIRST + draw.randrange(4 * 86_400), draw.randrange(20)) for _ in range(number)],
            "click": ["?" if draw.random() < 0.01 else draw.choice("001") for _ in range(number)],
            "buy": [draw.choice("0001") for _ in range(number)],
            "like": [draw.choice("01") for _ in range(number)],
        }
    )


def _time(second: int, form: int) -> str:
    if form == 0:
        return ""
    if form == 1:
        return "yesterday"
    return str(second) if form % 2 else datetime.datetime.fromtimestamp(second, datetime.UTC).isoformat()


def write(folder: Path, log: pd.DataFrame, source: str = TIME, parts: int = 3) -> dict[str, Any]:
    raw = folder / "raw"
    raw.mkdir()
    for part in range(parts):
        log.iloc[len(log) * part // parts : len(log) * (part + 1) // parts].to_csv(raw / f"log-{part}.csv", index=False)
    (folder / "own.yaml").write_text(SCHEMA % source)
    return {"raw": raw, "schema": str(folder / "own.yaml"), "max_reject_share": 1.0}


def accepted(log: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that are impressions, with the day of each; ``""`` where its time says none."""
    good = log[log.click != "?"].drop_duplicates("id").copy()
    for name in ("click", "buy", "like"):
        good[name] = good[name].astype(int)
    good["day"] = good["at"].map(day_of)
    return good


def day_of(text: str) -> str:
    if text.isdigit():
        moment = datetime.datetime.fromtimestamp(int(text), datetime.UTC)
    elif text[:1] == "2":
        moment = datetime.datetime.fromisoformat(text)
    else:
        return ""
    return moment.astimezone(ZoneInfo(ZONE)).date().isoformat()


def counted(good: pd.DataFrame) -> dict[str, Any]:
    """Return what the report must say of each day."""
    return {
        str(day): {
            "impressions": len(part),
            "labels": {
                "click": int(part.click.sum()),
                "buy": int((part.click * part.buy).sum()),
                "like": int((part.click * part.like).sum()),
            },
            "broken": {
                "buy": int(((1 - part.click) * part.buy).sum()),
                "like": int(((1 - part.click) * part.like).sum()),
            },
        }
        for day, part in good.groupby("day")
    }


def days_of(manifest: DatasetManifest, split: str = "train") -> dict[str, Any]:
    found: dict[str, Any] = manifest.report["splits"][split]
    assert list(found["days"]) == sorted(found["days"])
    return {**({"": found["without_day"]} if "without_day" in found else {}), **found["days"]}


def test_each_day_has_its_impressions_and_labels_without_rejected_and_repeated_lines(tmp_path: Path):
    log = rows()
    manifest = run(out=tmp_path / "out", **write(tmp_path, log))
    expected = counted(accepted(log))
    assert len(expected) == 6  # February 29th in New York to March 4th, and without a time
    assert days_of(manifest) == expected
    rejected = manifest.report["splits"]["train"]["log"]["rejected"]
    assert rejected.keys() == {"bad_label", "repeated_sample_id"}


def test_the_days_of_each_split_are_those_of_its_impressions(tmp_path: Path):
    log = rows().drop_duplicates("id")
    settings = write(tmp_path, log, f"{TIME}\n  split: {{test_share: 0.3, by: user}}")
    manifest = run(out=tmp_path / "out", **settings, validation_share=0.3)
    parts = [days_of(manifest, split) for split in ("train", "validation", "test")]
    assert all(parts)
    for day, whole in counted(accepted(log)).items():
        for name in ("click", "buy", "like"):
            assert sum(part[day]["labels"][name] for part in parts if day in part) == whole["labels"][name]


def test_workers_memory_and_packing_change_nothing_of_the_days(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    log = rows()
    settings = write(tmp_path, log)
    one = run(out=tmp_path / "one", **settings)
    with monkeypatch.context() as patch:
        use_plan(patch, partitions=7, chunk_bytes=3_000)
        many = run(out=tmp_path / "many", **settings, workers=2)
    assert many.report["splits"]["train"]["days"] == one.report["splits"]["train"]["days"]
    assert files(tmp_path / "one") == files(tmp_path / "many")


def test_negatives_that_are_left_out_are_counted_by_day(tmp_path: Path):
    log = rows().drop_duplicates("id")
    settings = write(tmp_path, log)
    found = days_of(run(out=tmp_path / "out", **settings, keep_negatives=0.3))
    for day, whole in counted(accepted(log)).items():
        assert found[day]["labels"] == whole["labels"]
        assert found[day]["impressions"] + found[day]["left_out_negatives"] == whole["impressions"]


def test_records_are_the_same_bytes_with_and_without_the_time(tmp_path: Path):
    settings = write(tmp_path, rows())
    with_days = run(out=tmp_path / "with", **settings)
    Path(settings["schema"]).write_text(SCHEMA % "")
    without = run(out=tmp_path / "without", **settings)
    assert "days" in with_days.report["splits"]["train"]
    assert "days" not in without.report["splits"]["train"]
    assert with_days.splits == without.splits


@pytest.mark.parametrize(
    ("times", "found"),
    [
        (["2024-05-01", "2024-05-02", "2024-05-03"], ["2024-05-01", "2024-05-02"]),
        ([1, 2, 900_000], None),  # in the order of time, but no times
    ],
)
def test_the_column_of_a_split_by_time_has_days_if_its_numbers_can_be_days(
    tmp_path: Path, times: list[object], found: list[str] | None
):
    log = pd.DataFrame({"id": range(3), "user": "u", "item": "i", "at": times, "click": 1, "buy": 0, "like": 0})
    settings = write(tmp_path, log, "split: {test_share: 0.34, by: time, time: at}")
    days = run(out=tmp_path / "out", **settings).report["splits"]["train"].get("days")
    assert (None if days is None else list(days)) == found


def test_days_of_an_event_log_are_those_of_its_impressions(tmp_path: Path):
    log = make_log(200)
    raw, schema = write_log(tmp_path, log)
    found = days_of(run(raw, tmp_path / "out", schema=schema))
    shown = pd.DataFrame(log.labels, columns=["click", "buy"])
    shown["day"] = [(BEGIN + datetime.timedelta(seconds=i["shown_at"])).date().isoformat() for i in log.impressions]
    by_day = shown.groupby("day")
    assert {day: (of["impressions"], of["labels"]) for day, of in found.items()} == {
        day: (len(part), {"click": part.click.sum(), "buy": part.buy.sum()}) for day, part in by_day
    }


def test_a_log_of_the_ali_ccp_form_has_no_days(tmp_path: Path):
    manifest = run(aliccp_log().write(tmp_path / "raw"), tmp_path / "out")
    assert "days" not in manifest.report["splits"]["train"]
