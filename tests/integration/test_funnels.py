"""Funnels longer than two, and trees, from a raw log to predictions: what holds for two labels holds for them.

One process, a run in pieces, ranks and servers, and an exported model agree; the metrics are those of the predictions.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from esmm_dist.arrays import F64
from esmm_dist.checkpoint.reader import open_checkpoint
from esmm_dist.config import build
from esmm_dist.inference.evaluate import EvaluateConfig, evaluate
from esmm_dist.inference.export import ExportConfig, export
from esmm_dist.inference.predict import PredictConfig, predict
from esmm_dist.model.metrics import exact_auc
from esmm_dist.progress import NoProgress
from esmm_dist.schema.manifest import read_manifest
from esmm_dist.storage.folder import Folder
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.run import train
from preprocess.config import PreprocessConfig
from preprocess.run import preprocess
from tests.support.exports import no_examples
from tests.support.saved_models import saved_rows

pytestmark = pytest.mark.timeout(300)

SCHEMA = """
name: funnel
labels: [{labels}]
source:
  form: flat
  files: {{train: train.csv, test: test.csv}}
  sample_id: id
  labels: {{{columns}}}
fields:
  - {{name: user, owner: user}}
  - {{name: liked, owner: user, multi_hot: true}}
  - {{name: item, owner: item}}
  - {{name: slot, owner: context}}
"""

FUNNELS = {
    "stages": (("click", "cart", "purchase"), (-1, 0, 1)),
    "tree": (("click", "purchase", "favourite after click", "gift after purchase"), (-1, 0, 0, 1)),
}
SETTINGS: dict[str, Any] = {
    "seed": 3,
    "input": {"global_batch_records": 64, "epochs": 4},
    "embedding": {"embedding_dim": 4, "embedding_learning_rate": 0.2},
    "model": {"hidden_units": [8]},
    "dense": {"dense_learning_rate": 0.01},
    "evaluation": {"baseline": False, "calibrate": "platt"},
    "checkpoint": {"checkpoint_every_steps": 5},
}
FLAGS = ["--seed", "3", "--global-batch-records", "64", "--epochs", "4", "--embedding-dim", "4", "--hidden-units", "8",
         "--embedding-learning-rate", "0.2", "--dense-learning-rate", "0.01",
         "--no-baseline", "--calibrate", "platt", "--checkpoint-every-steps", "5"]  # fmt: skip


def write_log(path: Path, names: list[str], parents: tuple[int, ...], rows: int, seed: int) -> None:
    """Write impressions whose k-th label depends on the user, the item and k, and 1% of which break the tree."""
    random = np.random.default_rng(seed)
    users, items = random.integers(0, 60, rows), random.integers(0, 20, rows)
    values = np.zeros((rows, len(names)), np.int64)
    for label, parent in enumerate(parents):
        p = 0.25 + 0.25 * ((items + label) % 3 == 0) + 0.25 * ((users + label) % 2 == 0)
        before = np.ones(rows) if parent < 0 else values[:, parent]
        values[:, label] = before * (random.random(rows) < p)
    broken = random.random(rows) < 0.01
    values[broken, -1] = 1
    lines = [",".join(["id", "user", "liked", "item", "slot", *(f"is_{name}" for name in names)])]
    for row, (user, item) in enumerate(zip(users, items, strict=True)):
        liked = "|".join(f"i{(user * 3 + k) % 20}" for k in range(user % 4))
        cells = [row + 1, f"u{user}", liked, f"i{item}", row % 4, *values[row]]
        lines.append(",".join(map(str, cells)))
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture(
    scope="module",
    # A tree has all that stages have: labels that follow one another, and more than two of them
    params=[
        pytest.param(each, id=name, marks=() if name == "tree" else pytest.mark.slow) for name, each in FUNNELS.items()
    ],
)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of a funnel, and a run on it in one process."""
    labels, parents = request.param
    folder = tmp_path_factory.mktemp("funnel")
    names = [label.partition(" ")[0] for label in labels]
    (folder / "raw").mkdir()
    for split, rows in (("train", 2_400), ("test", 400)):
        write_log(folder / "raw" / f"{split}.csv", names, parents, rows, seed=rows)
    columns = ", ".join(f"{name}: is_{name}" for name in names)
    (folder / "own.yaml").write_text(SCHEMA.format(labels=", ".join(labels), columns=columns))
    config = PreprocessConfig(
        raw=folder / "raw", out=folder / "data", schema=str(folder / "own.yaml"), validation_share=0.2
    )
    manifest = preprocess(config, NoProgress())
    assert manifest.schema.label_tree.parents == parents
    assert all(split.broken_chains[names[-1]] > 0 for split in manifest.splits.values())
    trained(folder, "run")
    return folder


def trained(folder: Path, run: str, **changes: Any) -> int:
    settings = {**SETTINGS, "data": folder / "data", "run": str(folder / run), **changes}
    return train(build(TrainConfig, settings, where="test"), NoProgress()).step


