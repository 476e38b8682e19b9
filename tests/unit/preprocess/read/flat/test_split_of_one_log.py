"""A test split that the schema cuts out of the train files: by the values of a column, or the last impressions."""

import datetime
import gzip
import json
import os
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from esmm_dist.api.data_set import DataSet
from esmm_dist.errors import InputDataError, SchemaError
from esmm_dist.schema.feature_id import hashed_id
from esmm_dist.schema.manifest import DatasetManifest
from tests.unit.preprocess.plans import use_plan
from tests.unit.preprocess.raw_logs import read_impressions, run, shard_bytes

SCHEMA = """
name: own
labels: [click, conversion]
source:
  form: flat
  files: {train: "log.*"}
  labels: {click: clicked, conversion: bought}
  split: %s
fields:
  - {name: user, owner: user}
  - {name: item, owner: item}
"""


def write(folder: Path, rows: Sequence[tuple[object, ...]], split: str, name: str = "log.csv") -> tuple[Path, str]:
    (folder / "raw").mkdir(exist_ok=True)
    text = "user,item,at,clicked,bought\n" + "".join(",".join(map(str, row)) + "\n" for row in rows)
    (folder / "raw" / name).write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    (folder / "own.yaml").write_text(SCHEMA % split)
    return folder / "raw", str(folder / "own.yaml")


def numbers(out: Path, manifest: DatasetManifest, split: str) -> list[int]:
    """Sample ids, which are the rows' numbers in the log, from 1."""
    return [i.sample_id for i in read_impressions(out, manifest, split)]


def is_test(value: str, share: Fraction) -> bool:
    return Fraction(hashed_id(b"test\0" + value.encode()), 2**63) < share


BY_USER = "{test_share: 0.25, by: user}"
USER_ROWS = [(n * 7 % 40 if n % 10 else "", n % 13, n, n % 2, 0) for n in range(400)]
AS_FLOATS = [(f"{row[0]}.0" if row[0] and n % 2 else row[0], *row[1:]) for n, row in enumerate(USER_ROWS)]
TEST_USERS = {user for user in range(40) if is_test(str(user), Fraction(1, 4))}


def check_by_user(out: Path, manifest: DatasetManifest) -> None:
    expected = [n for n, row in enumerate(USER_ROWS, 1) if row[0] in TEST_USERS]
    assert 60 < len(expected) < 140
    assert numbers(out, manifest, "test") == expected
    assert numbers(out, manifest, "train") == [n for n in range(1, 401) if n not in expected]
    assert [manifest.report["splits"][s]["log"]["lines_in"] for s in ("train", "test")] == [
        400 - len(expected),
        len(expected),
    ]


def test_all_rows_of_a_user_are_in_one_split_that_its_hash_decides(tmp_path: Path):
    raw, schema = write(tmp_path, USER_ROWS, BY_USER)
    manifest = run(raw, tmp_path / "out", schema=schema)
    check_by_user(tmp_path / "out", manifest)
    # That the users of test are unknown is what was asked for.
    assert [text for text in manifest.report["warnings"] if "'user'" in text] == []


def cut_finely(monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    use_plan(monkeypatch, workers=workers, chunk_bytes=700)


@pytest.mark.parametrize("split", [BY_USER, "{test_share: 0.3, by: time, time: at}"])
def test_chunks_workers_and_packing_do_not_change_the_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, split: str
):
    raw, schema = write(tmp_path, USER_ROWS, split)
    whole = run(raw, tmp_path / "whole", schema=schema)
    cut_finely(monkeypatch, 2)
    pieces = run(raw, tmp_path / "pieces", schema=schema)
    os.utime(raw / "log.csv")  # another time: the finished data set compares the log's content with what it read
    assert run(raw, tmp_path / "pieces", schema=schema) == pieces
    (raw / "log.csv").unlink()
    raw, schema = write(tmp_path, USER_ROWS, split, "log.csv.gz")
    cut_finely(monkeypatch, 1)
    packed = run(raw, tmp_path / "packed", schema=schema)
    assert shard_bytes(tmp_path / "pieces", pieces) == shard_bytes(tmp_path / "whole", whole)
    assert shard_bytes(tmp_path / "packed", packed) == shard_bytes(tmp_path / "whole", whole)


def test_value_is_in_the_same_split_whatever_type_carries_it(tmp_path: Path):
    raw, schema = write(tmp_path, AS_FLOATS, BY_USER)
    check_by_user(tmp_path / "text", run(raw, tmp_path / "text", schema=schema))
    (raw / "log.csv").unlink()
    columns = list(zip(*USER_ROWS, strict=True))
    users = pa.array([None if user == "" else float(str(user)) for user in columns[0]], pa.float32())
    rest = dict(zip(("item", "at", "clicked", "bought"), columns[1:], strict=True))
    pq.write_table(pa.table({"user": users, **rest}), raw / "log.parquet", row_group_size=150)
    check_by_user(tmp_path / "out", run(raw, tmp_path / "out", schema=schema))


