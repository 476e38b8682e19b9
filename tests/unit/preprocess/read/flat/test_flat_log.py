"""A user's own log: CSV and Parquet, columns of all kinds."""

import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from esmm_dist.errors import InputDataError, SchemaError
from esmm_dist.schema.feature_id import feature_id
from esmm_dist.schema.manifest import DatasetManifest
from tests.unit.preprocess.flat_logs import ROWS, schema, write_csv
from tests.unit.preprocess.plans import use_plan
from tests.unit.preprocess.raw_logs import read_groups, read_impressions, rejects, run, shard_bytes


def ids(**values: str) -> list[tuple[str, int | None]]:
    return [(field, feature_id(field, text)) for field, text in values.items()]


def check_rows(out: Path, manifest: DatasetManifest) -> None:
    """Check that the four rows above came out as they stand there."""
    found = read_impressions(out, manifest, "train")
    assert [i.sample_id for i in found] == [11, 12, 13, 14]
    assert [i.labels for i in found] == [(1, 0), (0, 0), (1, 1), (0, 0)]
    assert manifest.splits["train"].broken_chains == {"conversion": 1}
    sport, film = feature_id("interests", "sport"), feature_id("interests", "film")
    first_user = (("user", feature_id("user", "u1"), 1.0), ("interests", sport, 2.5), ("interests", film, 0.5))
    assert found[0].user == found[1].user == first_user
    assert found[2].user == (("user", feature_id("user", "u2"), 1.0),)
    assert [f[:2] for f in found[3].user] == ids(user="u,3", interests="sport")
    own = [[(field, number) for field, number, _ in i.own] for i in found]
    assert own[0] == [*ids(item="4"), *ids(tags="red"), *ids(tags="new")]
    assert own[1] == ids(item="5")
    assert own[2] == [*ids(item="5"), *ids(tags="new")]
    assert own[3] == ids(tags='a "b"')
    assert [len(group) for group in sorted(read_groups(out, manifest, "train"), key=len)] == [1, 1, 2]


def test_csv_rows_come_out_with_hashed_ids_and_equal_users_share_a_record(tmp_path: Path):
    raw = write_csv(tmp_path, ROWS)
    check_rows(tmp_path / "out", run(raw, tmp_path / "out", schema=schema(tmp_path, "log.csv")))


def test_parquet_of_typed_columns_gives_the_same_impressions(tmp_path: Path):
    pairs = pa.list_(pa.struct([("id", pa.string()), ("weight", pa.float64())]))
    sports = [{"id": "sport", "weight": 2.5}, {"id": "film", "weight": 0.5}]
    table = pa.table(
        {
            "id": pa.array([11, 12, 13, 14]),
            "user": pa.array(["u1", "u1", "u2", "u,3"]).dictionary_encode(),
            "interests": pa.array([sports, sports, None, [{"id": "sport", "weight": 1.0}]], pairs),
            "item": pa.array([4.0, 5.0, 5.0, np.nan]),  # whole numbers, as pandas writes a column with gaps
            "tags": pa.array([["red", "new"], [], ["new"], ['a "b"']]),
            "clicked": pa.array([True, False, True, False]),
            "bought": pa.array([0, 1, 1, 0], pa.int8()),
        }
    )
    (tmp_path / "raw").mkdir()
    pq.write_table(table, tmp_path / "raw" / "log.parquet", row_group_size=3)
    manifest = run(tmp_path / "raw", tmp_path / "out", schema=schema(tmp_path, "*.parquet"))
    check_rows(tmp_path / "out", manifest)
    maps = [[(item["id"], item["weight"]) for item in row or []] for row in table["interests"].to_pylist()]
    as_maps = table.set_column(2, "interests", pa.array(maps, pa.map_(pa.string(), pa.float64())))
    pq.write_table(as_maps, tmp_path / "raw" / "log.parquet")
    check_rows(tmp_path / "out2", run(tmp_path / "raw", tmp_path / "out2", schema=schema(tmp_path, "*.parquet")))


