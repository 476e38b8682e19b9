"""A log as people have it, with everything of it at once: one process, ranks and servers, and an exported model agree.

Numbers, crosses, missing values, columns by field; a validation split; fewer negatives; calibrated probabilities.
"""

import io
import json
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from esmm_dist.inference.export import DESCRIPTION
from esmm_dist.schema.manifest import read_manifest
from launcher.cli import main
from tests.support.exports import no_examples
from tests.support.shop_log import Row, shop_request, shop_rows, write_shop_csv, write_shop_schema

pytestmark = pytest.mark.timeout(300)

TASKS = ("pctr", "pcvr", "pctcvr")
TRAIN, TEST = shop_rows(2_000, users=150), shop_rows(80, seed=2, first=50_001, users=150)
SETTINGS = ["--seed", "3", "--embedding-dim", "4", "--hidden-units", "8", "--calibrate", "platt", "--no-baseline"]


def esmm(*line: object) -> str:
    """Run a line in this process, where TensorFlow is loaded; return what it writes to stdout."""
    with redirect_stdout(io.StringIO()) as out:
        assert main(list(map(str, line))) == 0
    return out.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set, and a run on it in this machine's one process."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "raw").mkdir()
    write_shop_csv(folder / "raw" / "train.csv", TRAIN)
    write_shop_csv(folder / "raw" / "test.csv", TEST)
    schema = write_shop_schema(folder, "csv")
    esmm("preprocess", folder / "raw", folder / "data", "--schema", schema, "--validation-share", "0.2",
         "--keep-negatives", "0.5")  # fmt: skip
    esmm("train", "--data", folder / "data", "--run", folder / "run", *SETTINGS)
    return folder


def predicted(folder: Path, run: str) -> dict[int, dict[str, float]]:
    out = folder / f"{run}.parquet"
    esmm("predict", "--run", folder / run, "--data", folder / "data", "--out", out)
    return {row["sample_id"]: row for row in pq.read_table(out).to_pylist()}


def scores(by_row: dict[int, dict[str, float]], rows: list[Row], task: str) -> list[float]:
    return [by_row[row["row"]][task] for row in rows]


def test_the_parts_of_the_log_add_up(folder: Path):
    manifest = read_manifest(folder / "data")
    kept = {split: each.impressions for split, each in manifest.splits.items()}
    negatives = sum(row["click"] == 0 for row in TRAIN)
    left_out = len(TRAIN) - kept["train"] - kept["validation"]
    assert kept["test"] == len(TEST)
    assert 250 < kept["validation"] < 550
    assert 0.3 * negatives < left_out < 0.5 * negatives
    assert manifest.splits["train"].label_counts["click"] > kept["train"] / 2
    price = manifest.schema.field("price").numeric
    assert price is not None
    assert price.edges is not None


@pytest.mark.slow  # its short form: tests/parallel/test_equal_results.py
def test_ranks_and_servers_learn_what_one_process_learns(folder: Path):
    data, run = folder / "data", folder / "run-ranks"
    esmm("local", "--workers", "2", "--servers", "2", "--", "--data", data, "--run", run, *SETTINGS)
    alone, together = predicted(folder, "run"), predicted(folder, "run-ranks")
    for task in TASKS:
        np.testing.assert_allclose(scores(together, TEST, task), scores(alone, TEST, task), rtol=1e-4)


def test_the_exported_model_scores_raw_values_as_predict_scores_the_data_set(folder: Path):
    with no_examples():
        esmm("export", "--run", folder / "run", "--out", folder / "model")
    columns: dict[str, dict[str, Any]] = json.loads((folder / "model" / DESCRIPTION).read_text())["values"]
    found = tf.saved_model.load(str(folder / "model")).signatures["values"](
        **shop_request(TEST, columns, [1] * len(TEST))
    )
    by_row = predicted(folder, "run")
    for task in TASKS:
        np.testing.assert_allclose(found[task].numpy(), scores(by_row, TEST, task), rtol=1e-6)


def test_probabilities_are_those_of_the_whole_log(folder: Path):
    line = ["evaluate", "--run", folder / "run", "--data", folder / "data", "--no-baseline", "--json"]
    report = json.loads(esmm(*line))
    assert report["ctr"]["impressions"] == read_manifest(folder / "data").splits["validation"].impressions
    assert report["ctr"]["calibration"] == pytest.approx(1, abs=0.03)
    assert report["cvr"]["calibration"] == pytest.approx(1, abs=0.03)
    assert not any("'user id'" in warning for warning in report["warnings"])  # whom the split is cut by
    of_train = json.loads(esmm(*line, "--split", "train"))
    assert of_train["warnings"][0].startswith("The train split has 0.5 of its negatives")
