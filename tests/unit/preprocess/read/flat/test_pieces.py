"""A flat log is parsed in pieces that memory holds, and where they are cut changes nothing."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from preprocess.read.flat.pieces import line_pieces, row_pieces
from preprocess.read.inputs import InputFile
from tests.unit.preprocess.flat_logs import HEADER, schema
from tests.unit.preprocess.plans import use_plan
from tests.unit.preprocess.raw_logs import files, run


def test_lines_are_taken_together_as_long_as_they_fit():
    lines = [b"1,a", b"2,a|b", b"3,a|b|c|d|e", b"4,a", b"5,a"]  # 2, 3, 6, 2 and 2 items
    assert list(line_pieces(lines, (b",", b"|"), 5)) == [(0, 2), (2, 3), (3, 5)]
    assert list(line_pieces(lines, (b",", b"|"), 100)) == [(0, 5)]
    assert list(line_pieces([], (b",",), 5)) == [(0, 0)]
    assert list(line_pieces([b"a" * 160, b"b" * 160], (b",",), 15)) == [(0, 1), (1, 2)]  # 16 bytes count as an item


COLUMNS = {
    "list": pa.array([[1] * n for n in (3, 0, 9, 1, 1, 4, 2)]),
    "fixed": pa.array([[1, 2]] * 7, pa.list_(pa.int8(), 2)),
    "map": pa.array([[("a", 1.0)] * n for n in (3, 0, 9, 1, 1, 4, 2)], pa.map_(pa.string(), pa.float32())),
    "pairs": pa.array([[{"id": 1, "weight": 1.0}] * n for n in (3, 0, 9, 1, 1, 4, 2)]),
    "text": pa.array(["a|b|c", "", "a|b|c|d|e|f|g|h|i", "a", "a", "a|b|c|d", None]),
    "dictionary": pa.array(["a|b|c", "", "a|b|c|d|e|f|g|h|i", "a", "a", "a|b|c|d", None]).dictionary_encode(),
    "long": pa.array([b"x" * 16 * n for n in (3, 0, 9, 1, 1, 4, 2)]),
}


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("most", [1, 5, 8, 1000])
def test_rows_are_taken_together_as_long_as_they_fit_and_are_those_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, most: int
):
    monkeypatch.setattr("preprocess.read.flat.pieces.BATCH_ROWS", 4)
    table = pa.table({"n": pa.array(range(7), pa.int8()), "column": COLUMNS[name]})
    pq.write_table(table, tmp_path / "a.parquet")
    file = InputFile(
        split="train", kind="log", index=0, path=tmp_path / "a.parquet", name="a.parquet", packing="parquet"
    )
    pieces = list(row_pieces(file, 0, ["n", "column"], "|", most))
    assert [row for _, piece in pieces for row in piece["n"].to_pylist()] == list(range(7))
    ends = np.cumsum([piece.num_rows for _, piece in pieces])
    assert [first for first, _ in pieces] == [0, *ends[:-1].tolist()]
    assert 4 in ends  # a chunk has four rows here
    assert len(pieces) == {1: 7, 1000: 2}.get(most, len(pieces))
    if most == 8:  # every row has at most ten items, that with ten stands alone
        assert 3 <= len(pieces) <= 7


ROWS = [
    *(f"{n},u{n % 7},sport:{n}.5|film:1,{n % 5},{'|'.join('tags'[: n % 5])},{n % 2},0" for n in range(1, 60)),
    "7,u1,,1,red,0,0",  # repeats sample 7
    "61,u1,sport,1,red,0,0",  # no weight
    "62,u2,,1,red,maybe,0",
    "63,u3,,1,red",
    "64,u3,,1,blue,0,0",
    "9,u1,,1,red,0,0",
]


@pytest.mark.parametrize(
    ("form", "sample_id"),
    [
        ("csv", "sample_id: id"),
        ("parquet", ""),
        pytest.param("csv", "", marks=pytest.mark.slow),
        pytest.param("parquet", "sample_id: id", marks=pytest.mark.slow),
    ],
)
def test_where_pieces_are_cut_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, sample_id: str
):
    raw = tmp_path / "raw"
    raw.mkdir()
    for number in (1, 2):
        rows = [row for row in ROWS if form == "csv" or row.count(",") == 6]
        if form == "csv":
            (raw / f"log{number}.csv").write_text("\n".join([HEADER, *rows]) + "\n")
        else:
            columns = dict(zip(HEADER.split(","), zip(*(row.split(",") for row in rows), strict=True), strict=True))
            pq.write_table(
                pa.table({k: list(v) for k, v in columns.items()}), raw / f"log{number}.parquet", row_group_size=40
            )
    found = []
    for module in ("parse", "pieces", "row_texts", "tasks"):
        monkeypatch.setattr(f"preprocess.read.flat.{module}.BATCH_ROWS", 16)
    for most in (1, 20, 10_000):
        use_plan(monkeypatch, piece_items=most, chunk_bytes=900)
        out = tmp_path / f"out-{most}"
        run(raw, out, schema=schema(tmp_path, f"*.{form}", sample_id), max_reject_share=1.0)
        found.append(files(out))
    assert found[0] == found[1] == found[2]
    rejected = found[0]["rejects/train.jsonl"].decode().splitlines()
    repeats = 2 + 60 + 2 if sample_id else 0  # the second file repeats all of the first
    assert len(rejected) >= repeats + 2 * (2 + (form == "csv"))


def write_wide(folder: Path, form: str, rows: int) -> None:
    """Write rows of 150 ids each: one row group, or short texts."""
    ids = np.random.default_rng(1).integers(0, 10 if form == "csv" else 10**6, rows * 150)
    if form == "csv":
        lists = ["|".join(map(str, row)) for row in ids.reshape(rows, 150)]
        (folder / "a.csv").write_text(
            "user,item,tags,clicked,bought\n" + "".join(f"{n % 97},{n},{text},0,0\n" for n, text in enumerate(lists))
        )
        return
    tags = pa.ListArray.from_arrays(pa.array(np.arange(rows + 1) * 150, pa.int32()), pa.array(ids))
    few = pa.array(np.zeros(rows, np.int8))
    table = pa.table({"user": pa.array(np.arange(rows) % 97), "item": few, "tags": tags, "clicked": few, "bought": few})
    pq.write_table(table, folder / "a.parquet", row_group_size=rows)


SCHEMA = """
name: wide
labels: [click, conversion]
source: {form: flat, files: {train: "a.*"}, labels: {click: clicked, conversion: bought}}
fields:
  - {name: user, owner: user}
  - {name: item, owner: item}
  - {name: tags, owner: item, multi_hot: true}