def test_text_chunks_and_packing_do_not_change_the_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    rows = [f"{n},u{n % 7},sport:{n % 3},{n % 11},a|b{n % 5},{n % 2},0" for n in range(300)]
    raw = write_csv(tmp_path, rows)
    whole = run(raw, tmp_path / "whole", schema=schema(tmp_path, "log.csv"))
    use_plan(monkeypatch, partition_limit_bytes=1000, chunk_bytes=400)
    pieces = run(raw, tmp_path / "pieces", schema=schema(tmp_path, "log.csv"))
    (raw / "log.csv.gz").write_bytes(gzip.compress((raw / "log.csv").read_bytes()))
    (raw / "log.csv").unlink()
    packed = run(raw, tmp_path / "packed", schema=schema(tmp_path, "log.csv.gz"))
    assert whole.splits["train"].impressions == 300
    assert shard_bytes(tmp_path / "pieces", pieces) == shard_bytes(tmp_path / "whole", whole)
    assert shard_bytes(tmp_path / "packed", packed) == shard_bytes(tmp_path / "whole", whole)


def test_rows_without_a_sample_id_are_numbered_over_all_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    use_plan(monkeypatch, chunk_bytes=60)
    for name in ("b.csv", "a.csv"):
        raw = write_csv(tmp_path, [f"0,{name}{n},,{n},,0,0" for n in range(10)], name)
    (raw / "a.csv").write_text((raw / "a.csv").read_text() + "broken\n")
    write_csv(tmp_path, [f"0,b.csv{n},,{n},,0,0" for n in range(10)], "b.csv")
    manifest = run(raw, tmp_path / "out", schema=schema(tmp_path, "*.csv", sample_id=""))
    users = {i.sample_id: i.user[0][1] for i in read_impressions(tmp_path / "out", manifest, "train")}
    expected = {n + 1: feature_id("user", f"a.csv{n}") for n in range(10)}
    # The 11th line of a.csv is rejected; it keeps its number, so that numbers follow from the place in the log.
    assert users == expected | {n + 12: feature_id("user", f"b.csv{n}") for n in range(10)}
    assert rejects(tmp_path / "out") == [("a.csv", 12, "wrong_columns")]


def test_log_without_user_fields_keeps_every_impression(tmp_path: Path):
    raw = write_csv(tmp_path, ROWS)
    path = Path(schema(tmp_path, "log.csv"))
    path.write_text(path.read_text().replace("owner: user", "owner: context"))
    manifest = run(raw, tmp_path / "out", schema=str(path))
    assert [(i.sample_id, i.user) for i in read_impressions(tmp_path / "out", manifest, "train")] == [
        (n, ()) for n in (11, 12, 13, 14)
    ]


BAD_ROWS = [
    ("21,u,,1,,1", "wrong_columns"),
    ("", "wrong_columns"),
    ('21,"u,,1,,1,0', "wrong_columns"),  # a quote that does not close
    ("21,u,,1,,1,2", "bad_label"),
    ("21,u,,1,,,0", "bad_label"),
    ("x,u,,1,,1,0", "bad_sample_id"),
    (",u,,1,,1,0", "bad_sample_id"),
    ("11,u,,1,,1,0", "repeated_sample_id"),
    ("21,u,sport,1,,1,0", "bad_feature"),
    ("21,u,sport:x,1,,1,0", "non_numeric_value"),
    ("21,u,sport:nan,1,,1,0", "not_finite_value"),
    ("21,u,sport:-1,1,,1,0", "negative_value"),
]


@pytest.mark.parametrize(("row", "reason"), BAD_ROWS)
def test_bad_row_of_a_csv_is_rejected_with_its_line(tmp_path: Path, row: str, reason: str):
    raw = write_csv(tmp_path, [*ROWS, row, "22,u,,1,,1,0"])
    manifest = run(raw, tmp_path / "out", schema=schema(tmp_path, "log.csv"))
    assert rejects(tmp_path / "out") == [("log.csv", 6, reason)]
    assert [i.sample_id for i in read_impressions(tmp_path / "out", manifest, "train")] == [11, 12, 13, 14, 22]
    assert manifest.report["splits"]["train"]["log"]["lines_in"] == 6


def test_row_that_is_not_utf8_is_rejected(tmp_path: Path):
    raw = write_csv(tmp_path, ROWS)
    with (raw / "log.csv").open("ab") as file:
        file.write(b"21,\xff,,1,,1,0\r\n22,u,,1,,1,0\r\n")
    run(raw, tmp_path / "out", schema=schema(tmp_path, "log.csv"))
    assert rejects(tmp_path / "out") == [("log.csv", 6, "bad_utf8")]


