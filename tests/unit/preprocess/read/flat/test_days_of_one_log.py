"""A flat log that is cut by the calendar days of its impressions: splits, days alone, all forms of times."""

import datetime
import gzip
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from esmm_dist.errors import ConfigError, InputDataError, SchemaError
from esmm_dist.progress import NoProgress
from esmm_dist.schema.manifest import DatasetManifest
from preprocess.config import PreprocessConfig
from preprocess.report import report_lines
from preprocess.run import preprocess
from tests.unit.preprocess.plans import use_plan
from tests.unit.preprocess.raw_logs import Messages, files, read_impressions, rejects, run, shard_bytes

SCHEMA = """
name: own
labels: [click, conversion]
source:
  form: flat
  files: {%s}
  labels: {click: clicked, conversion: bought}
  %s
fields:
  - {name: user, owner: user}
  - {name: item, owner: item}
  - {name: price, owner: item, numeric: {buckets: quantile 4}}
"""

Row = tuple[object, ...]
TIME = "time: at"
TRAIN = 'train: "log.*"'


def write_schema(folder: Path, source: str = TIME, names: str = TRAIN) -> str:
    (folder / "own.yaml").write_text(SCHEMA % (names, source))
    return str(folder / "own.yaml")


def write(folder: Path, rows: Sequence[Row], name: str = "log.csv") -> Path:
    (folder / "raw").mkdir(exist_ok=True)
    text = "user,item,at,price,clicked,bought\n" + "".join(",".join(map(str, row)) + "\n" for row in rows)
    (folder / "raw" / name).write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return folder / "raw"


def numbers(out: Path, manifest: DatasetManifest, split: str) -> list[int]:
    """Sample ids, which are the rows' numbers in the log, from 1."""
    return [i.sample_id for i in read_impressions(out, manifest, split)]


def all_numbers(out: Path, manifest: DatasetManifest) -> dict[str, list[int]]:
    return {split: numbers(out, manifest, split) for split in manifest.splits}


DAYS = [20220428, 20220425, 20220427, 20220425, 20220430, 20220426, 20220427, 20220430, 20220428, 20220425] * 6
ROWS: list[Row] = [(n % 11, n % 7, day, n % 13 + 0.5, n % 2, 0) for n, day in enumerate(DAYS)]


def of_days(*days: int) -> list[int]:
    return [n for n, day in enumerate(DAYS, 1) if day - 20220400 in days]


CUTS: list[tuple[dict[str, object], dict[str, list[int]]]] = [
    ({"test_days": 1}, {"train": of_days(25, 26, 27, 28), "test": of_days(30)}),
    ({"validation_days": 2}, {"train": of_days(25, 26, 27, 28), "validation": of_days(30)}),  # the 29th is a day too
    (
        {"validation_days": 1, "test_days": 3},
        {"train": of_days(25, 26), "validation": of_days(27), "test": of_days(28, 30)},
    ),
    (
        {"train_until": "2022-04-25", "validation_days": 1, "test_days": 2},
        {"train": of_days(25), "validation": of_days(26), "test": of_days(27, 28)},
    ),
    ({"train_until": "20220427"}, {"train": of_days(25, 26, 27), "test": of_days(28, 30)}),
    ({"days": "2022-04-27"}, {"train": of_days(27)}),
    ({"days": "2022-04-26..2022-04-28", "test_days": 1}, {"train": of_days(26, 27), "test": of_days(28)}),
]


@pytest.mark.parametrize(("settings", "expected"), CUTS)
def test_whole_days_as_numbers_make_the_splits(
    tmp_path: Path, settings: dict[str, object], expected: dict[str, list[int]]
):
    raw, out = write(tmp_path, ROWS), tmp_path / "out"
    manifest = run(raw, out, schema=write_schema(tmp_path), **settings)
    assert all_numbers(out, manifest) == expected
    report = manifest.report
    taken = sum(map(len, expected.values()))
    assert sum(report["days"]["other_days"].values()) == len(ROWS) - taken
    assert sum(of_split["log"]["lines_in"] for of_split in report["splits"].values()) == len(ROWS)
    for split, rows in expected.items():
        dates = [datetime.date(2022, 4, DAYS[n - 1] - 20220400).isoformat() for n in rows]
        assert report["days"]["splits"][split] == {day: dates.count(day) for day in sorted(set(dates))}
    for name, value in settings.items():
        assert manifest.settings[name] == value
    assert rejects(out) == []


