"""Which files a flat log has: patterns, folders of parts, and files that are not what they should be."""

import gzip
import re
import shutil
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

import preprocess.read.file_patterns
from esmm_dist.errors import InputDataError, SchemaError
from preprocess.read.file_patterns import matching_files
from tests.unit.preprocess.flat_logs import HEADER, ROWS, schema, write_csv
from tests.unit.preprocess.raw_logs import read_impressions, run


def make(raw: Path, *names: str) -> Path:
    for name in names:
        (raw / name).parent.mkdir(parents=True, exist_ok=True)
        (raw / name).touch()
    return raw


def names(raw: Path, pattern: str) -> list[str]:
    return [str(path.relative_to(raw)) for path in matching_files(raw, pattern)]


@pytest.mark.parametrize("folder", ["logs [2024]", "fl[1]", "a*b?", "{x}"])
def test_wildcards_in_the_raw_folders_own_name_are_plain_text(tmp_path: Path, folder: str):
    raw = make(tmp_path / folder, "train-1.csv", "train-2.csv", "test.csv")
    assert names(raw, "train*.csv") == ["train-1.csv", "train-2.csv"]


def test_numbers_in_names_are_ordered_as_numbers(tmp_path: Path):
    made = ["train-1.csv", "train-2.csv", "train-10.csv", "train-10b.csv"]
    raw = make(tmp_path / "raw", *reversed(made), "day=9/part-0.csv", "day=10/part-0.csv")
    assert names(raw, "train*.csv") == made
    assert names(raw, "day=*/*.csv") == ["day=9/part-0.csv", "day=10/part-0.csv"]
    same_number = make(tmp_path / "same", "a-1.csv", "a-01.csv")
    assert names(same_number, "a*.csv") == ["a-01.csv", "a-1.csv"]


def test_two_stars_stand_for_any_number_of_folders(tmp_path: Path):
    raw = make(tmp_path / "raw", "a.csv", "day=1/a.csv", "day=1/hour=2/b.csv", "day=2/c.txt", ".hidden/a.csv")
    assert names(raw, "**/*.csv") == ["a.csv", "day=1/a.csv", "day=1/hour=2/b.csv"]


def test_a_folder_of_parts_is_its_parts_without_the_bookkeeping(tmp_path: Path):
    folder = "train.csv"
    parts = [f"{folder}/part-00000-uuid.csv", f"{folder}/part-00001-uuid.csv"]
    beside = [
        "_SUCCESS",
        "._SUCCESS.crc",
        ".part-00000-uuid.csv.crc",
        "_committed_70236",
        "_started_70236",
        "_metadata",
    ]
    raw = make(tmp_path / "raw", *parts, *(f"{folder}/{name}" for name in beside))
    assert names(raw, "train*.csv") == names(raw, "train.csv/*") == names(raw, "**/*") == parts


def test_parts_in_folders_of_a_partitioned_table_are_found(tmp_path: Path):
    raw = make(
        tmp_path / "raw", "t.parquet/day=1/part-0.parquet", "t.parquet/day=2/part-0.parquet", "t.parquet/_SUCCESS"
    )
    assert names(raw, "t.parquet") == ["t.parquet/day=1/part-0.parquet", "t.parquet/day=2/part-0.parquet"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("_temporary/0/task_1/part-00000.csv", r"train\.csv is not complete: it holds _temporary"),
        ("_delta_log/0001.json", r"train\.csv is a Delta table: .*Export the version that you want"),
    ],
)
@pytest.mark.parametrize("pattern", ["train.csv", "**/*.csv"])
def test_a_folder_that_is_no_finished_log_is_refused(tmp_path: Path, pattern: str, name: str, message: str):
    raw = make(tmp_path / "raw", "train.csv/part-00001.csv", f"train.csv/{name}")
    with pytest.raises(InputDataError, match=message):
        matching_files(raw, pattern)


def test_a_folder_without_parts_is_refused(tmp_path: Path):
    raw = make(tmp_path / "raw", "train.csv/_SUCCESS")
    with pytest.raises(InputDataError, match=r"raw/train\.csv is a folder without a part of a log"):
        matching_files(raw, "train.csv")


def test_more_files_than_positions_count_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(preprocess.read.file_patterns, "MAX_FILES", 2)
    raw = make(tmp_path / "raw", "a.csv", "b.csv", "c.csv")
    with pytest.raises(InputDataError, match=r"holds 3 files that match '\*\.csv'; preprocess reads at most 2 a split"):
        matching_files(raw, "*.csv")


def test_a_folder_that_spark_wrote_gives_what_one_file_gives(tmp_path: Path):
    raw = write_csv(tmp_path, ROWS)
    whole = run(raw, tmp_path / "whole", schema=schema(tmp_path, "log.csv"))
    (raw / "log.csv").unlink()
    (raw / "log.csv").mkdir()
    for part, rows in enumerate((ROWS[:1], ROWS[1:])):
        (raw / "log.csv" / f"part-{part:05d}.csv.gz").write_bytes(
            gzip.compress("\n".join([HEADER, *rows, ""]).encode())
        )
    make(raw / "log.csv", "_SUCCESS", ".part-00000.csv.gz.crc")
    parts = run(raw, tmp_path / "parts", schema=schema(tmp_path, "log.csv"))
    assert read_impressions(tmp_path / "parts", parts, "train") == read_impressions(tmp_path / "whole", whole, "train")


