"""A log of events is the data set of the flat log that a plain join makes of it."""

import json
import random
from pathlib import Path

import pytest

from esmm_dist.errors import ConfigError, InputDataError, SchemaError
from esmm_dist.progress import NoProgress
from esmm_dist.schema.manifest import DatasetManifest
from preprocess.by_day import preprocess_by_day
from preprocess.config import PreprocessConfig
from preprocess.events.join import join_partition
from preprocess.stages import events_stage
from tests.unit.preprocess.events.event_logs import DAY, EVENTS, FIELDS, make_log, write_flat, write_log, write_rows
from tests.unit.preprocess.plans import use_plan
from tests.unit.preprocess.raw_logs import read_impressions, rejects, run, shard_bytes


@pytest.fixture(scope="module")
def log():
    return make_log()


@pytest.fixture(scope="module")
def flat(log, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("flat")
    raw, schema = write_flat(folder, log)
    return shard_bytes(folder / "data", run(raw, folder / "data", schema=schema))


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_events_joined_are_the_flat_log(tmp_path: Path, log, flat, ending: str):
    raw, schema = write_log(tmp_path, log, ending)
    made = run(raw, tmp_path / "data", schema=schema)
    assert shard_bytes(tmp_path / "data", made) == flat
    found = made.report["events"]["labels"]
    for label, fates in log.fates.items():
        assert found[label]["joined"] == fates["joined"]
        assert found[label]["rejected"] == {reason: n for reason, n in sorted(fates.items()) if reason != "joined"}
        assert found[label]["events"] == len(log.events[label])


def test_rejected_events_are_listed_with_their_lines(tmp_path: Path, log):
    raw, schema = write_log(tmp_path, log)
    made = run(raw, tmp_path / "data", schema=schema)
    found = [json.loads(line) for line in (tmp_path / "data/rejects/events.jsonl").read_text().splitlines()]
    for label, fates in log.fates.items():
        for reason in fates.keys() - {"joined"}:
            of_reason = [r for r in found if r["file"].startswith(label) and r["reason"] == reason]
            assert len(of_reason) == fates[reason]
            first = made.report["events"]["labels"][label]["first_rejected"][reason]
            assert first == f"{of_reason[0]['file']} line {of_reason[0]['line']:,}"
    for each in found:
        assert (raw / each["file"]).read_text().splitlines()[each["line"] - 1] == each["text"]
    assert any(file.path == "rejects/events.jsonl" for file in made.other_files)


@pytest.mark.parametrize(("workers", "partitions"), [(2, 3), (1, 1), (1, 50)])
def test_workers_partitions_and_chunks_change_nothing(
    tmp_path: Path, log, flat, monkeypatch: pytest.MonkeyPatch, workers: int, partitions: int
):
    use_plan(monkeypatch, workers=workers, partitions=partitions, chunk_bytes=1500)
    raw, schema = write_log(tmp_path, log)
    assert shard_bytes(tmp_path / "data", run(raw, tmp_path / "data", schema=schema)) == flat
    assert len((tmp_path / "data/rejects/events.jsonl").read_text().splitlines()) == sum(
        n for fates in log.fates.values() for reason, n in fates.items() if reason != "joined"
    )


def test_order_and_number_of_event_files_change_nothing(tmp_path: Path, log, flat):
    raw, schema = write_log(tmp_path, log, parts=2)
    for label, rows in log.events.items():
        for path in raw.glob(f"{label}*"):
            path.unlink()
        shuffled = random.Random(1).sample(rows, len(rows))
        for part in range(5):
            write_rows(raw / f"{label}-{part}.jsonl", shuffled[part::5])
    assert shard_bytes(tmp_path / "data", run(raw, tmp_path / "data", schema=schema)) == flat


def test_run_that_ends_in_the_join_goes_on_with_the_same_bytes(
    tmp_path: Path, log, flat, monkeypatch: pytest.MonkeyPatch
):
    use_plan(monkeypatch, partitions=4)
    raw, schema = write_log(tmp_path, log)
    calls = []

    def dies(job, partition):
        calls.append(partition)
        if partition == 2:
            raise KeyboardInterrupt
        return whole(job, partition)

    whole = join_partition
    with monkeypatch.context() as patch:
        patch.setattr(events_stage, "join_partition", dies)
        with pytest.raises(KeyboardInterrupt):
            run(raw, tmp_path / "data", schema=schema)
    assert calls == [0, 1, 2]
    done = tmp_path / "data/.work/done"
    times = {path.name: path.stat().st_mtime_ns for path in done.iterdir()}
    assert {"join-0000.json", "join-0001.json"} < set(times)
    assert shard_bytes(tmp_path / "data", run(raw, tmp_path / "data", schema=schema)) == flat
    assert not (tmp_path / "data/.work").exists()


def test_finished_data_set_knows_its_event_files(tmp_path: Path, log):
    raw, schema = write_log(tmp_path, log)
    made = run(raw, tmp_path / "data", schema=schema)
    assert set(made.settings["inputs"]) == {path.name for path in raw.iterdir()}
    assert run(raw, tmp_path / "data", schema=schema) == made
    write_rows(raw / "buy-2.csv", [{"request": "r1", "at": 0}])
    with pytest.raises(ConfigError, match=r"input buy-2\.csv is new"):
        run(raw, tmp_path / "data", schema=schema)


def test_next_day_is_read_like_the_day_before(tmp_path: Path, log):
    raw, schema = write_log(tmp_path, log)
    first = run(raw, tmp_path / "one", schema=schema)
    assert first.schema.events_source is not None
    made = run(raw, tmp_path / "two", schema=None, like=str(tmp_path / "one"))
    before, now = (read_impressions(tmp_path / name, m, "train") for name, m in (("one", first), ("two", made)))
    assert now == before


def test_bad_rows_of_impressions_are_rejected_by_their_reason(tmp_path: Path):
    raw = tmp_path / "raw"
    shown = [("r1", 0), ("r1", 60), ("", 0), ("r2", None), ("r3", 0)]
    raw.mkdir()
    lines = [f"{request},{'never' if at is None else f'2024-03-01T00:{at // 60:02}'},u,1,1" for request, at in shown]
    (raw / "shown.csv").write_text("request,shown_at,user,item,price\n" + "\n".join(lines) + "\n")
    write_rows(raw / "click.csv", [{"request": "r1", "at": 90}])
    (raw / "buy.jsonl").write_text('{"request": "r1", "at": "2024-03-01T00:02"}\n')
    (tmp_path / "s.yaml").write_text(EVENTS % "shown*" + FIELDS)
    made = run(raw, tmp_path / "data", schema=str(tmp_path / "s.yaml"), max_reject_share=0.7)
    assert rejects(tmp_path / "data") == [
        ("shown.csv", 3, "repeated_impression"),
        ("shown.csv", 4, "no_join_key"),
        ("shown.csv", 5, "bad_time"),
    ]
    assert [(i.sample_id, i.labels) for i in read_impressions(tmp_path / "data", made, "train")] == [
        (1, (1, 1)),
        (5, (0, 0)),
    ]


def test_too_many_unreadable_events_stop_the_run(tmp_path: Path, log):
    raw, schema = write_log(tmp_path, log)
    (raw / "buy-9.csv").write_text("request,at\nr1,yesterday\n,2024-03-01\n")
    run(raw, tmp_path / "some", schema=schema, max_reject_share=0.5)
    found = [json.loads(line) for line in (tmp_path / "some/rejects/events.jsonl").read_text().splitlines()]
    assert [(r["line"], r["reason"], r.get("column")) for r in found if r["file"] == "buy-9.csv"] == [
        (2, "bad_time", "at"),
        (3, "no_join_key", "request"),
    ]
    with pytest.raises(InputDataError, match=r"2 of \d+ events of 'buy' cannot be read \(bad_time, no_join_key\)"):
        run(raw, tmp_path / "none", schema=schema, max_reject_share=0.001)


def test_events_of_which_none_is_joined_are_an_error(tmp_path: Path, log):
    raw, schema = write_log(tmp_path, log)
    text = Path(schema).read_text()
    Path(schema).write_text(text.replace("join: [request]", "join: [user]"))
    with pytest.raises(SchemaError, match=r"source\.join reads column 'user', which is missing from .*click-0\.csv"):
        run(raw, tmp_path / "data", schema=schema)
    for path in raw.glob("[cb]*"):
        path.write_text(path.read_text().replace("r", "q").replace("qequest", "request"))
    Path(schema).write_text(text)
    with pytest.raises(InputDataError, match=r"None of \d+ events belongs.*event_without_impression.*source\.join"):
        run(raw, tmp_path / "data", schema=schema)


def test_missing_events_and_shared_files_are_refused(tmp_path: Path, log):
    raw, schema = write_log(tmp_path, log)
    for path in raw.glob("buy*"):
        path.unlink()
    with pytest.raises(InputDataError, match=r"holds no file of the events of 'buy'.*header alone"):
        run(raw, tmp_path / "data", schema=schema)
    (raw / "buy.csv").write_text("request,at\n")
    made = run(raw, tmp_path / "data", schema=schema)
    assert made.report["events"]["labels"]["buy"]["events"] == 0
    text = Path(schema).read_text()
    Path(schema).write_text(text.replace('files: "buy*"', 'files: "click*"'))
    with pytest.raises(InputDataError, match=r"click-0\.csv is among the events of 'click' and among .*'buy'"):
        run(raw, tmp_path / "other", schema=schema)


def test_settings_of_events_are_refused_for_a_flat_log(tmp_path: Path, log):
    raw, schema = write_flat(tmp_path, log)
    with pytest.raises(ConfigError, match="open_window is drop, but the log of schema 'own' is none of events"):
        run(raw, tmp_path / "data", schema=schema, open_window="drop")
    with pytest.raises(ConfigError, match="log_end is 2024-03-09, but"):
        run(raw, tmp_path / "data", schema=schema, log_end="2024-03-09")


def test_open_windows_are_counted_or_left_out(tmp_path: Path, log):
    raw, schema = write_log(tmp_path, log)
    end = 6 * DAY
    settings = {"schema": schema, "log_end": "2024-03-07"}
    kept = run(raw, tmp_path / "negative", **settings)
    report = kept.report["events"]
    shown = [row["shown_at"] for row in log.impressions]
    windows = 3 * DAY + DAY // 12
    is_recent = [at > end - windows for at in shown]
    assert report["with_open_window"] == sum(is_recent)
    assert report["log_end"] == "2024-03-07T00:00:00+00:00"
    assert report["left_out"] == 0
    still = [not click and at > end - DAY // 12 for at, (click, _) in zip(shown, log.labels, strict=True)]
    assert report["labels"]["click"]["open"] == sum(still)
    dropped = run(raw, tmp_path / "drop", **settings, open_window="drop")
    assert (
        dropped.report["events"]["left_out"] == dropped.report["splits"]["train"]["log"]["too_recent"] == sum(is_recent)
    )
    found = {i.sample_id: i.labels for i in read_impressions(tmp_path / "drop", dropped, "train")}
    expected = {n: labels for n, (labels, r) in enumerate(zip(log.labels, is_recent, strict=True), 1) if not r}
    assert found == expected
    with pytest.raises(InputDataError, match=r"leaves out all 400 impressions.*--open-window negative"):
        run(raw, tmp_path / "all", schema=schema, log_end="2024-02-01", open_window="drop")
    with pytest.raises(ConfigError, match="log_end is 'tomorrow', which is no time"):
        run(raw, tmp_path / "bad", schema=schema, log_end="tomorrow")


def _edges(made: DatasetManifest) -> tuple[float, ...] | None:
    numeric = made.schema.field("price").numeric
    return None if numeric is None else numeric.edges


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_splits_and_edges_are_those_of_the_impressions_that_are_kept(tmp_path: Path, log, ending: str):
    raw, schema = write_log(tmp_path, log, ending)
    text = Path(schema).read_text().replace("  join:", "  split: {by: time, test_share: 0.25}\n  join:")
    Path(schema).write_text(text)
    made = run(raw, tmp_path / "data", schema=schema, open_window="drop", log_end="2024-03-07")
    kept = sum(made.splits[split].impressions for split in ("train", "test"))
    assert kept == 400 - made.report["events"]["left_out"]
    assert made.splits["test"].impressions == pytest.approx(kept / 4, abs=1)
    whole = [row for row in log.impressions if row["shown_at"] <= 6 * DAY - 3 * DAY - DAY // 12]
    train = sorted(whole, key=lambda row: row["shown_at"])[: made.splits["train"].impressions]
    prices = sorted(row["price"] for row in train)
    ranks = [-(-k * len(prices) // 4) for k in (1, 2, 3)]
    assert _edges(made) == tuple(sorted({prices[rank - 1] for rank in ranks}))


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_days_are_those_of_the_impressions_that_are_kept(tmp_path: Path, log, ending: str):
    raw, schema = write_log(tmp_path, log, ending)
    made = run(raw, tmp_path / "data", schema=schema, open_window="drop", log_end="2024-03-07", test_days=1)
    last = 6 * DAY - 3 * DAY - DAY // 12  # of the impressions whose windows are over: in the third day
    shown = [row["shown_at"] for row in log.impressions if row["shown_at"] <= last]
    assert made.splits["test"].impressions == sum(at >= 2 * DAY for at in shown) > 0
    assert made.splits["train"].impressions == sum(at < 2 * DAY for at in shown)


def test_data_sets_by_day_have_the_events_of_later_days(tmp_path: Path, log):
    raw, schema = write_log(tmp_path, log)
    whole = run(raw, tmp_path / "whole", schema=schema)
    config = PreprocessConfig(
        raw=raw, out=tmp_path / "days", schema=schema, by_day=True, min_count=1, group_size=4, lanes=3, workers=1
    )
    by_day = preprocess_by_day(config, NoProgress())
    assert len(by_day) == 8
    counts = [made.splits["train"].label_counts for made in by_day.values()]
    total = {label: sum(each[label] for each in counts) for label in ("click", "buy")}
    assert total == whole.splits["train"].label_counts
