"""With every network the numbers depend on neither where rows live nor how many ranks train."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from esmm_dist.config import build
from esmm_dist.progress import NoProgress
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.run import train
from tests.parallel.horovod_ranks import run_ranks
from tests.support.network_cases import NETWORK_SETTINGS
from tests.support.saved_models import largest_difference, saved_arrays
from tests.support.tiny_dataset import tiny_groups, write_dataset

pytestmark = pytest.mark.timeout(400)

ESMM = Path(sys.executable).with_name("esmm")
STEPS = 10


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_dataset(folder, {"train": tiny_groups(160)}, lanes=2)
    return folder


def settings_of(network: str, data: Path) -> dict[str, Any]:
    return {
        "data": str(data),
        "input": {"global_batch_records": 16, "epochs": 1},
        "embedding": {"embedding_dim": 5, "embedding_learning_rate": 0.2},
        "model": NETWORK_SETTINGS[network],
        "dense": {"dense_optimizer": "adagrad", "dense_learning_rate": 0.05},
    }


IN_SHORT = ("mlp", "ple", "dcn, one layer, shared", "din, a linear term, without shared embeddings")


@pytest.fixture(
    scope="module",
    params=[pytest.param(each, marks=() if each in IN_SHORT else pytest.mark.slow) for each in NETWORK_SETTINGS],
)
def alone(request, data, tmp_path_factory):
    """Settings with a network, and all that a run of one process with rows of its own ends with."""
    settings, run = settings_of(request.param, data), tmp_path_factory.mktemp("alone") / "run"
    assert train(build(TrainConfig, {**settings, "run": str(run)}, where="test"), NoProgress()).step == STEPS
    return settings, saved_arrays(run, STEPS)


def test_rows_on_two_servers_end_with_the_same_bits(alone, two_servers, tmp_path):
    settings, expected = alone
    store = {"servers": two_servers.servers}
    train(build(TrainConfig, {**settings, "run": str(tmp_path / "run"), "store": store}, where="test"), NoProgress())
    found = saved_arrays(tmp_path / "run", STEPS)
    assert {name: array.tobytes() for name, array in found.items()} == {
        name: array.tobytes() for name, array in expected.items()
    }


@pytest.mark.slow
def test_two_ranks_end_with_the_weights_and_rows_of_one_process(alone, two_servers, tmp_path):
    settings, expected = alone
    (tmp_path / "settings.json").write_text(json.dumps(settings))  # JSON is YAML
    line = [ESMM, "train", "--config", tmp_path / "settings.json", "--servers", two_servers.servers]
    result = run_ranks(2, *line, "--run", tmp_path / "two", folder=tmp_path / "out")
    assert result.status == 0, result.err
    assert largest_difference(saved_arrays(tmp_path / "two", STEPS), expected) < 1e-5  # sums in another order