@pytest.mark.parametrize("packing", ["csv", "csv.gz", "parquet"])
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "user",
            "usr",
            r"Field 'user' reads column 'user', which is missing from (\S+)\. Did you mean 'usr'\? Its columns \(8\)",
        ),
        ("more", "item", r"Field 'item' reads column 'item', which (\S+) has 2 times \(columns 4, 8\)"),
    ],
)
def test_the_part_whose_columns_do_not_fit_is_named(tmp_path: Path, packing: str, old: str, new: str, message: str):
    raw = write_csv(tmp_path, ROWS, "a.csv")
    table = pacsv.read_csv(raw / "a.csv").cast(pa.schema([(name, pa.string()) for name in HEADER.split(",")]))
    table = table.append_column("more", table["id"])
    odd = table.rename_columns([new if name == old else name for name in table.column_names])
    (raw / "a.csv").unlink()
    for name, part in (("a", table), ("b", odd)):
        path = raw / f"{name}.{packing}"
        if packing == "parquet":
            pq.write_table(part, path)
        else:
            with pa.output_stream(path, compression="gzip" if packing == "csv.gz" else None) as out:
                pacsv.write_csv(part, out)
    with pytest.raises(SchemaError) as caught:
        run(raw, tmp_path / "out", schema=schema(tmp_path, f"*.{packing}"))
    found = re.match(message, str(caught.value))
    assert found is not None, caught.value
    assert found[1] == str(raw / f"b.{packing}")


def test_a_column_that_nobody_reads_may_stand_there_twice(tmp_path: Path):
    raw = write_csv(tmp_path, ROWS)
    lines = (raw / "log.csv").read_text().splitlines()
    (raw / "log.csv").write_text("\n".join(["x,x," + lines[0], *("0,0," + line for line in lines[1:])]) + "\n")
    manifest = run(raw, tmp_path / "out", schema=schema(tmp_path, "log.csv"))
    assert manifest.splits["train"].impressions == len(ROWS)


@pytest.mark.parametrize("text", [b"", b"\n", b"\xef\xbb\xbf\r\n"])
@pytest.mark.parametrize("ending", ["csv", "csv.gz"])
def test_an_empty_part_is_named(tmp_path: Path, text: bytes, ending: str):
    raw = write_csv(tmp_path, ROWS, "a.csv")
    if ending == "csv.gz":
        (raw / "a.csv.gz").write_bytes(gzip.compress((raw / "a.csv").read_bytes()))
    (raw / f"b.{ending}").write_bytes(gzip.compress(text) if ending == "csv.gz" else text)
    with pytest.raises(InputDataError, match=rf"raw/b\.{ending} has no header line"):
        run(raw, tmp_path / "out", schema=schema(tmp_path, f"*.{ending}"))


@pytest.mark.parametrize("ending", ["csv", "csv.gz"])
def test_lines_that_end_in_cr_alone_are_refused_and_the_command_that_is_given_mends_them(tmp_path: Path, ending: str):
    raw = write_csv(tmp_path, ROWS, "my log.csv")
    whole = run(raw, tmp_path / "whole", schema=schema(tmp_path, "my log.csv"))
    text = (raw / "my log.csv").read_bytes().replace(b"\n", b"\r")
    shutil.rmtree(raw)
    raw.mkdir()
    old = raw / f"my log.{ending}"
    old.write_bytes(gzip.compress(text) if ending == "csv.gz" else text)
    with pytest.raises(InputDataError, match=r"my log\.csv.*: the lines end in CR alone") as caught:
        run(raw, tmp_path / "out", schema=schema(tmp_path, f"*.{ending}"))
    subprocess.run(str(caught.value).partition("move the old file away: ")[2], shell=True, check=True)
    old.unlink()
    mended = run(raw, tmp_path / "out", schema=schema(tmp_path, f"*.{ending}"))
    assert read_impressions(tmp_path / "out", mended, "train") == read_impressions(tmp_path / "whole", whole, "train")


def test_a_long_file_whose_lines_end_in_cr_alone_is_told_so_too(tmp_path: Path):
    """Longer than a line may be, so that it is not looked for its end."""
    raw = write_csv(tmp_path, ROWS)
    rows = "\r".join([HEADER, *(f"{n},u,,1,,0,0" for n in range(300_000))])
    (raw / "log.csv").write_text(rows)
    with pytest.raises(InputDataError, match=r"log\.csv: the lines end in CR alone"):
        run(raw, tmp_path / "out", schema=schema(tmp_path, "log.csv"))
    (raw / "log.csv.gz").write_bytes(gzip.compress(rows.encode(), 1))
    with pytest.raises(InputDataError, match=r"log\.csv\.gz: the line at byte .* that its lines end in LF or CR LF"):
        run(raw, tmp_path / "out", schema=schema(tmp_path, "log.csv.gz"))


@pytest.mark.parametrize("column", ["", "a.b", "a b"])
def test_columns_of_any_name_stand_beside_those_that_are_read(tmp_path: Path, column: str):
    """Such as the index that pandas writes, which has no name."""
    raw = write_csv(tmp_path, ROWS)
    head, *lines = (raw / "log.csv").read_text().splitlines()
    (raw / "log.csv").write_text("\n".join([f"{column},{head}", *(f"{n},{line}" for n, line in enumerate(lines))]))
    manifest = run(raw, tmp_path / "out", schema=schema(tmp_path, "log.csv"))
    assert manifest.splits["train"].impressions == len(ROWS)