HOURS = [*range(0, 71, 5), 23, 24, 46, 47, 69]
"""After 2024-03-30 00:00 in Berlin; the day has 24 hours, the next one 23."""
BEGIN = int(datetime.datetime.fromisoformat("2024-03-30T00:00:00+01:00").timestamp())
MOMENTS = [BEGIN + 3600 * hour for hour in HOURS]
TIMES: list[Callable[[int], object]] = [
    lambda s: s,
    lambda s: s * 1000,
    lambda s: s * 10**9,
    lambda s: f"{s}.0",
    lambda s: datetime.datetime.fromtimestamp(s, datetime.UTC).isoformat(),
    lambda s: datetime.datetime.fromtimestamp(s, datetime.UTC).isoformat(" ").replace("+00:00", "Z"),
]
# 24 hours of the 30th, 23 of the 31st, the rest are of April 1st
EXPECTED = {
    "train": [n for n, hour in enumerate(HOURS, 1) if hour < 24],
    "validation": [n for n, hour in enumerate(HOURS, 1) if 24 <= hour < 47],
    "test": [n for n, hour in enumerate(HOURS, 1) if hour >= 47],
}


def hour_rows(time: Callable[[int], object]) -> list[Row]:
    return [(n % 5, n % 3, time(second), n, 0, 0) for n, second in enumerate(MOMENTS)]


@pytest.mark.parametrize("time", TIMES)
def test_days_are_those_of_the_zone_whatever_form_times_have(tmp_path: Path, time: Callable[[int], object]):
    raw = write(tmp_path, hour_rows(time))
    schema = write_schema(tmp_path, "time: at\n  time_zone: Europe/Berlin")
    manifest = run(raw, tmp_path / "out", schema=schema, validation_days=1, test_days=1)
    assert all_numbers(tmp_path / "out", manifest) == EXPECTED


@pytest.mark.parametrize("kind", [pa.timestamp("us", "UTC"), pa.timestamp("ns", "Asia/Tokyo"), pa.timestamp("s")])
def test_days_of_timestamps_of_parquet(tmp_path: Path, kind: pa.DataType):
    """Without a zone a timestamp is what a clock in Berlin showed, so its hours are counted there."""
    per_second = {"s": 1, "us": 10**6, "ns": 10**9}[kind.unit]
    seconds = [s + (3600 if hour < 25 else 7200) * (kind.tz is None) for s, hour in zip(MOMENTS, HOURS, strict=True)]
    at = pa.array([s * per_second for s in seconds], pa.int64()).cast(kind)
    rows = [row for row in zip(*hour_rows(lambda s: s), strict=True)]
    columns = dict(zip(("user", "item", "at", "price", "clicked", "bought"), rows, strict=True)) | {"at": at}
    (tmp_path / "raw").mkdir()
    pq.write_table(pa.table(columns), tmp_path / "raw" / "log.parquet", row_group_size=7)
    schema = write_schema(tmp_path, "time: at\n  time_zone: Europe/Berlin")
    manifest = run(tmp_path / "raw", tmp_path / "out", schema=schema, validation_days=1, test_days=1)
    assert all_numbers(tmp_path / "out", manifest) == EXPECTED


TWO_CUTS: dict[str, object] = {
    "validation_days": 1,
    "test_days": 1,
    "days": "20220426..20220430",
    "keep_negatives": 0.5,
}


