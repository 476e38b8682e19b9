"""Several ranks on a server train a damaged data set as one process does, and count what is missing together."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from esmm_dist.checkpoint.reader import open_checkpoint
from esmm_dist.config import build
from esmm_dist.progress import NoProgress
from esmm_dist.storage.folder import Folder
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.run import train
from tests.parallel.horovod_ranks import run_ranks
from tests.support.damage import flip_bit, remove
from tests.support.server_processes import server_processes
from tests.support.tiny_dataset import tiny_groups, write_dataset

pytestmark = pytest.mark.timeout(400)

ESMM = Path(sys.executable).with_name("esmm")
STEPS = 20
"""320 records in 2 lanes of 160, in 8 parts of 20 each; 8 of each lane a batch."""

SETTINGS: dict[str, Any] = {
    "input": {"global_batch_records": 16, "epochs": 1, "shuffle": False, "on_bad_record": "skip"},
    "embedding": {"embedding_dim": 4, "embedding_learning_rate": 0.2},
    "model": {"hidden_units": [8]},
    "dense": {"dense_optimizer": "adagrad", "dense_learning_rate": 0.05},
}


@pytest.mark.slow
def test_ranks_skip_whole_batches_and_single_records_as_one_process_does(tmp_path):
    data = tmp_path / "data"
    write_dataset(data, {"train": tiny_groups(320)}, lanes=2, parts=8, compression="NONE")
    # parts 2 and 3 of both lanes are records 40 .. 79, all of steps 6 to 10
    gone = [f"train/lane-{lane:03d}-part-{part:03d}.tfrecord" for lane in (0, 1) for part in (2, 3)]
    for path in gone:
        remove(data / path)
    hurt = "train/lane-001-part-005.tfrecord"  # which rank 1 reads
    flip_bit(data / hurt, 20 / (data / hurt).stat().st_size)
    alone = train(
        build(TrainConfig, {**SETTINGS, "data": data, "run": str(tmp_path / "alone")}, where="test"), NoProgress()
    )
    assert [each.path for each in alone.skipped] == [*gone[:2], *gone[2:], hurt]
    assert alone.skipped[-1].records == 1

    (tmp_path / "settings.json").write_text(json.dumps({"data": str(data), **SETTINGS}))  # JSON is YAML
    line: list[str | Path] = [
        ESMM,
        "train",
        "--config",
        tmp_path / "settings.json",
        "--run",
        tmp_path / "two",
        "--json",
    ]
    with server_processes(1) as servers:
        result = run_ranks(2, *line, "--servers", servers.servers, folder=tmp_path / "out")
    assert result.status == 0, result.err
    report = json.loads(result.out[0])
    assert (report["step"], report["impressions"]) == (STEPS, alone.impressions)
    assert report["skipped"] == json.loads((tmp_path / "alone/skipped.json").read_text())["shards"]
    assert (tmp_path / "two/skipped.json").read_text() == (tmp_path / "alone/skipped.json").read_text()
    assert result.err[0].count("Skipped: ") == 5
    found, expected = (open_checkpoint(Folder.open(tmp_path / run), STEPS).dense() for run in ("two", "alone"))
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-4, atol=1e-6, err_msg=name)
