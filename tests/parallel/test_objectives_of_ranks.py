"""What every objective learns depends neither on servers nor on how many ranks train."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from esmm_dist.config import build
from esmm_dist.model.objectives.config import objective_names
from esmm_dist.progress import NoProgress
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.run import train
from tests.parallel.horovod_ranks import run_ranks
from tests.support.saved_models import largest_difference, saved_arrays
from tests.support.tiny_dataset import tiny_groups, weighted, weighted_schema, write_dataset

pytestmark = [pytest.mark.timeout(400), pytest.mark.slow]

ESMM = Path(sys.executable).with_name("esmm")
STEPS = 10


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Sample weights, and batches that the ranks share unequally."""
    folder = tmp_path_factory.mktemp("data")
    groups = weighted(tiny_groups(150), lambda sample_id: float(sample_id % 3))
    write_dataset(folder, {"train": groups}, schema=weighted_schema())
    return folder


@pytest.mark.parametrize("objective", objective_names())
def test_servers_give_the_same_bits_and_two_ranks_the_same_weights(data, tmp_path, one_server, objective):
    settings: dict[str, Any] = {
        "data": str(data),
        "input": {"global_batch_records": 16, "epochs": 1},
        "embedding": {"embedding_dim": 4, "embedding_learning_rate": 0.2},
        "model": {"hidden_units": [6], "objective": objective},
        "dense": {"dense_optimizer": "adagrad", "dense_learning_rate": 0.05},
    }
    found = {}
    for name, servers in (("embedded", "embedded"), ("server", one_server.servers)):
        own = {**settings, "run": str(tmp_path / name), "store": {"servers": servers}}
        assert train(build(TrainConfig, own, where="test"), NoProgress()).step == STEPS
        found[name] = saved_arrays(tmp_path / name, STEPS)
    for name, array in found["embedded"].items():
        np.testing.assert_array_equal(found["server"][name], array)
    (tmp_path / "settings.json").write_text(json.dumps(settings))  # JSON is YAML
    line: list[str | Path] = [ESMM, "train", "--config", tmp_path / "settings.json", "--run", tmp_path / "two"]
    result = run_ranks(2, *line, "--servers", one_server.servers, folder=tmp_path / "out")
    assert result.status == 0, result.err
    # Sums of float32 in another order
    assert largest_difference(saved_arrays(tmp_path / "two", STEPS), found["embedded"]) < 1e-5