def test_chunks_workers_and_packing_do_not_change_the_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    raw, schema = write(tmp_path, ROWS), write_schema(tmp_path)
    settings = TWO_CUTS | {"validation_days": 2}
    whole = run(raw, tmp_path / "whole", schema=schema, **settings)
    use_plan(monkeypatch, workers=2, chunk_bytes=300)
    pieces = run(raw, tmp_path / "pieces", schema=schema, **settings)
    assert run(raw, tmp_path / "pieces", schema=schema, **settings) == pieces
    (raw / "log.csv").unlink()
    write(tmp_path, ROWS, "log.csv.gz")
    use_plan(monkeypatch, workers=1, chunk_bytes=300)
    packed = run(raw, tmp_path / "packed", schema=schema, **settings)
    assert shard_bytes(tmp_path / "pieces", pieces) == shard_bytes(tmp_path / "whole", whole)
    assert shard_bytes(tmp_path / "packed", packed) == shard_bytes(tmp_path / "whole", whole)
    assert whole.report["days"] == pieces.report["days"] == packed.report["days"]
    assert whole.left_out_negatives > 0


def test_a_run_that_was_stopped_goes_on_and_tells_the_cut_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    raw, schema = write(tmp_path, ROWS), write_schema(tmp_path)
    settings = {"schema": schema, "min_count": 1, "validation_days": 2, "test_days": 1}

    def config(out: Path) -> PreprocessConfig:
        return PreprocessConfig(raw=raw, out=out, **settings)  # type: ignore[arg-type]

    preprocess(config(tmp_path / "whole"), NoProgress())
    with monkeypatch.context() as stop:
        stop.setattr("preprocess.run.merge_rows", _stopped)
        with pytest.raises(KeyboardInterrupt):
            preprocess(config(tmp_path / "out"), NoProgress())
    messages = Messages()
    preprocess(config(tmp_path / "out"), messages)
    whole, again = files(tmp_path / "whole"), files(tmp_path / "out")
    assert {name: data for name, data in again.items() if name[0] != "."} == {
        name: data for name, data in whole.items() if name[0] != "."
    }
    assert "Continuing the unfinished run." in messages.texts
    assert not any(text.startswith("Splits by the days") for text in messages.texts)


def _stopped(*_: object) -> None:
    raise KeyboardInterrupt


def test_what_is_printed_says_dates_and_numbers(tmp_path: Path):
    raw, schema, messages = write(tmp_path, ROWS), write_schema(tmp_path), Messages()
    config = PreprocessConfig(
        raw=raw, out=tmp_path / "out", schema=schema, train_until="2022-04-26", validation_days=1, test_days=1
    )
    manifest = preprocess(config, messages)
    assert (
        "Splits by the days of column 'at' (UTC): train 2022-04-25 to 2022-04-26 (2 days): 24 impressions; validation "
        "2022-04-27: 12 impressions; test 2022-04-28: 12 impressions; of other days, in no split: 12." in messages.texts
    )
    lines = report_lines(manifest.report)
    assert lines[0] == "train: 36 log lines read, 24 impressions kept, 12 of other days, 0 rejected."
    assert (
        "days of column 'at' (UTC): train 2022-04-25 to 2022-04-26, validation 2022-04-27, test 2022-04-28; 12 "
        "impressions of other days (2022-04-30) are in no split." in lines
    )


LAST = (20220428, 20220430)


def test_rows_without_a_time_are_rejected_and_numbers_of_quantiles_are_those_of_train(tmp_path: Path):
    rows = [*ROWS, (1, 1, "", 1, 0, 0), (1, 1, "soon", 1, 0, 0), (1, 1, -5, 1, 0, 0)]
    raw, schema = write(tmp_path, [(*row[:3], row[3] if row[2] not in LAST else 10**6, *row[4:]) for row in rows]), ""
    schema = write_schema(tmp_path)
    manifest = run(raw, tmp_path / "out", schema=schema, test_days=3)
    assert rejects(tmp_path / "out") == [("log.csv", 62 + n, "bad_time") for n in range(3)]
    listed = [json.loads(line) for line in (tmp_path / "out" / "rejects" / "train.jsonl").read_text().splitlines()]
    assert [(each["column"], each["value"]) for each in listed] == [("at", ""), ("at", "soon"), ("at", "-5")]
    numeric = manifest.schema.field("price").numeric
    assert numeric is not None
    assert numeric.edges is not None
    assert max(numeric.edges) < 10**6


