"""Every objective keeps what training promises: resumed is as uninterrupted, and exports predict as the model does."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from esmm_dist.checkpoint.reader import open_checkpoint
from esmm_dist.config import build
from esmm_dist.inference.export import ExportConfig, export
from esmm_dist.inference.predict import PredictConfig, predict
from esmm_dist.model.objectives.config import objective_names
from esmm_dist.progress import NoProgress
from esmm_dist.schema.manifest import MANIFEST_NAME, read_manifest
from esmm_dist.storage.folder import Folder
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.run import train
from tests.support.exports import no_examples
from tests.support.saved_models import saved_arrays
from tests.support.tiny_dataset import serialized, tiny_groups, weighted, weighted_schema, write_dataset

STEPS = 6
TEST = weighted(tiny_groups(24, seed=2, first_sample=5000), lambda sample_id: 1.0)
COLUMNS = ("pctr", "pcvr", "pctcvr")

CASES: dict[str, dict[str, Any]] = {
    **{name: {"model": {"objective": name}} for name in objective_names()},
    # what an objective can be set together with: the other kind of rows, a linear term, other optimizers
    "esmm, nothing shared, linear term": {
        "model": {"share_embeddings": False, "linear_scale": 3.0, "linear_lists": "unit", "dropout": 0.5}
    },
    "dcmt, nothing shared, adam, task weights": {
        "model": {"objective": "dcmt", "share_embeddings": False, "task_weights": [1.0, 0.5], "risk_weight": 0.5},
        "embedding": {"embedding_optimizer": "adam"},
    },
    "escm2-dr, linear term, ftrl, admission": {
        "model": {"objective": "escm2-dr", "linear_scale": 3.0, "imputation_weight": 0.5, "propensity_floor": 0.1},
        "embedding": {"embedding_optimizer": "ftrl", "admit_after": 2, "evict_every_steps": 2, "ttl_steps": 2},
    },
    "base, everything shared": {"model": {"objective": "base", "share_embeddings": True}},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A log with sample weights, of which a manifest says that a quarter of the negatives was kept."""
    folder = tmp_path_factory.mktemp("data")
    groups = weighted(tiny_groups(96), lambda sample_id: float(sample_id % 3))
    validation = weighted(tiny_groups(80, seed=3, first_sample=9000), lambda sample_id: 1.0)
    write_dataset(folder, {"train": groups, "validation": validation, "test": TEST}, schema=weighted_schema())
    manifest = replace(read_manifest(folder), keep_negatives=0.25)
    (folder / MANIFEST_NAME).write_text(manifest.to_json())
    return folder


def run_training(data: Path, run: Path, case: dict[str, Any], **changes: Any) -> None:
    settings = {
        "data": data,
        "run": str(run),
        "input": {"global_batch_records": 16, "epochs": 1},
        "embedding": {"embedding_dim": 4, **case.get("embedding", {})},
        "model": {"hidden_units": [6], **case["model"]},
        "evaluation": {"baseline": False, "calibrate": "platt", "eval_split": "validation"},
        **changes,
    }
    train(build(TrainConfig, settings, where="test"), NoProgress())


def contents(run: Path) -> dict[str, Any]:
    checkpoint = open_checkpoint(Folder.open(run), STEPS)
    arrays = {name: array.tobytes() for name, array in saved_arrays(run, STEPS).items()}
    newest = json.loads((run / "metrics.json").read_text())["newest"]
    return {**arrays, "calibration": checkpoint.manifest.calibration, "metrics": newest}


IN_SHORT = ("base", "dcmt, nothing shared, adam, task weights")


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=() if name in IN_SHORT else pytest.mark.slow) for name in CASES],
)
def whole(request, data, tmp_path_factory):
    """A case, and a run of it that was not stopped."""
    run = tmp_path_factory.mktemp("whole") / "run"
    run_training(data, run, CASES[request.param])
    return CASES[request.param], run


def test_a_run_in_two_pieces_ends_with_the_same_bytes(data, whole, tmp_path):
    case, run = whole
    for max_steps in (2, STEPS):
        run_training(data, tmp_path / "run", case, max_steps=max_steps)
    assert contents(tmp_path / "run") == contents(run)


def test_the_export_gives_the_calibrated_probabilities_of_predict(data, whole, tmp_path):
    _, run = whole
    predict(PredictConfig(run=str(run), data=data, out=tmp_path / "scores.parquet", split="test"), NoProgress())
    with no_examples():
        export(ExportConfig(run=str(run), out=tmp_path / "model"), NoProgress())
    scores = pq.read_table(tmp_path / "scores.parquet").to_pydict()
    records = tf.constant([serialized(group, weighted_schema()) for group in TEST])
    found = tf.saved_model.load(str(tmp_path / "model")).signatures["serving_default"](records)
    place = {int(sample): at for at, sample in enumerate(found["sample_id"].numpy())}
    order = [place[int(sample)] for sample in scores["sample_id"]]
    for name in COLUMNS:
        np.testing.assert_allclose(found[name].numpy()[order], scores[name], rtol=1e-6)
    assert len({round(value, 9) for value in scores["pcvr"]}) > 20  # they tell impressions apart
