"""Columns of the log stand beside the predictions, as the log has them."""

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from esmm_dist.config import build
from esmm_dist.errors import ConfigError
from esmm_dist.inference.export import ExportConfig, export
from esmm_dist.inference.predict import PredictConfig, predict
from esmm_dist.progress import NoProgress
from esmm_dist.schema.manifest import read_manifest
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.run import train
from tests.support.tiny_dataset import tiny_groups, tiny_schema, write_dataset
from tests.unit.preprocess.raw_logs import read_lanes, run

pytestmark = pytest.mark.usefixtures("without_examples")

SCHEMA = """
name: kept
labels: [click, conversion]
source:
  form: flat
  files: {{train: train.csv, test: test.csv}}
  labels: {{click: click, conversion: order}}
  sample_id: id
  {keep}
fields:
  - {{name: user, owner: user}}
  - {{name: item, owner: item}}
"""
ROWS = 60


def row(n: int, *, texts: bool) -> dict[str, str]:
    """A row; the page is no field, has quotes and commas, and is empty now and then."""
    page = '"a", b' if n % 3 == 0 else "" if n % 3 == 1 else "ø|x"
    return {
        **{"id": f"id-{n}" if texts else str(n), "user": f"u{n * 7 % 11}", "item": str(n * 5 % 13), "page": page},
        **{"click": str(int(n % 3 == 0)), "order": str(int(n % 9 == 0))},
    }


def write_log(folder: Path, *, texts: bool) -> Path:
    folder.mkdir()
    for split in ("train", "test"):
        with (folder / f"{split}.csv").open("w", newline="") as file:
            rows = csv.DictWriter(file, ["id", "user", "item", "page", "click", "order"])
            rows.writeheader()
            rows.writerows(row(n, texts=texts) for n in range(ROWS))
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data sets with names of both kinds, and one that keeps nothing; a run of the first."""
    folder = tmp_path_factory.mktemp("kept")
    raws = {kind: write_log(folder / f"raw-{kind}", texts=kind == "text") for kind in ("text", "number")}
    for name, raw, keep in (
        ("text", "text", "[user, page]"),
        ("number", "number", "[page, user]"),
        ("none", "text", "[]"),
    ):
        (folder / f"{name}.yaml").write_text(SCHEMA.format(keep=f"keep: {keep}"))
        run(raws[raw], folder / name, schema=str(folder / f"{name}.yaml"))
    settings = {
        "data": folder / "text",
        "run": str(folder / "run"),
        "input": {"global_batch_records": 9, "epochs": 1},
        "embedding": {"embedding_dim": 4},
        "model": {"hidden_units": [8]},
    }
    train(build(TrainConfig, settings, where="test"), NoProgress())
    return folder


def predictions(folder: Path, data: str, keep: tuple[str, ...], ending: str = "parquet") -> pa.Table:
    out = folder / f"{data}.{ending}"
    predict(PredictConfig(run=str(folder / "run"), data=folder / data, out=out, keep=keep), NoProgress())
    return pq.read_table(out) if ending == "parquet" else pacsv.read_csv(out)


@pytest.mark.parametrize("data", ["text", "number"])
def test_kept_columns_stand_beside_the_predictions_in_the_order_that_is_asked_for(trained: Path, data: str):
    found = predictions(trained, data, ("page", "user"))
    assert found.column_names == ["sample_id", "page", "user", "pctr", "pcvr", "pctcvr"]
    expected = {each["id"]: each for each in (row(n, texts=data == "text") for n in range(ROWS))}
    for each in found.to_pylist():
        of_log = expected.pop(str(each["sample_id"]))
        assert (each["page"], each["user"]) == (of_log["page"] or None, of_log["user"])
    assert expected == {}


def test_what_is_kept_changes_no_prediction_and_need_not_be_written(trained: Path):
    tables = [predictions(trained, "text", ()), predictions(trained, "none", ())]
    assert tables[0].equals(tables[1])
    assert tables[0].column_names == ["sample_id", "pctr", "pcvr", "pctcvr"]


def test_a_csv_has_the_same_columns(trained: Path):
    found = predictions(trained, "number", ("user",), "csv")
    assert dict(zip(found["sample_id"].to_pylist(), found["user"].to_pylist(), strict=True)) == {
        n: row(n, texts=False)["user"] for n in range(ROWS)
    }


def test_an_exported_model_lists_records_by_their_names_alone(trained: Path):
    export(ExportConfig(run=str(trained / "run"), out=trained / "model"), NoProgress())
    records = [
        record for lane in read_lanes(trained / "text", read_manifest(trained / "text"), "test") for record in lane
    ]
    found = tf.saved_model.load(str(trained / "model")).signatures["serving_default"](examples=tf.constant(records))
    assert sorted(found["sample_id"].numpy().tolist()) == sorted(f"id-{n}".encode() for n in range(ROWS))


def test_a_column_that_the_records_do_not_hold_is_refused_with_what_helps(trained: Path):
    message = r"keep names column 'item', .* It keeps: user, page\. Write keep: \[user, page, item\] into the schema's"
    with pytest.raises(ConfigError, match=message):
        predictions(trained, "text", ("item",))
    with pytest.raises(ConfigError, match=r"of the values\. Write keep: \[user\] into the schema's source, and"):
        predictions(trained, "none", ("user",))
    with pytest.raises(ConfigError, match="keep names 'user' twice"):
        predictions(trained, "text", ("user", "user"))


def test_a_column_named_as_one_of_the_predictions_is_refused(trained: Path, tmp_path: Path):
    raw = write_log(tmp_path / "raw", texts=True)
    for split in ("train", "test"):
        file = raw / f"{split}.csv"
        file.write_text(file.read_text().replace("page", "pctr", 1))
    (tmp_path / "own.yaml").write_text(SCHEMA.format(keep="keep: [user, pctr]"))
    run(raw, trained / "own", schema=str(tmp_path / "own.yaml"))
    with pytest.raises(ConfigError, match=r"'pctr', and .* name already: sample_id, pctr, pcvr, pctcvr\. Leave it out"):
        predictions(trained, "own", ("user", "pctr"))
    assert predictions(trained, "own", ("user",)).column_names == ["sample_id", "user", "pctr", "pcvr", "pctcvr"]


def test_of_the_aliccp_form_the_feature_ids_are_kept(tmp_path: Path):
    groups = tiny_groups(40)
    write_dataset(tmp_path / "data", {"train": groups, "test": groups})
    settings = {
        "data": tmp_path / "data",
        "run": str(tmp_path / "run"),
        "input": {"global_batch_records": 8, "epochs": 1},
        "embedding": {"embedding_dim": 4},
        "model": {"hidden_units": [4]},
    }
    train(build(TrainConfig, settings, where="test"), NoProgress())
    found = predictions(tmp_path, "data", ("tags", "user", "item"))
    expected = {
        each.sample_id: (
            "|".join(str(id_) for id_, _ in each.fields[1]) or None,
            str(group.fields[0][0][0]),
            str(each.fields[0][0][0]),
        )
        for group in groups
        for each in group.impressions
    }
    columns = (found[name].to_pylist() for name in ("sample_id", "tags", "user", "item"))
    assert {sample: tuple(rest) for sample, *rest in zip(*columns, strict=True)} == expected
    assert np.isfinite(found["pctr"].to_numpy()).all()
    with pytest.raises(
        ConfigError, match=f"keep names 'itme', no field of schema '{tiny_schema().name}'. Did you mean"
    ):
        predictions(tmp_path, "data", ("itme",))