def predicted(folder: Path, run: str) -> dict[str, F64]:
    """Return the columns of the predictions of the test split, ordered by sample id."""
    out = folder / f"{run}.parquet"
    predict(PredictConfig(run=str(folder / run), data=folder / "data", out=out), NoProgress())
    table = pq.read_table(out).sort_by("sample_id")
    return {name: table[name].to_numpy() for name in table.column_names}


def log_labels(folder: Path) -> F64:
    """Return the labels of the test split as they count, by sample id: [N, K]."""
    tree = read_manifest(folder / "data").schema.label_tree
    lines = (folder / "raw" / "test.csv").read_text().splitlines()[1:]
    values = np.array([line.split(",")[-len(tree.names) :] for line in lines], np.float64)
    for label, parent in enumerate(tree.parents):
        if parent >= 0:
            values[:, label] *= values[:, parent]
    return values


def test_the_columns_are_those_of_the_tree_and_products_follow_its_paths(folder: Path):
    tree = read_manifest(folder / "data").schema.label_tree
    columns = predicted(folder, "run")
    assert list(columns) == ["sample_id", *tree.columns]
    conditional = {task.label: columns[task.column] for task in tree.tasks if task.given is not None or not task.label}
    for task in tree.tasks:
        if task.given is None:
            on_path = [conditional[place].astype(np.float64) for place in tree.path(task.label)]
            np.testing.assert_allclose(columns[task.column], np.prod(on_path, axis=0), rtol=1e-6)


def test_the_metrics_are_those_of_the_predictions_against_the_log(folder: Path):
    tree, labels = read_manifest(folder / "data").schema.label_tree, log_labels(folder)
    config = EvaluateConfig(run=str(folder / "run"), data=folder / "data", split="test", baseline=True)
    found, columns = evaluate(config, NoProgress()), predicted(folder, "run")
    assert list(found.tasks) == tree.task_names
    assert found.baseline is not None
    assert list(found.baseline.auc) == tree.task_names
    for task in tree.tasks:
        among = np.ones(len(labels), np.bool_) if task.given is None else labels[:, task.given] == 1
        p, y = columns[task.column][among].astype(np.float64), labels[among, task.label]
        metrics = found.tasks[task.name]
        assert (metrics.impressions, metrics.positives) == (among.sum(), y.sum())
        assert metrics.auc == pytest.approx(exact_auc(p, y), abs=1e-3)  # of float32: some scores tie
        assert metrics.calibration == pytest.approx(p.sum() / y.sum(), rel=1e-5)


def test_each_prediction_learns_the_rate_of_its_label_on_its_path(folder: Path):
    """Uncalibrated: a loss on another product, such as that of a label of another branch, is off by a factor."""
    config = EvaluateConfig(
        run=str(folder / "run"), data=folder / "data", split="train", baseline=False, calibrate=False
    )
    tasks = evaluate(config, NoProgress()).tasks
    assert {name: task.calibration for name, task in tasks.items()} == pytest.approx(dict.fromkeys(tasks, 1), abs=0.25)
    assert all(task.auc > 0.6 for task in tasks.values())


def test_a_run_in_pieces_is_one_that_was_not_cut_to_the_last_bit(folder: Path):
    trained(folder, "pieces", max_steps=10)
    step = trained(folder, "pieces")
    assert step > 10
    pieces, whole = (open_checkpoint(Folder.open(folder / run), step) for run in ("pieces", "run"))
    assert pieces.manifest.calibration == whole.manifest.calibration
    for name, values in whole.dense().items():
        np.testing.assert_array_equal(pieces.dense()[name], values, err_msg=name)
    rows, expected = (saved_rows(folder / run, step) for run in ("pieces", "run"))
    for name in ("ids", "rows", "slots"):
        np.testing.assert_array_equal(rows[name], expected[name])


@pytest.mark.slow  # its short form: tests/parallel/test_equal_results.py
def test_ranks_and_servers_learn_what_one_process_learns(folder: Path):
    line = ["local", "--workers", "2", "--servers", "2", "--", "--data", folder / "data", "--run", folder / "ranks"]
    done = subprocess.run(
        [sys.executable, "-m", "launcher", *map(str, line), *FLAGS], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    alone, together = predicted(folder, "run"), predicted(folder, "ranks")
    for name, values in alone.items():
        np.testing.assert_allclose(together[name], values, rtol=1e-4, err_msg=name)


def test_the_exported_model_gives_what_predict_gives(folder: Path):
    with no_examples():
        export(ExportConfig(run=str(folder / "run"), out=folder / "model"), NoProgress())
    found: dict[str, list[float]] = {}
    signature = tf.saved_model.load(str(folder / "model")).signatures["serving_default"]
    for path in sorted((folder / "data" / "test").glob("*.tfrecord")):
        for record in tf.data.TFRecordDataset(str(path), compression_type="ZLIB"):
            for name, values in signature(record[tf.newaxis]).items():
                found.setdefault(name, []).extend(values.numpy().tolist())
    order = np.argsort(found["sample_id"])
    for name, values in predicted(folder, "run").items():
        np.testing.assert_allclose(np.array(found[name])[order], values, rtol=1e-5, err_msg=name)
