"""``esmm predict --raw``: files without labels, in file order, each row with a score or a counted reject."""

import gzip
import io
import json
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from esmm_dist.errors import ConfigError, InputDataError, SchemaError
from esmm_dist.inference.predict import PredictConfig
from esmm_dist.inference.trained_model import TrainedModel
from esmm_dist.progress import NoProgress
from esmm_dist.ranks.world import World
from esmm_dist.raw_scoring import raw_log
from esmm_dist.raw_scoring import score_raw as of_score_raw
from esmm_dist.raw_scoring.raw_files import find_raw_files
from esmm_dist.raw_scoring.raw_result import RawResult
from esmm_dist.raw_scoring.score_raw import score_raw
from esmm_dist.raw_scoring.score_table import score_table
from esmm_dist.schema import load_schema
from esmm_dist.storage.folder import Folder
from launcher import cli
from tests.support.s3_server import S3Server
from tests.support.shop_log import Row, shop_rows, write_shop_csv, write_shop_parquet
from tests.support.shop_run import TEST
from tests.support.thread_ranks import on_thread_ranks
from tests.unit.preprocess.raw_logs import Messages

COLUMNS = ["pctr", "pcvr", "pctcvr"]


def scored(shop: Path, raw: object, out: Path, **settings: object) -> RawResult:
    config = PredictConfig(run=str(shop / "run"), raw=str(raw), out=out, **settings)  # type: ignore[arg-type]
    return score_raw(config, NoProgress())


def write_unlabelled(path: Path, rows: list[Row]) -> None:
    """Write a log without labels and sample ids."""
    if path.suffix == ".parquet":
        write_shop_parquet(path, rows)
        pq.write_table(pq.read_table(path).drop_columns(["row", "click", "buy"]), path)
        return
    write_shop_csv(path, rows)
    table = pacsv.read_csv(path, convert_options=pacsv.ConvertOptions(column_types=dict.fromkeys(rows[0], pa.string())))
    pacsv.write_csv(table.drop_columns(["row", "click", "buy"]), path)


@pytest.fixture
def expected(model: TrainedModel, tmp_path: Path) -> list[Row]:
    """Return the scores of TEST as a table has them."""
    write_unlabelled(tmp_path / "expected.parquet", TEST)
    rows: list[Row] = score_table(model, pq.read_table(tmp_path / "expected.parquet")).to_pylist()
    return rows


