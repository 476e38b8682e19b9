"""A log that names its impressions by texts, from CSV to predictions, which are listed by the same texts."""

import csv
import uuid
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from esmm_dist.config import build
from esmm_dist.inference.export import ExportConfig, export
from esmm_dist.inference.predict import PredictConfig, predict
from esmm_dist.progress import NoProgress
from esmm_dist.schema.manifest import read_manifest
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.run import train
from tests.unit.preprocess.raw_logs import read_lanes, run

pytestmark = pytest.mark.usefixtures("without_examples")

SCHEMA = """
name: named
labels: [click, conversion]
source:
  form: flat
  files: {{train: train.csv, test: test.csv}}
  labels: {{click: click, conversion: order}}
  sample_id: id
  {form}
fields:
  - {{name: user, owner: user}}
  - {{name: item, owner: item}}
"""
ROWS = 120
COLUMNS = ("pctr", "pcvr", "pctcvr")


def name(number: int) -> str:
    """Most are UUIDs; some look like numbers, or need quotes."""
    odd = {0: "007", 1: "111.0", 2: 'a, "b"', 3: "ø", 4: "nan"}
    return odd.get(number % 40, str(uuid.UUID(int=number))) if number < 40 else str(uuid.UUID(int=number))


def write_log(folder: Path, names: dict[int, str]) -> Path:
    folder.mkdir()
    for split, first, count in (("train", 0, ROWS), ("test", 0, ROWS // 2)):
        with (folder / f"{split}.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["id", "user", "item", "click", "order"])
            for n in range(first, first + count):
                rows.writerow([names[n], f"u{n * 7 % 11}", n * 5 % 13, int(n % 3 == 0), int(n % 9 == 0)])
    return folder


def write_schema(folder: Path, form: str = "") -> str:
    path = folder / "named.yaml"
    path.write_text(SCHEMA.format(form=form))
    return str(path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same log with texts and with numbers for names, as data sets ``text`` and ``number``; a run of the first."""
    folder = tmp_path_factory.mktemp("named")
    schema = write_schema(folder)
    for form, names in (("text", name), ("number", str)):
        raw = write_log(folder / f"raw-{form}", {n: names(n) for n in range(ROWS)})
        run(raw, folder / form, schema=schema)
    settings = {
        "data": folder / "text",
        "run": str(folder / "run"),
        "input": {"global_batch_records": 9, "epochs": 1},
        "embedding": {"embedding_dim": 4},
        "model": {"hidden_units": [8]},
    }
    train(build(TrainConfig, settings, where="test"), NoProgress())
    return folder


def predictions(folder: Path, data: str, ending: str = "parquet") -> pa.Table:
    out = folder / f"{data}.{ending}"
    predict(PredictConfig(run=str(folder / "run"), data=folder / data, out=out), NoProgress())
    return pq.read_table(out) if ending == "parquet" else pacsv.read_csv(out)


def test_predictions_are_listed_by_the_texts_of_the_log(trained: Path):
    texts, numbers = predictions(trained, "text"), predictions(trained, "number")
    assert (texts.schema.field("sample_id").type, numbers.schema.field("sample_id").type) == (pa.string(), pa.int64())
    assert sorted(texts["sample_id"].to_pylist()) == sorted(map(name, range(ROWS // 2)))
    by_text = {row["sample_id"]: row for row in texts.to_pylist()}
    for row in numbers.to_pylist():
        for column in COLUMNS:  # groups, and so the shapes of products, differ between the two
            assert by_text[name(row["sample_id"])][column] == pytest.approx(row[column], rel=1e-5)


def test_predictions_as_csv_keep_the_texts(trained: Path):
    found = predictions(trained, "text", "csv")
    assert sorted(found["sample_id"].to_pylist()) == sorted(map(name, range(ROWS // 2)))


def test_an_exported_model_lists_records_by_their_texts(trained: Path):
    export(ExportConfig(run=str(trained / "run"), out=trained / "model"), NoProgress())
    lanes = read_lanes(trained / "text", read_manifest(trained / "text"), "test")
    records = [record for lane in lanes for record in lane]
    found = tf.saved_model.load(str(trained / "model")).signatures["serving_default"](examples=tf.constant(records))
    expected = {row["sample_id"]: row["pctr"] for row in predictions(trained, "text").to_pylist()}
    assert len(expected) == ROWS // 2
    for each, pctr in zip(found["sample_id"].numpy(), found["pctr"].numpy(), strict=True):
        assert pctr == pytest.approx(expected.pop(each.decode()), rel=1e-5)
    assert expected == {}