"""


@pytest.mark.parametrize(
    ("form", "rows"),
    [
        ("parquet", 10_000),
        ("csv", 24_000),  # 7 MB of text: one chunk
        pytest.param("parquet", 65_536, marks=pytest.mark.slow),
    ],
)
def test_memory_stays_under_the_bound_whatever_ids_the_rows_hold(tmp_path: Path, form: str, rows: int):
    """Parsed at once, 10,000 rows of a row group take 190 MB, and 7 MB of short texts 400."""
    (tmp_path / "raw").mkdir()
    (tmp_path / "wide.yaml").write_text(SCHEMA)
    write_wide(tmp_path / "raw", form, rows)
    assert peak_bytes(tmp_path, memory_gb=0.33) < 330_000_000 - 145_000_000  # of library files; see test_interrupted


def peak_bytes(folder: Path, *, memory_gb: float) -> int:
    """Preprocess ``folder/raw`` with ``folder/wide.yaml`` in another process; return the peak of its own memory."""
    program = (
        "import sys; from tests.unit.preprocess.raw_logs import run; from pathlib import Path;"
        "run(Path(sys.argv[1]), Path(sys.argv[2]), memory_gb=float(sys.argv[4]), min_count=2, schema=sys.argv[3]);"
        "print(Path('/proc/self/status').read_text())"
    )
    (folder / "without").mkdir()
    (folder / "without/pandas.py").write_text("raise ImportError('not at run time')")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(folder / "without"), *sys.path])}
    arguments = [str(folder / "raw"), str(folder / "out"), str(folder / "wide.yaml"), str(memory_gb)]
    command = [sys.executable, "-c", program, *arguments]
    found = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    peak, mapped = (int(kb) * 1024 for kb in re.findall(r"^(?:VmHWM|RssFile):\s+(\d+) kB", found.stdout, re.MULTILINE))
    return peak - mapped
