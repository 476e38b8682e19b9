"""With every network in mixed precision, and with networks that meet other settings, a run that was stopped and resumed
ends with the bits of one that was not, and its export predicts what it predicts.

The networks by themselves are in test_resumed_equals_whole.py and test_networks_exported.py.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from esmm_dist.config import build
from esmm_dist.inference.export import ExportConfig, export
from esmm_dist.inference.predict import PredictConfig, predict
from esmm_dist.progress import NoProgress
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.run import train
from tests.support.exports import no_examples
from tests.support.network_cases import NETWORK_CASES, NETWORK_SETTINGS
from tests.support.saved_models import saved_arrays
from tests.support.tiny_dataset import serialized, tiny_groups, tiny_schema, write_dataset

STEPS = 8
MET_SETTINGS = [name for name in NETWORK_SETTINGS if name not in NETWORK_CASES]
MIXED_IN_SHORT = ("ple",)
MET_IN_SHORT = ("dcn, one layer, shared", "din, a linear term, without shared embeddings")
TEST = tiny_groups(30, seed=2, first_sample=5000)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_dataset(folder, {"train": tiny_groups(128), "test": TEST})
    return folder


def settings_of(network: str, data: Path, run: Path, **changes: Any) -> TrainConfig:
    settings = {
        "data": data,
        "run": str(run),
        "input": {"global_batch_records": 16, "epochs": 1},
        "embedding": {"embedding_dim": 5, "start_scale": 0.5},
        "model": {"dropout": 0.3, **NETWORK_SETTINGS[network]},
        "evaluation": {"baseline": False},
        **changes,
    }
    return build(TrainConfig, settings, where="test")


def pieces_cases():
    """Return those of this file; most are slow tests."""
    cases = [
        pytest.param(network, False, id=f"{network}-float32", marks=slow_unless(network in MET_IN_SHORT))
        for network in MET_SETTINGS
    ]
    return cases + [
        pytest.param(network, True, id=f"{network}-mixed precision", marks=slow_unless(network in MIXED_IN_SHORT))
        for network in NETWORK_SETTINGS
    ]


def slow_unless(in_short: bool) -> Any:
    return () if in_short else (pytest.mark.slow,)


@pytest.mark.parametrize(("network", "mixed"), pieces_cases())
def test_a_run_in_two_pieces_ends_with_the_bits_of_one(network, mixed, data, tmp_path):
    hardware = {"mixed_precision": mixed}
    assert train(settings_of(network, data, tmp_path / "whole", hardware=hardware), NoProgress()).step == STEPS
    for max_steps in (3, STEPS):
        pieces = settings_of(network, data, tmp_path / "pieces", hardware=hardware, max_steps=max_steps)
        train(pieces, NoProgress())
    whole, resumed = (saved_arrays(tmp_path / name, STEPS) for name in ("whole", "pieces"))
    assert {name: array.tobytes() for name, array in resumed.items()} == {
        name: array.tobytes() for name, array in whole.items()
    }


@pytest.mark.parametrize(
    "network", [pytest.param(each, marks=slow_unless(each == MET_IN_SHORT[0])) for each in MET_SETTINGS]
)
def test_an_exported_model_gives_the_scores_of_predict(network, data, tmp_path):
    run = str(tmp_path / "run")
    train(settings_of(network, data, tmp_path / "run"), NoProgress())
    predict(PredictConfig(run=run, data=data, split="test", out=tmp_path / "scores.parquet"), NoProgress())
    with no_examples():
        export(ExportConfig(run=run, out=tmp_path / "model"), NoProgress())
    expected = pq.read_table(tmp_path / "scores.parquet").sort_by("sample_id").to_pydict()
    model = tf.saved_model.load(str(tmp_path / "model")).signatures["serving_default"]
    found = model(examples=tf.constant([serialized(group, tiny_schema()) for group in TEST]))
    order = np.argsort(found["sample_id"].numpy())
    for name in ("pctr", "pcvr", "pctcvr"):
        # A matrix product may add in another order for another number of rows; nothing else may differ
        np.testing.assert_allclose(found[name].numpy()[order], expected[name], rtol=2e-6, atol=0)
