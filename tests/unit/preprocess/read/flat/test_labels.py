"""Labels of a flat log: what their values may be, and how a value that is none is told."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from esmm_dist.errors import InputDataError, SchemaError
from tests.unit.preprocess.raw_logs import read_impressions, run

SCHEMA = """
name: own
labels: [click, conversion]
source:
  form: flat
  files: {train: "log.*"}
  labels: {click: clicked, conversion: bought}
  %s
fields: [{name: item, owner: item, multi_hot: true, weighted: true}]
"""


def write(folder: Path, rows: list[str], settings: str = "") -> tuple[Path, str]:
    (folder / "raw").mkdir(exist_ok=True)
    (folder / "raw" / "log.csv").write_text("item,clicked,bought\n" + "".join(f"{row}\n" for row in rows))
    (folder / "own.yaml").write_text(SCHEMA % settings)
    return folder / "raw", str(folder / "own.yaml")


def labels_of(folder: Path, rows: list[str], settings: str = "") -> list[tuple[int, ...]]:
    raw, schema = write(folder, rows, settings)
    return [i.labels for i in read_impressions(folder / "out", run(raw, folder / "out", schema=schema), "train")]


def test_zero_one_and_true_false_in_any_case_are_labels(tmp_path: Path):
    rows = [f"a:1,{click},{conversion}" for click, conversion in (("1", "TRUE"), ("True", "0"), ("1.0", "false"))]
    assert labels_of(tmp_path, rows) == [(1, 1), (1, 0), (1, 0)]


@pytest.mark.parametrize(
    ("declared", "click", "conversion", "expected"),
    [
        ("{yes: 1, no: 0}", "yes", "no", (1, 0)),  # texts, although YAML 1.1 reads true and false
        ("{Y: 1, N: 0}", "Y", "1", (1, 1)),  # 0 and 1 need not be listed
        ("{1: 0, 2: 1}", "2", "1", (1, 0)),  # but may mean something else
        ("{true: 0, false: 1}", "false", "true", (1, 0)),
        ('{"": 0}', "1", "", (1, 0)),
    ],
)
def test_further_values_of_labels_can_be_declared(
    tmp_path: Path, declared: str, click: str, conversion: str, expected: tuple[int, int]
):
    assert labels_of(tmp_path, [f"a:1,{click},{conversion}"], f"label_values: {declared}") == [expected]


def test_null_of_a_parquet_file_is_what_the_empty_text_is_declared_to_be(tmp_path: Path):
    raw, schema = write(tmp_path, [], 'label_values: {"": 0, clicked: 1}')
    (raw / "log.csv").unlink()
    columns = {"item": [[], []], "clicked": ["clicked", None], "bought": [True, None]}
    types = pa.schema([("item", pa.list_(pa.string())), ("clicked", pa.string()), ("bought", pa.bool_())])
    pq.write_table(pa.table(columns, types), raw / "log.parquet")
    (tmp_path / "own.yaml").write_text((tmp_path / "own.yaml").read_text().replace(", weighted: true", ""))
    manifest = run(raw, tmp_path / "out", schema=schema)
    assert [i.labels for i in read_impressions(tmp_path / "out", manifest, "train")] == [(1, 1), (0, 0)]


@pytest.mark.parametrize("value", ["2", "{yes: 2}", "[yes]"])
def test_declared_value_that_is_neither_0_nor_1_is_refused(tmp_path: Path, value: str):
    raw, schema = write(tmp_path, [], f"label_values: {value}")
    with pytest.raises(SchemaError, match=r"own\.yaml: source\.label_values"):
        run(raw, tmp_path / "out", schema=schema)


ROWS = ["a:1,1,0", "a:1,1,no", "a:1,no,no", "a:x,1,0", "b,1,0", "a:1|b:-2,0,0", "a:1,0,0,0"]
PLACES = [
    {"file": "log.csv", "line": 3, "reason": "bad_label", "column": "bought", "value": "no"},
    {"file": "log.csv", "line": 4, "reason": "bad_label", "column": "clicked", "value": "no"},
    {"file": "log.csv", "line": 5, "reason": "non_numeric_value", "column": "item", "value": "a:x"},
    {"file": "log.csv", "line": 6, "reason": "bad_feature", "column": "item", "value": "b"},
    {"file": "log.csv", "line": 7, "reason": "negative_value", "column": "item", "value": "a:1|b:-2"},
    {"file": "log.csv", "line": 8, "reason": "wrong_columns"},
]


def test_rejected_line_names_its_column_and_value(tmp_path: Path):
    raw, schema = write(tmp_path, ROWS)
    manifest = run(raw, tmp_path / "out", schema=schema, max_reject_share=0.9)
    found = [json.loads(line) for line in (tmp_path / "out/rejects/train.jsonl").read_text().splitlines()]
    assert found == [{**place, "text": row} for place, row in zip(PLACES, ROWS[1:], strict=True)]
    first = manifest.report["splits"]["train"]["log"]["first_rejected"]
    assert first["bad_label"] == "log.csv line 3, column 'bought' is 'no'"
    assert first["wrong_columns"] == "log.csv line 8"


def test_run_that_stops_for_its_labels_says_where_and_what_to_declare(tmp_path: Path):
    raw, schema = write(tmp_path, ROWS[:3])
    with pytest.raises(
        InputDataError, match=r"bad_label 2, first in log\.csv line 3, column 'bought' is 'no'\).*source\.label_values"
    ):
        run(raw, tmp_path / "out", schema=schema)


def test_log_of_which_every_line_is_rejected_is_no_data_set_however_many_rejects_are_allowed(tmp_path: Path):
    raw, schema = write(tmp_path, ["a:1,maybe,0", "a:1,0,maybe"])
    message = r"^2 of 2 log lines of the train split are rejected \(bad_label 2, .*so that no impression is left\. See "
    with pytest.raises(InputDataError, match=message):
        run(raw, tmp_path / "out", schema=schema, max_reject_share=1.0)
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_null_without_quotes_is_no_text_that_a_label_can_be(tmp_path: Path):
    raw, schema = write(tmp_path, ["a:1,null,0"], "label_values: {null: 0}")
    with pytest.raises(
        SchemaError, match=r"label_values lists null without quotes.*and \"null\" in quotes for that word"
    ):
        run(raw, tmp_path / "out", schema=schema)
    assert labels_of(tmp_path, ["a:1,null,0", "a:1,1,0"], 'label_values: {"null": 0}') == [(0, 0), (1, 0)]