def iso(second: int) -> str:
    return (datetime.datetime(2024, 1, 1) + datetime.timedelta(seconds=second)).isoformat()


TIMES: list[Callable[[int], object]] = [
    lambda n: n,
    lambda n: n - 6,  # with negative ones and 0
    lambda n: 1_700_000_000_000_000_000 + n * 1_000_000_000,  # nanoseconds
    lambda n: f"{n}.5",
    lambda n: f"{n}e0",
    lambda n: 20240101 + n,
    iso,
    lambda n: iso(n).replace("T", " ") + ".123456789",
    lambda n: iso(n) + "Z",
    lambda n: iso(n + 3600 * (n % 3)) + f"+0{n % 3}:00",  # the same moments, of other zones
]


@pytest.mark.parametrize("time", TIMES)
def test_last_impressions_are_the_test_split_whatever_form_their_times_have(
    tmp_path: Path, time: Callable[[int], object]
):
    order = np.random.default_rng(5).permutation(20).tolist()
    raw, schema = write(tmp_path, [(n % 3, n, time(n), 0, 0) for n in order], "{test_share: 0.2, by: time, time: at}")
    manifest = run(raw, tmp_path / "out", schema=schema)
    assert numbers(tmp_path / "out", manifest, "test") == sorted(order.index(n) + 1 for n in (16, 17, 18, 19))


@pytest.mark.parametrize(
    "kind",
    [pa.timestamp("s"), pa.timestamp("ns"), pa.timestamp("ms", "Asia/Tokyo"), pa.date32(), pa.int32(), pa.float32()],
)
def test_times_of_parquet_columns(tmp_path: Path, kind: pa.DataType):
    raw, schema = write(tmp_path, [], "{test_share: 0.2, by: time, time: at}")
    (raw / "log.csv").unlink()
    order = np.random.default_rng(5).permutation(20).tolist()
    times = [n * 1000 for n in order]  # microseconds are what is told apart
    at = pa.array(times, pa.int32()) if kind in (pa.date32(), pa.int32()) else pa.array(times, pa.int64())
    columns = {"user": order, "item": order, "at": at.cast(kind), "clicked": [0] * 20, "bought": [0] * 20}
    pq.write_table(pa.table(columns), raw / "log.parquet", row_group_size=7)
    manifest = run(raw, tmp_path / "out", schema=schema)
    assert numbers(tmp_path / "out", manifest, "test") == sorted(order.index(n) + 1 for n in (16, 17, 18, 19))


# Rows of one time are in one split: the cut is the one nearest to the share that leaves both splits some.
TIES = [
    ([1, 2, 2, 2, 2, 2, 2, 3, 3, 4], "0.3", 3),
    ([1, 2, 2, 2, 2, 2, 2, 3, 3, 4], "0.5", 3),  # 3 or 9
    ([1, 2, 2, 2, 2, 2, 2, 3, 3, 4], "0.7", 9),
    ([1, 1, 1, 1, 1, 1, 1, 1, 1, 2], "0.9", 1),
    ([1, 2, 2, 2, 2, 2, 2, 2, 2, 2], "0.01", 9),
]


@pytest.mark.parametrize(("times", "share", "expected"), TIES)
def test_rows_of_one_time_stay_together(tmp_path: Path, times: list[int], share: str, expected: int):
    rows = [(n, n, time, 0, 0) for n, time in enumerate(times)]
    raw, schema = write(tmp_path, rows, f"{{test_share: {share}, by: time, time: at}}")
    manifest = run(raw, tmp_path / "out", schema=schema)
    assert {s: len(numbers(tmp_path / "out", manifest, s)) for s in ("train", "test")} == {
        "train": 10 - expected,
        "test": expected,
    }


def test_row_without_a_time_is_rejected_with_its_line(tmp_path: Path):
    times = ["2024-01-01", "", "yesterday", "2024-01-02", "09:30:00", "nan", "2024-13-01"]
    raw, schema = write(
        tmp_path, [(n, n, time, 0, 0) for n, time in enumerate(times)], "{test_share: 0.5, by: time, time: at}"
    )
    manifest = run(raw, tmp_path / "out", schema=schema, max_reject_share=1.0)
    rejects = [json.loads(line) for line in (tmp_path / "out/rejects/train.jsonl").read_text().splitlines()]
    assert [(r["line"], r["reason"], r["column"], r["value"]) for r in rejects] == [
        (line, "bad_time", "at", times[line - 2]) for line in (3, 4, 6, 7, 8)
    ]
    assert {s: numbers(tmp_path / "out", manifest, s) for s in ("train", "test")} == {"train": [1], "test": [4]}


def test_log_without_rows_is_told_as_empty_not_as_without_times(tmp_path: Path):
    raw, schema = write(tmp_path, [], "{test_share: 0.5, by: time, time: at}")
    with pytest.raises(InputDataError, match=r"The train split has no impressions: .*log\.csv holds none"):
        run(raw, tmp_path / "out", schema=schema)


