"""Sample weights from the records to losses and metrics."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from esmm_dist.checkpoint.reader import newest_checkpoint
from esmm_dist.config import build
from esmm_dist.embedding.table_files import read_rows
from esmm_dist.errors import InputDataError
from esmm_dist.inference.evaluate import EvaluateConfig, evaluate
from esmm_dist.inference.predict import PredictConfig, predict
from esmm_dist.input.config import InputConfig
from esmm_dist.input.pipeline import BatchReader
from esmm_dist.model.metrics import calibration, exact_auc, log_loss
from esmm_dist.progress import NoProgress
from esmm_dist.schema.manifest import read_manifest
from esmm_dist.storage.folder import Folder
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.run import train
from tests.support.tiny_dataset import Group, tiny_groups, weighted, weighted_schema, write_dataset

TRAIN, TEST = tiny_groups(64), tiny_groups(40, seed=2, first_sample=5000)


def weight_of(sample_id: int) -> float:
    return sample_id * 5 % 7 / 2


def trained(folder: Path, name: str, groups: list[Group], schema) -> dict[str, np.ndarray]:
    """Train; return the dense weights and the rows."""
    write_dataset(folder / name, {"train": groups}, schema=schema)
    settings = {
        "data": folder / name,
        "run": str(folder / f"run-{name}"),
        "input": {"global_batch_records": 16, "epochs": 1},
        "embedding": {"embedding_dim": 4},
        "model": {"hidden_units": [8]},
    }
    train(build(TrainConfig, settings, where="test"), NoProgress())
    checkpoint = newest_checkpoint(Folder.open(folder / f"run-{name}"), NoProgress())
    assert checkpoint is not None
    files = [read_rows(checkpoint.folder, file) for file in checkpoint.manifest.tables]
    rows = np.concatenate([file.rows for file in files])[np.argsort(np.concatenate([file.ids for file in files]))]
    return {**checkpoint.dense(), "rows": rows}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("weights")


@pytest.fixture(scope="module")
def plain(folder):
    return trained(folder, "plain", TRAIN, weighted_schema(None))


def test_training_with_weights_of_one_is_training_without_to_the_last_bit(folder, plain):
    found = trained(folder, "ones", TRAIN, weighted_schema())
    assert found.keys() == plain.keys()
    for name, values in plain.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


def test_weights_change_what_is_learned_and_their_scale_does_not(folder, plain):
    found = trained(folder, "some", weighted(TRAIN, weight_of), weighted_schema())
    assert np.abs(found["rows"] - plain["rows"]).max() > 1e-3
    scaled = trained(folder, "scaled", weighted(TRAIN, lambda i: 4 * weight_of(i)), weighted_schema())
    for name, values in found.items():
        np.testing.assert_array_equal(scaled[name], values, err_msg=name)


def test_evaluation_weighs_the_impressions_of_the_data_set_whatever_the_model_was_trained_with(folder, plain):
    write_dataset(folder / "test", {"test": weighted(TEST, weight_of)}, schema=weighted_schema())
    run, out = str(folder / "run-plain"), folder / "scores.parquet"
    found = evaluate(EvaluateConfig(run=run, data=folder / "test"), NoProgress()).tasks["ctr"]
    predict(PredictConfig(run=run, data=folder / "test", out=out), NoProgress())
    scores = pq.read_table(out)
    label_of = {i.sample_id: i.labels[0] for group in TEST for i in group.impressions}
    labels = [label_of[i] for i in scores["sample_id"].to_pylist()]
    weights = [weight_of(i) for i in scores["sample_id"].to_pylist()]
    pctr = scores["pctr"].to_numpy()
    assert found.auc == pytest.approx(exact_auc(pctr, labels, weights), rel=1e-6)
    assert found.log_loss == pytest.approx(log_loss(np.log(pctr), labels, weights), rel=1e-5)
    assert found.calibration == pytest.approx(calibration(pctr, labels, weights), rel=1e-5)
    assert (found.impressions, found.positives) == (len(labels), sum(labels))
    unweighted = exact_auc(pctr, labels)
    assert abs(found.auc - unweighted) > 1e-4


def test_a_record_that_lacks_a_weight_is_named_as_damaged(tmp_path):
    """Written by a schema without weights, read by one with them."""
    manifest = write_dataset(tmp_path, {"train": TRAIN})
    (tmp_path / "manifest.json").write_text(replace(manifest, schema=weighted_schema()).to_json())
    reader = BatchReader(tmp_path, read_manifest(tmp_path), "train", InputConfig(global_batch_records=8))
    with pytest.raises(InputDataError, match=r"record 0: sample_weights has 0 values instead of \d"):
        list(reader.epoch(0, seed=None))