def test_a_file_has_a_score_for_each_row_in_its_order(shop: Path, expected: list[Row], tmp_path: Path):
    for form in ("csv", "parquet"):
        write_unlabelled(tmp_path / f"log.{form}", TEST)
        out = tmp_path / "new" / f"{form}.parquet"
        result = scored(shop, tmp_path / f"log.{form}", out, keep=("item", "history"))
        found = pq.read_table(out)
        assert (result.rows, result.rejected, result.parts) == (len(TEST), {}, 1)
        assert found.column_names == ["sample_id", "item", "history", *COLUMNS]
        assert found["sample_id"].to_pylist() == list(range(1, len(TEST) + 1))
        assert found["item"].to_pylist() == [row["item"] for row in TEST]
        history = found["history"].to_pylist()
        assert history == [row["history"] if form == "parquet" else "|".join(row["history"]) for row in TEST]
        for row, scores in zip(found.to_pylist(), expected, strict=True):
            assert {name: row[name] for name in COLUMNS} == pytest.approx(scores, rel=1e-6)
        assert not out.with_name(f"{form}.parquet.rejects.jsonl").exists()


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut text into chunks of some rows, as a large log is."""
    monkeypatch.setattr(raw_log, "CHUNK_BYTES", 700)


def write_days(folder: Path) -> list[Row]:
    """Write a log as files of several kinds; return its rows in order."""
    folder.mkdir()
    rows = [*TEST, *shop_rows(300, seed=8)]
    write_unlabelled(folder / "day-1.csv", rows[:150])
    write_unlabelled(folder / "day.csv", rows[150:250])
    with gzip.open(folder / "day-2.csv.gz", "wb") as file:
        file.write((folder / "day.csv").read_bytes())
    (folder / "day.csv").unlink()
    write_unlabelled(folder / "day.parquet", rows[250:])
    pq.write_table(pq.read_table(folder / "day.parquet"), folder / "day-10.parquet", row_group_size=30)
    (folder / "day.parquet").unlink()
    return rows


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_folder_gets_parts_in_the_order_of_the_files(
    shop: Path, model: TrainedModel, small_chunks: None, tmp_path: Path
):
    rows = write_days(tmp_path / "days")
    result = scored(shop, tmp_path / "days" / "day-*", tmp_path / "scores", part_rows=50, keep=("item",))
    parts = sorted((tmp_path / "scores").glob("part-*.parquet"))
    assert result.parts == len(parts) > 5
    assert all(50 <= pq.read_metadata(part).num_rows < 80 for part in parts[:-1])
    found = pq.read_table(tmp_path / "scores")  # skips what begins with _
    assert found["sample_id"].to_pylist() == list(range(1, len(rows) + 1))
    assert found["item"].to_pylist() == [row["item"] for row in rows]
    write_unlabelled(tmp_path / "all.parquet", rows)
    expected = score_table(model, pq.read_table(tmp_path / "all.parquet"))
    for name in COLUMNS:
        assert found[name].to_pylist() == pytest.approx(expected[name].to_pylist(), rel=1e-6)
    record = json.loads((tmp_path / "scores" / "_scores.json").read_text())
    assert record["finished"] == {"parts": len(parts), "rows": len(rows), "rejected": {}}


class _Interrupts(NoProgress):
    """Interrupts a scoring after some batches."""

    def __init__(self, batches: int) -> None:
        self.left, self.started = batches, list[tuple[str, float | None, float]]()

    def start(self, task: str, total: float | None, unit: str, done: float = 0.0) -> None:
        self.started.append((task, total, done))

    def advance(self, amount: float, note: str = "") -> None:
        if self.started[-1][0] == "Scoring":
            self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


def test_a_scoring_that_was_stopped_goes_on_and_ends_with_the_same_bytes(
    shop: Path, small_chunks: None, tmp_path: Path
):
    write_days(tmp_path / "days")
    line = {"run": str(shop / "run"), "raw": str(tmp_path / "days" / "*"), "part_rows": 50}
    undisturbed = score_raw(PredictConfig(**line, out=tmp_path / "whole"), NoProgress())  # type: ignore[arg-type]
    config = PredictConfig(**line, out=tmp_path / "scores")  # type: ignore[arg-type]
    for batches in (12, 14):
        with pytest.raises(KeyboardInterrupt):
            score_raw(config, _Interrupts(batches))
    there = contents(tmp_path / "scores")
    assert json.loads(there["_scores.json"])["finished"] is None
    assert 1 < len(there) < 1 + undisturbed.parts
    assert all(pq.read_metadata(tmp_path / "scores" / name).num_rows for name in there if name.startswith("part"))
    (tmp_path / "scores" / "part-00001.parquet").write_bytes(there["part-00001.parquet"][:-20])  # a copy cut off
    progress = _Interrupts(-1)
    result = score_raw(config, progress)
    assert contents(tmp_path / "scores") == contents(tmp_path / "whole")
    assert (result.rows, result.parts) == (undisturbed.rows, undisturbed.parts)
    assert result.kept_parts == len(there) - 2  # without _scores.json, and the part that was cut off
    done = sum(pq.read_metadata(tmp_path / "whole" / name).num_rows for name in there if name[:4] == "part")
    done -= pq.read_metadata(tmp_path / "whole" / "part-00001.parquet").num_rows
    assert progress.started[-1] == ("Scoring", undisturbed.rows, done)
    again = score_raw(config, NoProgress())
    assert (again.kept_parts, again.scored_now, again.rows) == (undisturbed.parts, 0, undisturbed.rows)
    assert again.lines() == [
        f"Wrote 362 predictions of the model at step {result.step} to {tmp_path}/scores in {again.parts} parts",
        f"{again.parts} parts were there from before.",
    ]


def test_ranks_share_the_parts_and_write_the_same_bytes(
    shop: Path, small_chunks: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    write_days(tmp_path / "days")
    line = {"run": str(shop / "run"), "raw": str(tmp_path / "days" / "*"), "part_rows": 50}
    prices = ["dear", 1.5, "dearer", *[0.1] * 57]
    write_unlabelled(tmp_path / "days" / "day-3.csv", [{**TEST[n], "price": p} for n, p in enumerate(prices)])
    alone = score_raw(PredictConfig(**line, out=tmp_path / "alone"), NoProgress())  # type: ignore[arg-type]
    assert alone.rejected == {"non_numeric_value": 2}
    of_thread = threading.local()
    monkeypatch.setattr(of_score_raw, "open_world", lambda token: of_thread.world)

    def work(world: World) -> RawResult:
        of_thread.world = world
        return score_raw(PredictConfig(**line, out=tmp_path / "together"), NoProgress())  # type: ignore[arg-type]

    results = on_thread_ranks(work, size=3)
    assert contents(tmp_path / "together") == contents(tmp_path / "alone")
    for result in results:
        assert (result.rows, result.rejected, result.first_rejects) == (
            alone.rows,
            alone.rejected,
            alone.first_rejects,
        )

    def work_on_a_file(world: World) -> RawResult:
        of_thread.world = world
        return score_raw(PredictConfig(**line, out=tmp_path / "together.csv"), NoProgress())  # type: ignore[arg-type]

    with pytest.raises(ConfigError, match=r"together.csv, one file, and 2 ranks share the parts of a folder"):
        on_thread_ranks(work_on_a_file, size=2)


def test_each_row_has_a_score_or_is_a_counted_reject(shop: Path, tmp_path: Path):
    write_unlabelled(tmp_path / "good.csv", TEST[:6])
    lines = (tmp_path / "good.csv").read_text().splitlines()
    bad = lines[2].replace(lines[2].split(",")[2], "young", 1)
    raw = [*lines[:3], "only,three,columns", bad, *lines[3:], lines[1].replace(lines[1].split(",")[0], '"x')]
    (tmp_path / "bad.csv").write_text("\n".join(raw) + "\n")
    result = scored(shop, tmp_path / "bad.csv", tmp_path / "scores.csv", keep=("user id",))
    good = scored(shop, tmp_path / "good.csv", tmp_path / "good.scores.csv")
    found, expected = pacsv.read_csv(tmp_path / "scores.csv"), pacsv.read_csv(tmp_path / "good.scores.csv")
    assert found["sample_id"].to_pylist() == [1, 2, 5, 6, 7, 8]
    assert found["pctr"].to_pylist() == pytest.approx(expected["pctr"].to_pylist(), rel=1e-6)
    assert (result.rows, result.rejected) == (6, {"non_numeric_value": 1, "wrong_columns": 2})
    rejects = [json.loads(line) for line in (tmp_path / "scores.csv.rejects.jsonl").read_text().splitlines()]
    assert [(each["line"], each["reason"]) for each in rejects] == [
        (4, "wrong_columns"),
        (5, "non_numeric_value"),
        (10, "wrong_columns"),
    ]
    assert rejects[1] == {
        "file": "bad.csv", "line": 5, "reason": "non_numeric_value", "column": "age", "value": "young", "text": bad
    }  # fmt: skip
    assert result.lines()[1] == (
        "3 rows have no prediction: non_numeric_value 1, first in bad.csv line 5, column 'age' is 'young'; "
        f"wrong_columns 2, first in bad.csv line 4. See {tmp_path}/scores.csv.rejects.jsonl"
    )
    assert good.lines()[0].startswith(f"Wrote 6 predictions of the model at step {result.step} to {tmp_path}/good.sc")
    assert len(good.lines()) == 1


def test_a_log_of_which_no_row_can_be_scored_is_refused(shop: Path, tmp_path: Path):
    write_unlabelled(tmp_path / "log.csv", [{**row, "price": "1,5"} for row in TEST[:3]])
    with pytest.raises(InputDataError, match=r"None of 3 rows can be scored: non_numeric_value 3, first in log.csv l"):
        scored(shop, tmp_path / "log.csv", tmp_path / "scores")


def test_json_lines_score_as_csv_does(shop: Path, expected: list[Row], tmp_path: Path):
    lines = []
    for row in TEST:
        left = {name: value for name, value in row.items() if name not in ("row", "click", "buy", "price")}
        lines.append(json.dumps(left | {"price": row["price"], "interests": row["interests"]}))
    lines.insert(2, "{")
    (tmp_path / "log.jsonl").write_text("\n".join(lines))
    result = scored(shop, tmp_path / "log.jsonl", tmp_path / "s.parquet", keep=("history", "views"))
    found = pq.read_table(tmp_path / "s.parquet")
    assert result.rejected == {"bad_json": 1}
    assert found["pctcvr"].to_pylist() == pytest.approx([row["pctcvr"] for row in expected], rel=1e-6)
    assert found["sample_id"].to_pylist() == [1, 2, *range(4, len(TEST) + 2)]
    assert found["history"].to_pylist() == [json.dumps(row["history"]) for row in TEST]
    assert found["views"].to_pylist() == [None if row["views"] is None else str(row["views"]) for row in TEST]
    (tmp_path / "named.jsonl").write_text("\n".join(json.dumps({"row": 70 + n} | json.loads(lines[n])) for n in (0, 1)))
    scored(shop, tmp_path / "named.jsonl", tmp_path / "named.parquet")
    assert pq.read_table(tmp_path / "named.parquet")["sample_id"].to_pylist() == [70, 71]


def test_rows_are_called_by_the_column_that_the_schema_names_where_it_is_there(shop: Path, tmp_path: Path):
    write_shop_csv(tmp_path / "log.csv", TEST[:4])
    text = (tmp_path / "log.csv").read_text().replace("\n5002,", "\nfive,")
    (tmp_path / "log.csv").write_text(text)
    result = scored(shop, tmp_path / "log.csv", tmp_path / "scores.parquet")
    assert result.rejected == {"bad_sample_id": 1}
    assert pq.read_table(tmp_path / "scores.parquet")["sample_id"].to_pylist() == [5001, 5003, 5004]


def test_a_schema_of_other_separators_reads_the_same(shop: Path, expected: list[Row], tmp_path: Path):
    write_unlabelled(tmp_path / "log.csv", TEST)
    text = (tmp_path / "log.csv").read_text().replace("|", "/")
    assert "/" in text
    (tmp_path / "log.csv").write_text(text)
    schema = (shop / "shop-csv.yaml").read_text().replace("sample_id: row", 'list_separator: "/"')
    (tmp_path / "other.yaml").write_text(schema)
    scored(shop, tmp_path / "log.csv", tmp_path / "s.parquet", schema=str(tmp_path / "other.yaml"))
    found = pq.read_table(tmp_path / "s.parquet")
    assert found["pctcvr"].to_pylist() == pytest.approx([row["pctcvr"] for row in expected], rel=1e-6)
    (tmp_path / "less.yaml").write_text(
        schema.replace("  - {name: item, owner: item}\n", "").replace(", ids_of: item", "")
    )
    with pytest.raises(SchemaError, match="Schema 'shop' is not that of the model"):
        scored(shop, tmp_path / "log.csv", tmp_path / "s.parquet", schema=str(tmp_path / "less.yaml"))


def test_what_is_asked_for_wrongly_is_refused(shop: Path, tmp_path: Path):
    write_unlabelled(tmp_path / "log.parquet", TEST[:4])
    raw, out = tmp_path / "log.parquet", tmp_path / "scores.csv"
    with pytest.raises(ConfigError, match="keep names column 'history', which is list.*CSV holds one value a column"):
        scored(shop, raw, out, keep=("history",))
    with pytest.raises(ConfigError, match="keep names column 'sample_id'"):
        scored(shop, raw, out, keep=("sample_id",))
    with pytest.raises(InputDataError, match=r"raw is .*/none.csv, and no file is there"):
        scored(shop, tmp_path / "none.csv", out)
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="a file whose name has no known ending"):
        scored(shop, raw, tmp_path / "file")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ConfigError, match="a folder whose name ends as a file's"):
        scored(shop, raw, tmp_path / "folder.csv")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").touch()
    with pytest.raises(ConfigError, match="full holds other files already"):
        scored(shop, raw, tmp_path / "full")
    assert not out.exists()


def test_a_folder_of_scores_of_something_else_is_refused(shop: Path, tmp_path: Path):
    write_unlabelled(tmp_path / "log.parquet", TEST[:4])
    raw, out = tmp_path / "log.parquet", tmp_path / "scores"
    scored(shop, raw, out)
    with pytest.raises(ConfigError, match="scores holds scores with other columns than these would be"):
        scored(shop, raw, out, keep=("item",))
    with pytest.raises(ConfigError, match="with calibrate True, which is False now"):
        scored(shop, raw, out, calibrate=False)
    record = json.loads((out / "_scores.json").read_text())
    record["what"] |= {"step": 3, "model": 7}
    (out / "_scores.json").write_text(json.dumps(record))
    with pytest.raises(ConfigError, match="of the model at step 3, and this is step .* To go on, give --step 3"):
        scored(shop, raw, out)


def test_an_empty_log_gives_an_empty_file(shop: Path, tmp_path: Path):
    write_unlabelled(tmp_path / "log.csv", TEST[:1])
    (tmp_path / "log.csv").write_text((tmp_path / "log.csv").read_text().partition("\n")[0] + "\n")
    result = scored(shop, tmp_path / "log.csv", tmp_path / "scores.parquet")
    assert result.rows == pq.read_table(tmp_path / "scores.parquet").num_rows == 0
    said = Messages()
    out = tmp_path / "scores"
    assert score_raw(PredictConfig(run=str(shop / "run"), raw=str(tmp_path / "log.csv"), out=out), said).parts == 0
    assert f"Warning: {tmp_path}/log.csv holds no rows, so nothing is scored. Check what wrote the log." in said.texts


def test_a_log_and_its_scores_may_lie_in_a_store(
    shop: Path, small_chunks: None, s3: S3Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    write_days(tmp_path / "days")
    s3.make_bucket("scored")
    for path in (tmp_path / "days").iterdir():
        folder = Folder.open(s3.uri("scored/days"))
        folder.make()
        folder.write_bytes(path.name, path.read_bytes())
    scored(shop, tmp_path / "days" / "*", tmp_path / "scores", part_rows=50)
    line = ["predict", "--run", str(shop / "run"), "--part-rows", "50"]
    assert cli.main([*line, "--raw", s3.uri("scored/days/day-*"), "--out", s3.uri("scored/out")]) == 0
    stored = Folder.open(s3.uri("scored/out"))
    assert {name: stored.read_bytes(name) for name in stored.names()} == contents(tmp_path / "scores")
    assert "predictions of the model at step" in capsys.readouterr().out
    stored.write_bytes("part-00002.parquet", stored.read_bytes("part-00002.parquet")[:100])
    stored.delete_file("part-00000.parquet")
    assert cli.main([*line, "--raw", s3.uri("scored/days/day-*"), "--out", s3.uri("scored/out"), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["kept_parts"] == result["parts"] - 2
    assert {name: stored.read_bytes(name) for name in stored.names()} == contents(tmp_path / "scores")
    assert cli.main([*line, "--raw", s3.uri("scored/days"), "--out", s3.uri("scored/all.csv.gz")]) == 0
    scored(shop, tmp_path / "days", tmp_path / "all.csv.gz")
    assert pacsv.read_csv(tmp_path / "all.csv.gz").equals(
        pacsv.read_csv(io.BytesIO(gzip.decompress(Folder.open(s3.uri("scored")).read_bytes("all.csv.gz"))))
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "neither data nor raw is given. Give --data DATA for a data set, or --raw PATH"),
        ({"raw": "log.csv", "data": Path("data")}, "both data and raw are given"),
        ({"data": Path("data"), "schema": "aliccp"}, "schema is aliccp, which is for raw"),
        ({"data": Path("data"), "out": Path("scores")}, "whose name has no known ending"),
        ({"raw": "log.csv", "part_rows": 0}, "part_rows is 0. Set 1 or more"),
        (
            {"raw": "log.csv", "on_bad_record": "skip"},
            "on_bad_record is 'skip', which is for the records of a data set",
        ),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings: dict[str, object], message: str):
    with pytest.raises(ConfigError, match=message):
        PredictConfig(**{"run": "run", "out": Path("scores.csv")} | settings)  # type: ignore[arg-type]


def test_a_kept_column_of_another_type_in_another_file_is_refused_where_a_value_does_not_fit(
    shop: Path, tmp_path: Path
):
    for day, extra in ((1, pa.array([7] * 4)), (2, pa.array(["8", "nine", "10", None]))):
        path = tmp_path / f"day-{day}.parquet"
        write_unlabelled(path, TEST[:4])
        pq.write_table(pq.read_table(path).append_column("place", extra), path)
    with pytest.raises(InputDataError, match=r"keep has another type in .*/day-2.parquet than in the first file"):
        scored(shop, tmp_path / "day-*.parquet", tmp_path / "s.parquet", keep=("place",))
    assert not (tmp_path / "s.parquet").exists()


def test_a_file_that_changes_while_it_is_read_is_refused(shop: Path, tmp_path: Path):
    write_unlabelled(tmp_path / "log.csv", TEST)
    text = (tmp_path / "log.csv").read_text()

    class Shortens(NoProgress):
        def start(self, task: str, total: float | None, unit: str, done: float = 0.0) -> None:
            if task == "Scoring":
                (tmp_path / "log.csv").write_text(text[:500])

    config = PredictConfig(run=str(shop / "run"), raw=str(tmp_path / "log.csv"), out=tmp_path / "s.csv")
    with pytest.raises(InputDataError, match="log.csv was changed while it was read"):
        score_raw(config, Shortens())


def test_files_of_a_folder_are_those_of_the_schema_or_the_parts_of_a_log(shop: Path, tmp_path: Path):
    def names(raw: Path, split: str = "test") -> list[str]:
        schema = load_schema(str(shop / "shop-csv.yaml"))
        return [file.shown_name for file in find_raw_files(str(raw), schema, split)]

    (tmp_path / "log").mkdir()
    for name in ("train.csv", "test.csv", "notes.csv"):
        (tmp_path / "log" / name).touch()
    assert names(tmp_path / "log") == ["test.csv"]
    assert names(tmp_path / "log", "validation") == ["test.csv", "train.csv"]
    (tmp_path / "day.parquet").mkdir()
    for name in ("part-10.parquet", "part-2.parquet", "_SUCCESS"):
        (tmp_path / "day.parquet" / name).touch()
    assert names(tmp_path / "day.parquet") == ["part-2.parquet", "part-10.parquet"]
    assert names(tmp_path / "*" / "part-[0-9].parquet") == ["day.parquet/part-2.parquet"]
    (tmp_path / "day.parquet" / ".copying").touch()
    with pytest.raises(InputDataError, match="is an incomplete copy"):
        names(tmp_path / "day.parquet")
