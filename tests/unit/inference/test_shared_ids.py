"""A history with the ids of the item (``ids_of``), from CSV to predictions: both read the same rows."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from esmm_dist.checkpoint.reader import newest_checkpoint
from esmm_dist.config import build
from esmm_dist.inference.export import ExportConfig, export
from esmm_dist.inference.predict import PredictConfig, predict
from esmm_dist.progress import NoProgress
from esmm_dist.schema.feature_id import feature_id
from esmm_dist.schema.manifest import read_manifest
from esmm_dist.storage.folder import Folder
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.run import train
from tests.support.saved_models import saved_rows
from tests.unit.preprocess.raw_logs import read_lanes, run

pytestmark = pytest.mark.usefixtures("without_examples")

SCHEMA = """
name: shared
labels: [click, conversion]
source:
  form: flat
  files: {train: train.csv, test: test.csv}
  labels: {click: click, conversion: order}
  sample_id: id
fields:
  - {name: history, owner: user, multi_hot: true, combiner: mean%s}
  - {name: item, owner: item}
"""
HEADER = "id,history,item,click,order\n"
ONLY_SEEN_BEFORE, NEVER_SEEN = "seen", "new"
HISTORIES = ["", f"0|{ONLY_SEEN_BEFORE}", f"1|2|{ONLY_SEEN_BEFORE}"]
TRAIN = [f"{n},{HISTORIES[n % 3]},{n % 7},{int(n % 3 > 0)},{int(n % 6 > 3)}" for n in range(120)]
TEST = [f"0,,{ONLY_SEEN_BEFORE},0,0", f"1,,{NEVER_SEEN},0,0", "2,3,4,0,0"]


def trained(folder: Path, ids_of: str) -> Path:
    (folder / "raw").mkdir()
    for split, rows in (("train", TRAIN), ("test", TEST)):
        (folder / "raw" / f"{split}.csv").write_text(HEADER + "\n".join(rows) + "\n")
    (folder / "shared.yaml").write_text(SCHEMA % ids_of)
    run(folder / "raw", folder / "data", schema=str(folder / "shared.yaml"))
    settings = {
        "data": folder / "data",
        "run": str(folder / "run"),
        "input": {"global_batch_records": 9, "epochs": 2},
        "embedding": {"embedding_dim": 4},
        "model": {"hidden_units": [8]},
    }
    train(build(TrainConfig, settings, where="test"), NoProgress())
    return folder


def predicted(folder: Path) -> dict[int, float]:
    predict(PredictConfig(run=str(folder / "run"), data=folder / "data", out=folder / "p.parquet"), NoProgress())
    return {row["sample_id"]: row["pctr"] for row in pq.read_table(folder / "p.parquet").to_pylist()}


def exported(folder: Path) -> dict[int, float]:
    export(ExportConfig(run=str(folder / "run"), out=folder / "model"), NoProgress())
    records = [
        record for lane in read_lanes(folder / "data", read_manifest(folder / "data"), "test") for record in lane
    ]
    found = tf.saved_model.load(str(folder / "model")).signatures["serving_default"](examples=tf.constant(records))
    return dict(zip(found["sample_id"].numpy().tolist(), found["pctr"].numpy().tolist(), strict=True))


def test_history_and_item_read_the_same_rows_in_training_prediction_and_export(tmp_path: Path):
    folder = trained(tmp_path, ", ids_of: item")
    checkpoint = newest_checkpoint(Folder.open(folder / "run"), NoProgress())
    assert checkpoint is not None
    # One row a value, whichever field holds it: items 0 to 6, and the one that only histories hold.
    items = [*map(str, range(7)), ONLY_SEEN_BEFORE]
    ids = saved_rows(folder / "run", checkpoint.manifest.step)["ids"].tolist()
    assert len(ids) == len(items)
    assert set(ids) == {feature_id("item", item) for item in items}
    found = predicted(folder)
    # As an item it has the row that it learned in the histories, and an item without a row has none.
    assert abs(found[0] - found[1]) > 1e-4
    assert exported(folder) == pytest.approx(found, rel=1e-5)


def test_history_with_ids_of_its_own_says_nothing_of_the_item(tmp_path: Path):
    found = predicted(trained(tmp_path, ""))
    assert found[0] == found[1]