def test_bad_rows_of_a_parquet_file_are_rejected_with_their_row(tmp_path: Path):
    pairs = pa.list_(pa.struct([("id", pa.int64()), ("weight", pa.float32())]))
    table = pa.table(
        {
            "id": [1, 2, 3, 4, -5],
            "user": ["u"] * 5,
            "interests": pa.array([[(1, 1.0)], [(1, float("nan"))], [(1, -1.0)], [], []], pairs),
            "item": [["a"], ["a"], ["a"], ["a", "b"], ["a"]],
            "tags": ["x|y"] * 5,
            "clicked": [0] * 5,
            "bought": [0] * 5,
        }
    )
    (tmp_path / "raw").mkdir()
    pq.write_table(table, tmp_path / "raw" / "log.parquet")
    run(tmp_path / "raw", tmp_path / "out", schema=schema(tmp_path, "log.parquet"), max_reject_share=1.0)
    assert rejects(tmp_path / "out") == [
        ("log.parquet", 2, "not_finite_value"),
        ("log.parquet", 3, "negative_value"),
        ("log.parquet", 4, "several_ids_in_one_hot_field"),
        ("log.parquet", 5, "bad_sample_id"),
    ]


def test_column_that_the_log_lacks_is_named(tmp_path: Path):
    raw = write_csv(tmp_path, ROWS)
    path = Path(schema(tmp_path, "log.csv"))
    path.write_text(path.read_text().replace("name: tags", "name: brand"))
    with pytest.raises(
        SchemaError,
        match=r"Field 'brand' reads column 'brand', which is missing from .*/raw/log\.csv\. Its columns \(7\): id",
    ):
        run(raw, tmp_path / "out", schema=str(path))


def test_file_of_an_unknown_kind_is_refused(tmp_path: Path):
    raw = write_csv(tmp_path, ROWS, "log.txt")
    with pytest.raises(InputDataError, match=r"log\.txt ends in none of \.csv, .*\.jsonl, .*\.gz\) and \.parquet"):
        run(raw, tmp_path / "out", schema=schema(tmp_path, "log.txt"))


def test_pattern_that_matches_nothing_is_named(tmp_path: Path):
    raw = write_csv(tmp_path, ROWS)
    with pytest.raises(InputDataError, match=r"source\.files\.train = 'other-\*\.csv'"):
        run(raw, tmp_path / "out", schema=schema(tmp_path, "other-*.csv"))


def test_test_split_without_files_is_refused_with_its_pattern_and_what_the_folder_holds(tmp_path: Path):
    raw = write_csv(tmp_path, ROWS)
    path = schema(tmp_path, 'log.csv", test: "tset*.csv')
    with pytest.raises(
        InputDataError, match=r"no file for the test split: .*files\.test = 'tset\*\.csv'.* holds: log\.csv"
    ):
        run(raw, tmp_path / "out", schema=path)


@pytest.mark.parametrize(
    ("test", "message"),
    [
        ("l*.csv", r"raw/log\.csv is in the train and the test split"),
        ("other.csv", r"raw/log\.csv and .*raw/other\.csv are one file, which is in the train and the test split"),
    ],
)
def test_one_file_in_both_splits_is_refused_by_its_name(tmp_path: Path, test: str, message: str):
    raw = write_csv(tmp_path, ROWS)
    (raw / "other.csv").symlink_to(raw / "log.csv")
    with pytest.raises(InputDataError, match=message):
        run(raw, tmp_path / "out", schema=schema(tmp_path, f'log.csv", test: "{test}'))
    with pytest.raises(InputDataError, match=r"are one file, which is twice in its split"):
        run(raw, tmp_path / "out", schema=schema(tmp_path, "*.csv"))


def test_damaged_parquet_file_is_named(tmp_path: Path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "log.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(InputDataError, match=r"log\.parquet cannot be read"):
        run(tmp_path / "raw", tmp_path / "out", schema=schema(tmp_path, "log.parquet"))


def test_a_csv_that_pandas_made_floats_has_the_ids_of_the_csv_that_it_did_not(tmp_path: Path):
    whole = run(write_csv(tmp_path, ROWS), tmp_path / "whole", schema=schema(tmp_path, "log.csv"))
    rows = [row.replace(",4,", ",4.0,").replace(",5,", ",5.0,") for row in ROWS]
    floats = run(write_csv(tmp_path, rows), tmp_path / "floats", schema=schema(tmp_path, "log.csv"))
    assert rows != ROWS
    assert shard_bytes(tmp_path / "floats", floats) == shard_bytes(tmp_path / "whole", whole)