def test_days_go_together_with_a_share_of_users_and_a_split_by_users(tmp_path: Path):
    raw, out = write(tmp_path, ROWS), tmp_path / "out"
    manifest = run(
        raw, out, schema=write_schema(tmp_path), test_days=1, validation_share=0.3, days="20220426..20220430"
    )
    found = all_numbers(out, manifest)
    assert found["test"] == of_days(30)
    assert sorted([*found["train"], *found["validation"]]) == of_days(26, 27, 28)
    users = {split: {ROWS[n - 1][0] for n in found[split]} for split in ("train", "validation")}
    assert not users["train"] & users["validation"]
    schema = write_schema(tmp_path, f"{TIME}\n  split: {{test_share: 0.4, by: user}}")
    manifest = run(raw, tmp_path / "by-user", schema=schema, days="20220425..20220427")
    found = all_numbers(tmp_path / "by-user", manifest)
    assert sorted([*found["train"], *found["test"]]) == of_days(25, 26, 27)
    assert not {ROWS[n - 1][0] for n in found["train"]} & {ROWS[n - 1][0] for n in found["test"]}


def test_the_share_of_a_split_by_time_is_one_of_the_days_that_were_asked_for(tmp_path: Path):
    raw = write(tmp_path, ROWS)
    schema = write_schema(tmp_path, f"{TIME}\n  split: {{test_share: 0.3, by: time, time: at}}")
    manifest = run(raw, tmp_path / "out", schema=schema, days="20220425..20220427")
    assert all_numbers(tmp_path / "out", manifest) == {"train": of_days(25, 26), "test": of_days(27)}


FILES = 'train: "log.*", test: "later.*"'


def test_test_files_of_their_own_stay_whole_and_days_choose_among_them(tmp_path: Path):
    write(tmp_path, ROWS[:40])
    raw, out = write(tmp_path, ROWS[40:], "later.csv"), tmp_path / "out"
    schema = write_schema(tmp_path, names=FILES)
    manifest = run(raw, out, schema=schema, validation_days=1)
    assert numbers(out, manifest, "validation") == [n for n in of_days(30) if n <= 40]
    assert numbers(out, manifest, "test") == list(range(1, 21))
    manifest = run(raw, tmp_path / "until", schema=schema, train_until="2022-04-26", validation_days=1)
    assert {split: len(found) for split, found in all_numbers(tmp_path / "until", manifest).items()} == {
        "train": 16, "validation": 8, "test": 20
    }  # fmt: skip
    messages = Messages()
    config = PreprocessConfig(raw=raw, out=tmp_path / "day", schema=schema, min_count=1, days="2022-04-25")
    manifest = preprocess(config, messages)
    assert numbers(tmp_path / "day", manifest, "train") == [n for n in of_days(25) if n <= 40]
    assert numbers(tmp_path / "day", manifest, "test") == [n - 40 for n in of_days(25) if n > 40]


