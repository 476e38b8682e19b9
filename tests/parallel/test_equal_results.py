"""The numbers that come out do not depend on where rows live or how many ranks train: whole trainings of 200 steps."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from esmm_dist.calibration.calibration import Calibration
from esmm_dist.calibration.curves import PlattScaling
from esmm_dist.checkpoint.reader import open_checkpoint
from esmm_dist.config import build
from esmm_dist.flat_settings import merge
from esmm_dist.progress import NoProgress
from esmm_dist.storage.folder import Folder
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.run import train
from esmm_dist.train.run_history import read_history
from esmm_dist.train.run_speed import read_speed
from launcher.cli import main
from tests.parallel.horovod_ranks import run_ranks
from tests.support.saved_models import saved_rows
from tests.support.tiny_dataset import tiny_groups, write_dataset

pytestmark = pytest.mark.timeout(400)

ESMM = Path(sys.executable).with_name("esmm")
STEPS = 200
SETTINGS: dict[str, Any] = {
    "input": {"global_batch_records": 16, "epochs": 10},
    "embedding": {"embedding_dim": 4, "embedding_learning_rate": 0.05},
    "model": {"hidden_units": [8]},
    "dense": {"dense_optimizer": "adam", "dense_learning_rate": 0.003},
    "evaluation": {"eval_split": "validation", "calibrate": "platt"},
    "max_steps": STEPS,
}
OPTIMIZERS: list[dict[str, Any]] = [
    {"embedding_optimizer": "adagrad"},
    {"embedding_optimizer": "rowwise_adagrad"},
    {"embedding_optimizer": "adam"},
    {"embedding_optimizer": "sgd", "embedding_momentum": 0.9},
    {"embedding_optimizer": "sgd"},
    {"embedding_optimizer": "ftrl"},
]
IN_SHORT = (2,)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """330 records in 4 lanes of 83, 83, 82, 82; a batch takes 4 of each, and the last of an epoch's 21 is not full."""
    folder = tmp_path_factory.mktemp("data")
    write_dataset(folder, {"train": tiny_groups(330), "validation": tiny_groups(400, seed=2, first_sample=5000)})
    return folder


def dense_of(run: Path) -> dict[str, np.ndarray]:
    return open_checkpoint(Folder.open(run), STEPS).dense()


def calibration_of(run: Path) -> Calibration:
    calibration = open_checkpoint(Folder.open(run), STEPS).manifest.calibration
    assert calibration is not None
    return calibration


def aucs_of(run: Path) -> dict[str, float]:
    metrics = json.loads((run / "metrics.json").read_text())["newest"]["metrics"]
    return {task: figures["auc"] for task, figures in metrics.items()}


@pytest.mark.parametrize(
    "optimizer",
    # One at each run of the checks: a store's pushes are compared for all of them (test_remote_store.py)
    [
        pytest.param(each, marks=() if number in IN_SHORT else pytest.mark.slow)
        for number, each in enumerate(OPTIMIZERS)
    ],
    ids=lambda settings: "-".join(map(str, settings.values())),
)
def test_embedded_one_server_and_three_servers_end_with_the_same_bits(
    data, tmp_path, one_server, three_servers, optimizer
):
    ends = []
    for name, servers in (("embedded", "embedded"), ("one", one_server.servers), ("three", three_servers.servers)):
        run = tmp_path / name
        own = {"data": data, "run": str(run), "embedding": optimizer, "store": {"servers": servers}}
        result = train(build(TrainConfig, merge(SETTINGS, own), where="test"), NoProgress())
        arrays = {**saved_rows(run, STEPS), **dense_of(run)}
        ends.append(
            ({key: value.tobytes() for key, value in arrays.items()}, result.metrics, result.rows, calibration_of(run))
        )
    assert result.metrics["ctr"].auc > 0.6  # something was learned
    assert ends[0] == ends[1]
    assert ends[0] == ends[2]


def relative_difference(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference, relative to the largest value."""
    largest = float(np.abs(expected).max(initial=0.0))
    return float(np.abs(found.astype(np.float64) - expected).max(initial=0.0)) / (largest or 1.0)


def assert_speed_is_told(run: Path, ranks: int, *, rows: int) -> None:
    """Compare the points of the speed with the steps, and the sizes of tables with the rows at the end."""
    points = read_speed(Folder.open(run))
    assert [point.step for point in points] == list(range(20, STEPS + 1, 20))
    assert {point.ranks for point in points} == {ranks}
    for point in points:
        assert 0 < point.step_s < point.input_s + point.pull_s + point.step_s + point.push_s <= point.seconds + 1e-5
    sizes = [point.tables["main"] for point in points if point.tables]  # servers are asked every five seconds
    assert sizes, points
    assert all(0 < size.rows <= rows and size.bytes > size.rows * 4 * 4 for size in sizes)
    events = read_history(Folder.open(run))
    assert (events[0].event, events[0].details["ranks"], events[0].details["servers"]) == ("start", ranks, 2)
    assert [each.event for each in events[-3:]] == ["checkpoint", "evaluation", "done"]


@pytest.mark.parametrize(
    "several", [pytest.param((2,), id="two"), pytest.param((2, 3), id="two and three", marks=pytest.mark.slow)]
)
def test_one_and_several_ranks_end_with_the_same_rows_weights_and_aucs(data, tmp_path, two_servers, several):
    """Sums of float32 in another order: measured, 200 steps differ by 5e-7 of the largest value."""
    settings = merge(SETTINGS, {"data": str(data), "embedding": {"embedding_optimizer": "adagrad"}})
    (tmp_path / "settings.json").write_text(json.dumps(settings))  # JSON is YAML
    line = [ESMM, "train", "--config", tmp_path / "settings.json", "--servers", two_servers.servers, "--run"]
    assert main([*map(str, line[1:]), str(tmp_path / "1")]) == 0
    for ranks in several:
        result = run_ranks(ranks, *line, tmp_path / str(ranks), folder=tmp_path / f"out-{ranks}")
        assert result.status == 0, result.err
    expected_rows, expected_dense = saved_rows(tmp_path / "1", STEPS), dense_of(tmp_path / "1")
    expected_aucs = aucs_of(tmp_path / "1")
    for ranks in (1, *several):
        assert_speed_is_told(tmp_path / str(ranks), ranks, rows=len(expected_rows["ids"]))
    for ranks in several:
        rows, dense = saved_rows(tmp_path / str(ranks), STEPS), dense_of(tmp_path / str(ranks))
        for name in ("ids", "last_step", "count"):
            np.testing.assert_array_equal(rows[name], expected_rows[name])
        differences = {name: relative_difference(rows[name], expected_rows[name]) for name in ("rows", "slots")}
        differences |= {name: relative_difference(dense[name], expected_dense[name]) for name in expected_dense}
        assert max(differences.values()) < 1e-5, differences
        assert aucs_of(tmp_path / str(ranks)) == pytest.approx(expected_aucs, abs=0.0005)
        pairs = zip(calibration_of(tmp_path / str(ranks)).labels, calibration_of(tmp_path / "1").labels, strict=True)
        for found, expected in pairs:
            assert isinstance(found.curve, PlattScaling)
            assert isinstance(expected.curve, PlattScaling)
            assert found.curve.slope == pytest.approx(expected.curve.slope, rel=1e-4)
            assert found.curve.intercept == pytest.approx(expected.curve.intercept, abs=1e-4)
            assert (found.impressions, found.positives) == (expected.impressions, expected.positives)
