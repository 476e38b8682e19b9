"""Each network on two ranks and a server is that of one process."""

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
from tests.support.network_cases import NETWORK_CASES
from tests.support.saved_models import largest_difference, saved_arrays
from tests.support.server_processes import server_processes
from tests.support.tiny_dataset import tiny_groups, write_dataset

pytestmark = [pytest.mark.timeout(400), pytest.mark.slow]

ESMM = Path(sys.executable).with_name("esmm")

SETTINGS: dict[str, Any] = {
    "input": {"global_batch_records": 16, "epochs": 1},
    "embedding": {"embedding_dim": 4, "embedding_learning_rate": 0.2},
    "dense": {"dense_optimizer": "adagrad", "dense_learning_rate": 0.05},
}

MODELS: dict[str, dict[str, Any]] = {
    "Keras layers": {"network": "tests.unit.model.own_networks:Regularised"},
    "fields": {"fields": ["user", "tags"], "hidden_units": [8]},
    **{name: {"hidden_units": [8, 4], **settings} for name, settings in NETWORK_CASES.items()},
}


@pytest.mark.parametrize("case", MODELS)
def test_two_ranks_start_and_end_with_the_weights_of_one_process(tmp_path, case):
    data, settings = tmp_path / "data", {**SETTINGS, "model": MODELS[case]}
    write_dataset(data, {"train": tiny_groups(160)}, lanes=2)
    (tmp_path / "settings.json").write_text(json.dumps({"data": str(data), **settings}))  # JSON is YAML
    alone = build(TrainConfig, {**settings, "data": data, "run": str(tmp_path / "alone")}, where="test")
    assert train(alone, NoProgress()).step == 10
    line: list[str | Path] = [ESMM, "train", "--config", tmp_path / "settings.json", "--run", tmp_path / "two"]
    with server_processes(1) as servers:
        result = run_ranks(2, *line, "--servers", servers.servers, folder=tmp_path / "out")
    assert result.status == 0, result.err
    assert largest_difference(saved_arrays(tmp_path / "two", 10), saved_arrays(tmp_path / "alone", 10)) < 1e-5