def test_a_split_without_an_impression_of_the_days_is_left_out(tmp_path: Path):
    write(tmp_path, [row for row in ROWS if row[2] != 20220430])
    raw = write(tmp_path, [row for row in ROWS if row[2] == 20220430], "later.csv")
    schema, messages = write_schema(tmp_path, names=FILES), Messages()
    day = {"raw": raw, "schema": schema, "min_count": 1}
    manifest = preprocess(PreprocessConfig(out=tmp_path / "day-1", days="2022-04-25", **day), messages)  # type: ignore[arg-type]
    assert list(manifest.splits) == ["train"]
    text = "No impression of the test split is of 2022-04-25, so the data set will have no such split."
    assert text in messages.texts
    with pytest.raises(
        InputDataError, match=r"No impression is of 2022-04-30: those of the log are of 2022-04-25, .*28"
    ):
        run(raw, tmp_path / "day-2", schema=schema, days="2022-04-30")
    manifest = run(raw, tmp_path / "day-3", schema=schema, days="2022-04-30", like=str(tmp_path / "day-1"))
    assert list(manifest.splits) == ["test"]
    with pytest.raises(InputDataError, match=r"No impression is of 2022-05-01 to 2022-05-02: those of the log are"):
        run(raw, tmp_path / "day-4", schema=schema, days="2022-05-01..2022-05-02", like=str(tmp_path / "day-1"))


SPLIT = "split: {test_share: 0.2, by: user}"
REFUSED: list[tuple[str, str, dict[str, object], type[Exception], str]] = [
    ("list_separator: /", TRAIN, {"test_days": 1}, ConfigError, r"test_days is 1, but schema 'own' names no column"),
    ("list_separator: /", TRAIN, {"days": "20220425"}, ConfigError, r"days is 20220425, but schema 'own' names no"),
    (f"{TIME}\n  {SPLIT}", TRAIN, {"test_days": 1}, ConfigError, r"test_days is 1, but the schema cuts the test split"),
    (f"{TIME}\n  {SPLIT}", TRAIN, {"train_until": "2022-04-26"}, ConfigError, r"train_until is 2022-04-26, but the"),
    (TIME, FILES, {"test_days": 1}, ConfigError, r"test_days is 1, but the log has a test split of its own"),
    (TIME, f'{TRAIN}, validation: "later.*"', {"validation_days": 1}, ConfigError, r"has a validation split of its"),
    (TIME, TRAIN, {"test_days": 7}, InputDataError, r"test_days = 7 leaves the train split without an impression"),
    (TIME, TRAIN, {"train_until": "2022-06-01"}, InputDataError, r"train_until = 2022-06-01 leaves the test split"),
    ("time: user", TRAIN, {"test_days": 2}, InputDataError, r"leaves the train split without .* are of 1970-01-01\."),
    ("time: when", TRAIN, {"test_days": 1}, SchemaError, r"source\.time reads column 'when', which is missing"),
    ('time: ""', TRAIN, {"test_days": 1}, SchemaError, r"source\.time is empty\. Name a column"),
    ("time: clicked", TRAIN, {"test_days": 1}, SchemaError, r"source\.time reads column 'clicked', which is label"),
    ("time: at\n  time_zone: Berlin", TRAIN, {"test_days": 1}, SchemaError, r"time_zone is 'Berlin', which is no time"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "names", "settings", "error", "message"), REFUSED)
def test_cuts_that_cannot_be_made_are_refused(
    tmp_path: Path, source: str, names: str, settings: dict[str, object], error: type[Exception], message: str
):
    write(tmp_path, ROWS)
    raw = write(tmp_path, ROWS[:5], "later.csv")
    with pytest.raises(error, match=message):
        run(raw, tmp_path / "out", schema=write_schema(tmp_path, source, names), **settings)


def test_a_log_without_any_time_is_refused_with_the_first_value(tmp_path: Path):
    raw = write(tmp_path, [(1, 1, "soon", 1, 0, 0), (1, 1, "late", 1, 0, 0)])
    with pytest.raises(
        InputDataError, match=r"column 'at', where no value is a time; the first is 'soon'\. Seconds, mil"
    ):
        run(raw, tmp_path / "out", schema=write_schema(tmp_path), test_days=1)


def test_the_ali_ccp_form_has_no_days(tmp_path: Path):
    from tests.unit.preprocess.raw_logs import make_log

    with pytest.raises(
        ConfigError, match=r"test_days is 1, but .* names no column of the time\. Only a flat log has one"
    ):
        run(make_log().write(tmp_path / "raw"), tmp_path / "out", test_days=1)
