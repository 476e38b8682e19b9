"""What preprocess says about each field's ids and about labels, and what it refuses as nothing could be learned."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from esmm_dist.api.data_set import DataSet
from esmm_dist.errors import InputDataError
from esmm_dist.schema.coverage import coverage_of
from esmm_dist.schema.manifest import DatasetManifest
from launcher.commands.data_set_report import report_mapping
from tests.unit.preprocess.raw_logs import run

SCHEMA = """
name: own
labels: [click, conversion]
source:
  form: flat
  files: {train: "train*", test: "test*"}
  labels: {click: clicked, conversion: bought}
fields:
  - {name: user, owner: user}
  - {name: item, alias: goods, owner: item}
  - {name: tags, owner: item, multi_hot: true}
"""
HEADER = "user,item,tags,clicked,bought"


def make(folder: Path, train: list[str], test: list[str], **settings: object) -> DatasetManifest:
    (folder / "raw").mkdir()
    for name, rows in (("train", train), ("test", test)):
        (folder / "raw" / f"{name}.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    (folder / "own.yaml").write_text(SCHEMA)
    return run(folder / "raw", folder / "out", schema=str(folder / "own.yaml"), **settings)


def warnings(manifest: DatasetManifest) -> str:
    return "\n".join(manifest.report["warnings"])


TRAIN = ["u1,a,x,1,1", "u1,a,x|y,1,0", "u1,b,,0,0", "u2,a,y,0,0"]


def test_each_field_has_its_ids_and_its_empty_and_unknown_impressions(tmp_path: Path):
    test = ["u1,a,x,1,1", "u3,c,z|w,1,0", ",,,0,0", "u2,a,y|z,0,0", "u1,b,,0,0"]
    manifest = make(tmp_path, TRAIN, test, min_count=2)
    impressions = {name: split.impressions for name, split in manifest.splits.items()}
    found = {
        field.name: (
            field.distinct_ids,
            field.kept_ids,
            *((split.empty, split.unknown) for split in (field.splits["train"], field.splits["test"])),
        )
        for field in coverage_of(manifest.schema, manifest.report, impressions)
    }
    assert found == {
        "user": (2, 1, (0, 1), (1, 2)),  # u1 3 times, u2 once; test: no user, and u3 and u2 are not kept
        "item": (2, 1, (0, 1), (1, 2)),  # a 3 times, b once; test: no item, c, b
        "tags": (2, 2, (1, 0), (2, 1)),  # x and y twice each; test: z|w is unknown, y|z is not
    }
    table = [line.split() for line in DataSet(path=str(tmp_path / "out"), manifest=manifest).lines()]
    assert ["item", "goods", "2", "1", "0", "25.0%", "20.0%", "40.0%"] in table
    fields = report_mapping(tmp_path / "out", manifest)["report"]["splits"]["test"]["fields"]
    assert fields["tags"] == {"empty": 2, "unknown": 1}


def test_impressions_without_a_common_row_are_empty_in_user_fields(tmp_path: Path):
    from tests.unit.preprocess.raw_logs import make_log

    log = make_log()
    del log.common["train"][0]
    manifest = run(log.write(tmp_path / "raw"), tmp_path / "out")
    of_train = manifest.report["splits"]["train"]
    assert of_train["impressions_without_user"] > 0
    assert of_train["fields"]["101"] == {"empty": of_train["impressions_without_user"], "unknown": 0}


def test_number_that_is_used_as_a_category_is_warned_of(tmp_path: Path):
    rows = [f"u1,{10_000 + n},x,1,1" for n in range(200)] + ["u1,7,x,0,0"] * 2
    manifest = make(tmp_path, rows, ["u1,7,x,1,1"], min_count=2)
    assert "Field 'item' (goods): 1 of 201 ids kept" in warnings(manifest)
    assert "If it is a number (a time, a price, a count), make it numeric in the schema" in warnings(manifest)
    assert any(
        line.startswith("Warning: Field 'item'")
        for line in DataSet(path=str(tmp_path / "out"), manifest=manifest).lines()
    )


def test_field_that_keeps_nothing_and_one_that_is_mostly_unknown_are_warned_of(tmp_path: Path):
    rows = [f"u{n},{n % 6},x,{n % 2},0" for n in range(10)]
    told = warnings(make(tmp_path, rows, rows, min_count=2))
    assert "Field 'user': 0 of 10 ids kept, so it says nothing to a model" in told
    assert "'item'" not in told  # ids 4 and 5 stand once, in 2 of 10 impressions


def test_test_split_whose_ids_are_others_is_warned_of_field_by_field(tmp_path: Path):
    train = ["u1,a,x,1,1", "u2,b,y,0,0"] * 5
    test = ["u1,c,x,1,1", "u2,d,z,0,0", "u3,e,y,0,0"]
    told = warnings(make(tmp_path, train, test))
    assert "Field 'item' (goods): not one of its ids in the test split is known" in told
    assert "Field 'user': 33% of the test impressions (0% of the train impressions) have no known id: theirs" in told
    assert "Field 'tags': 33%" in told


def test_test_split_without_one_known_id_is_warned_of_once(tmp_path: Path):
    told = warnings(make(tmp_path, TRAIN, ["U1,A,X,1,1", "U2,B,Y,0,0"]))
    assert told.count("\n") == 0 or "Field" not in told
    assert "Not one id of the test split is known: every prediction there is the same" in told


def test_data_that_is_as_it_should_be_has_no_warning(tmp_path: Path):
    manifest = make(tmp_path, TRAIN * 3, TRAIN)
    assert warnings(manifest) == ""


def test_min_count_that_no_id_reaches_is_refused_with_the_largest_count(tmp_path: Path):
    with pytest.raises(
        InputDataError, match=r"min_count is 20, and the most frequent id of the train .* in only 3 impressions"
    ):
        make(tmp_path, TRAIN, TRAIN, min_count=20)


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (
            ["u1,a,x,0,0", "u2,b,y,0,0"],
            "Label 'click' is 0 in all 2 impressions of the train split: esmm train refuses",
        ),
        (["u1,a,x,1,0", "u2,b,y,0,0"], "Label 'conversion' is 0 in all 1 impressions with click of the train split"),
        (
            ["u1,a,x,1,0", "u2,b,y,1,1"],
            "Label 'click' is 1 in all 2 impressions of the train split: a model learns noth",
        ),
    ],
)
def test_label_with_one_value_is_warned_of_with_its_column(tmp_path: Path, rows: list[str], told: str):
    found = warnings(make(tmp_path, rows, TRAIN))
    assert told in found
    assert f"Check column '{'bought' if 'conversion' in told else 'clicked'}' of the log" in found


@pytest.mark.parametrize("split", ["train", "test"])
def test_split_whose_only_file_has_no_row_is_refused_by_name(tmp_path: Path, split: str):
    rows = {"train": TRAIN, "test": TRAIN, split: []}
    with pytest.raises(InputDataError, match=rf"The {split} split has no impressions: .*raw/{split}\.csv holds none"):
        make(tmp_path, rows["train"], rows["test"])


def test_parquet_file_without_a_row_is_refused_by_name(tmp_path: Path):
    make(tmp_path, TRAIN, TRAIN)
    (tmp_path / "raw" / "test.csv").unlink()
    columns = {name: pa.array([], pa.string()) for name in HEADER.split(",")}
    pq.write_table(pa.table(columns), tmp_path / "raw" / "test.parquet")
    with pytest.raises(InputDataError, match=r"raw/test\.parquet holds none"):
        run(tmp_path / "raw", tmp_path / "out-2", schema=str(tmp_path / "own.yaml"))


def test_one_empty_file_of_several_is_named(tmp_path: Path):
    make(tmp_path, TRAIN, TRAIN)
    (tmp_path / "raw" / "train-2.csv").write_text(HEADER + "\n")
    manifest = run(tmp_path / "raw", tmp_path / "out-2", schema=str(tmp_path / "own.yaml"))
    assert "train-2.csv is empty: no line of the train split came from it" in warnings(manifest)
