"""Which schema a raw log is read by, and which of its files."""

from pathlib import Path

import pandas as pd
import pytest

from esmm_dist.errors import InputDataError, SchemaError
from esmm_dist.report.data_statistics.raw_source import RawSource, raw_source
from esmm_dist.schema.sources import ColumnSplit, FlatSource
from tests.unit.preprocess.events.event_logs import EVENTS, FIELDS
from tests.unit.preprocess.flat_logs import schema as flat_schema


def log(users: int = 20, impressions: int = 10) -> pd.DataFrame:
    rows = [
        (f"u{u}", f"i{n}", "f" if u % 2 else "m", n % 2, int(n % 4 == 1))
        for n in range(impressions)
        for u in range(users)
    ]
    return pd.DataFrame(rows, columns=["user_id", "item_id", "gender", "click", "buy"])


def write(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        log().to_parquet(path)
    elif ".jsonl" in path.suffixes:
        log().to_json(path, orient="records", lines=True)
    else:
        log().to_csv(path, index=False, sep="\t" if ".tsv" in path.suffixes else ",")
    return path


def flat(source: RawSource) -> FlatSource:
    assert isinstance(source.schema.source, FlatSource)
    return source.schema.source


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz", "log.tsv", "log.jsonl", "log.parquet", "a [1].csv"])
def test_a_schema_is_guessed_from_one_file_and_told(tmp_path: Path, name: str):
    path = write(tmp_path / name)
    write(tmp_path / "other.csv")
    found = raw_source(path, None)
    assert found.folder == tmp_path
    assert found.schema.labels == ("click", "buy")
    assert {field.name: field.owner for field in found.schema.fields} == {
        "user_id": "user",
        "item_id": "item",
        "gender": "user",
    }
    assert [each.name for each in tmp_path.glob(flat(found).files["train"])] == [name]
    assert any("user_id" in line and "named as the id of users" in line for line in found.told)
    assert (
        found.told[-1] == f"Guessed from the first rows of {path}. To correct it, give a schema: --schema my-log.yaml"
    )


def test_files_of_splits_are_told_by_their_names(tmp_path: Path):
    for name in ("train-0.csv", "train-1.csv", "test-0.csv"):
        write(tmp_path / name)
    found = flat(raw_source(tmp_path, None))
    assert (found.files, found.split) == ({"train": "*train*.csv", "test": "*test*.csv"}, None)


def test_without_files_of_splits_a_test_split_is_guessed(tmp_path: Path):
    write(tmp_path / "part-0.csv")
    found = flat(raw_source(tmp_path, None))
    assert (found.files, found.split) == ({"train": "*.csv"}, ColumnSplit(test_share=0.2, by="user_id"))


def test_the_schema_beside_a_log_is_used(tmp_path: Path):
    path = Path(flat_schema(tmp_path, "*.csv"))
    (tmp_path / "schema.yaml").write_text(path.read_text())
    found = raw_source(tmp_path, None)
    assert found.schema.name == "own"
    assert found.told == (f"Using the schema of the log, {tmp_path / 'schema.yaml'}.",)


def test_a_schema_that_is_given_reads_one_file_alone(tmp_path: Path):
    found = raw_source(write(tmp_path / "day-1.csv"), flat_schema(tmp_path, "*.csv"))
    assert flat(found).files == {"train": "day-1.csv"}
    assert raw_source(tmp_path, flat_schema(tmp_path, "*.csv")).schema.name == "own"


def test_what_is_no_log_is_refused_with_what_to_do(tmp_path: Path):
    with pytest.raises(InputDataError, match=r"nothing does not exist\. Give a data set, or a raw log"):
        raw_source(tmp_path / "nothing", None)
    (tmp_path / "log.txt").write_text("a,b\n")
    with pytest.raises(InputDataError, match=r"log\.txt ends in none of \.csv"):
        raw_source(tmp_path / "log.txt", None)
    with pytest.raises(
        SchemaError, match=r"holds neither a data set nor a log, so no schema is guessed\. Give the schema"
    ):
        raw_source(tmp_path, None)
    for name in ("a.csv", "a.parquet"):
        write(tmp_path / name)
    with pytest.raises(SchemaError, match=r"files of several kinds \(\.csv, \.parquet\), so no schema is guessed"):
        raw_source(tmp_path, None)
    (tmp_path / "sample_skeleton_train.csv").write_text("")
    with pytest.raises(
        SchemaError, match=r"log of the Ali-CCP form, and no schema\.yaml\. Name its schema: --schema ali"
    ):
        raw_source(tmp_path, None)


def test_a_file_that_shows_no_labels_or_cannot_be_read_is_refused(tmp_path: Path):
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    with pytest.raises(SchemaError, match=r"a\.csv has no schema, and none can be guessed: .* --schema my-log\.yaml"):
        raw_source(tmp_path / "a.csv", None)
    for name, text in (("b.parquet", "no"), ("c.jsonl", "{no"), ("d.csv.gz", "no"), ("e.csv", "")):
        (tmp_path / name).write_text(text)
        with pytest.raises(InputDataError, match=rf"{name} cannot be read \(.*\)\. Check the file"):
            raw_source(tmp_path / name, None)


def test_one_file_of_a_log_that_is_joined_is_refused(tmp_path: Path):
    schema = tmp_path / "events.yaml"
    schema.write_text(EVENTS % "*" + FIELDS)
    with pytest.raises(
        SchemaError, match=r"is one file, and the log of schema 'own' has several that are joined .*events"
    ):
        raw_source(write(tmp_path / "a.csv"), str(schema))


def test_a_part_of_a_data_set_and_a_folder_of_days_name_what_to_give(tmp_path: Path):
    for day in ("2024-01-02", "2024-01-03"):
        (tmp_path / day / "train").mkdir(parents=True)
        (tmp_path / day / "manifest.json").write_text("{}")
    for part in ("train", "manifest.json"):
        with pytest.raises(InputDataError, match=r"is a part of the data set .*2024-01-02\. Give the data set"):
            raw_source(tmp_path / "2024-01-02" / part, None)
    with pytest.raises(InputDataError, match=r"holds 2 data sets, and one is looked at\. Give one, .*2024-01-03\."):
        raw_source(tmp_path, None)