@pytest.mark.parametrize("unit", ["us", "ms", "day"])
def test_years_that_python_has_not_are_split_shown_and_quoted(tmp_path: Path, unit: str):
    (tmp_path / "raw").mkdir()
    (tmp_path / "own.yaml").write_text(SCHEMA % "{test_share: 0.25, by: time, time: at}")
    first = {"us": 3 * 10**17, "ms": 3 * 10**17, "day": 3 * 10**6}[unit]  # ms: more microseconds than 64 bits count
    step = 1 if unit == "day" else 10**6
    times = pa.array([first + n * step for n in range(8)], pa.date32() if unit == "day" else pa.timestamp(unit))
    labels = {"clicked": [2, *[0, 1] * 3, 0], "bought": [0] * 8}
    table = pa.table({"user": list(range(8)), "item": list(range(8)), "at": times, **labels})
    pq.write_table(table, tmp_path / "raw/log.parquet")
    manifest = run(tmp_path / "raw", tmp_path / "out", schema=str(tmp_path / "own.yaml"), max_reject_share=1.0)
    assert numbers(tmp_path / "out", manifest, "test") == [7, 8]
    assert numbers(tmp_path / "out", manifest, "train") == [2, 3, 4, 5, 6]
    (reject,) = map(json.loads, (tmp_path / "out/rejects/train.jsonl").read_text().splitlines())
    assert (reject["line"], json.loads(reject["text"])["user"]) == (1, 0)


WRONG = [
    ("{test_share: 0.5, by: user, time: at}", [], SchemaError, r"has time: at, which only by: time reads"),
    ("{test_share: 0.5, by: time, time: at}", ["5", "6", "2024-01-01"], SchemaError, r"numbers and others are dates"),
    ("{test_share: 0.5, by: time, time: at}", ["x", "y"], InputDataError, r"no value is a time; the first is 'x'"),
    ("{test_share: 0.5, by: time, time: at}", ["5", "5"], InputDataError, r"'at', where all times are equal"),
    ("{test_share: 0.5, by: time}", ["5", "6"], SchemaError, r"source\.split reads column 'time', which is miss"),
    ("{test_share: 0.000001, by: user}", ["5", "6"], InputDataError, r"leaves the test split without an impr"),
    ("{test_share: 1, by: user}", ["5"], SchemaError, r"source\.split\.test_share is 1\. Set a share"),
    ("{test_share: 0.1}", ["5"], SchemaError, r"source\.split\.by is missing"),
    ("{test_share: 0.1, by: ''}", ["5"], SchemaError, r"source\.split\.by is empty\. Name a column"),
    ("{test_share: 0.1, bye: user}", ["5"], SchemaError, r"unknown setting 'source\.split\.bye'\. Did you mean 'by'"),
    ("{test_share: 0.1, by: clicked}", ["5"], SchemaError, r"split reads column 'clicked', which is label"),
]  # fmt: skip


@pytest.mark.parametrize(("split", "times", "error", "message"), WRONG)
def test_split_that_cannot_be_made_is_refused(
    tmp_path: Path, split: str, times: list[str], error: type[Exception], message: str
):
    raw, schema = write(tmp_path, [(n, n, time, 0, 0) for n, time in enumerate(times)], split)
    with pytest.raises(error, match=message):
        run(raw, tmp_path / "out", schema=schema)


def test_files_of_test_beside_a_split_are_refused(tmp_path: Path):
    raw, schema = write(tmp_path, [(1, 1, 1, 0, 0)], BY_USER)
    text = Path(schema).read_text()
    Path(schema).write_text(text.replace('train: "log.*"', 'train: "log.*", test: "log.*"'))
    with pytest.raises(
        SchemaError, match=r"source\.split cuts the test split out of the train files, but source\.files"
    ):
        run(raw, tmp_path / "out", schema=schema)


def test_next_day_is_scored_as_a_whole_by_a_schema_with_test_files_alone(tmp_path: Path, capsys):
    raw, schema = write(tmp_path, USER_ROWS, BY_USER)
    run(raw, tmp_path / "today", schema=schema)
    text = (tmp_path / "own.yaml").read_text()
    (tmp_path / "score.yaml").write_text(text.replace(f"  split: {BY_USER}\n", "").replace("train:", "test:"))
    score = str(tmp_path / "score.yaml")
    with pytest.raises(InputDataError, match=r"'own' names no files for the train split\. Add .* or, for a log to be"):
        run(raw, tmp_path / "alone", schema=score)
    manifest = run(raw, tmp_path / "scored", schema=score, like=str(tmp_path / "today"))
    assert list(manifest.splits) == ["test"]
    assert sorted(numbers(tmp_path / "scored", manifest, "test")) == list(range(1, len(USER_ROWS) + 1))
    table = DataSet(path=str(tmp_path / "scored"), manifest=manifest).lines()
    assert any(line.split() == ["field", "test", "empty", "test", "unknown"] for line in table)
    (raw / "log.csv").unlink()
    with pytest.raises(InputDataError, match=r"holds no file for the test split: .* source\.files\.test = 'log\.\*'"):
        run(raw, tmp_path / "nothing", schema=score, like=str(tmp_path / "today"))
