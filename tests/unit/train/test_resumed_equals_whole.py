"""A run that was stopped and resumed ends with the bytes of one that was not, whatever is set.

Each case sets several settings that shape the state, so that every two of those that could disturb each other (an
optimizer's state and a schedule, evictions and admission, masks and weights) are set together in one of them.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from esmm_dist.checkpoint.format import checkpoint_steps
from esmm_dist.checkpoint.reader import open_checkpoint
from esmm_dist.config import build
from esmm_dist.progress import NoProgress
from esmm_dist.storage.folder import Folder
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.result import TrainResult
from esmm_dist.train.run import train
from tests.support.network_cases import NETWORK_CASES
from tests.support.tiny_dataset import tiny_groups, weighted, weighted_schema, write_dataset

STEPS = 16
"""Two epochs of 8."""

NETWORKS_IN_SHORT = ("ple",)
"""With experts; the other networks by themselves are slow tests. ``din`` and ``mlp`` are in the cases that set several
settings."""

CASES: dict[str, dict[str, Any]] = {
    "adam on both sides, dropout, cosine after a warm-up": {
        "embedding": {"embedding_dim": 4, "embedding_optimizer": "adam"},
        "model": {"hidden_units": [6, 4], "dropout": 0.5},
        "schedule": "cosine",
        "warmup_steps": 5,
    },
    "row-wise adagrad, evictions by age, admission, sgd": {
        "embedding": {
            "embedding_dim": 4,
            "embedding_optimizer": "rowwise_adagrad",
            "evict_every_steps": 3,
            "ttl_steps": 4,
            "admit_after": 2,
        },
        "model": {"hidden_units": [6]},
        "dense": {"dense_optimizer": "sgd"},
        "schedule": "inverse_sqrt",
        "warmup_steps": 2,
    },
    "ftrl, a budget of rows, no shuffle, no hidden layer, calibration": {
        "embedding": {"embedding_dim": 4, "embedding_optimizer": "ftrl", "evict_every_steps": 2, "max_rows": 40},
        "model": {"hidden_units": []},
        "input": {"shuffle": False, "prefetch": 3},
        "evaluation": {"eval_every_steps": 4, "baseline": False, "eval_split": "validation", "calibrate": "isotonic"},
    },
    "din, a linear term, admission, dropout": {
        "embedding": {"embedding_dim": 4, "admit_after": 2},
        "model": {
            "network": "din",
            "attend": ["history=item"],
            "hidden_units": [6],
            "linear_scale": 2.0,
            "dropout": 0.5,
        },
    },
    "sgd with momentum, a linear term, task weights, cool-down, mixed precision": {
        "embedding": {"embedding_dim": 4, "embedding_optimizer": "sgd"},
        "model": {"hidden_units": [6], "linear_scale": 3.0, "linear_lists": "unit", "task_weights": [1.0, 4.0]},
        "dense": {"dense_optimizer": "adagrad"},
        "hardware": {"mixed_precision": True},
        "cooldown": 0.5,
    },
    "fields": {
        "embedding": {"embedding_dim": 4, "evict_every_steps": 3, "ttl_steps": 4, "admit_after": 2},
        "model": {"fields": ["history", "item"], "hidden_units": [6], "linear_scale": 2.0},
    },
    **{
        f"network {name}": {
            "embedding": {"embedding_dim": 4},
            "model": {"hidden_units": [6, 4], "dropout": [0.5, 0.25], "linear_scale": 2.0, **settings},
        }
        for name, settings in NETWORK_CASES.items()
    },
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A log with sample weights, among them 0."""
    folder = tmp_path_factory.mktemp("data")
    groups = weighted(tiny_groups(128), lambda sample_id: float(sample_id % 4))
    test = weighted(tiny_groups(24, seed=2, first_sample=5000), lambda sample_id: 1.0 + sample_id % 2)
    validation = weighted(tiny_groups(80, seed=3, first_sample=9000), lambda sample_id: 1.0 + sample_id % 3)
    write_dataset(folder, {"train": groups, "validation": validation, "test": test}, schema=weighted_schema())
    return folder


def run_training(data: Path, run: Path, settings: dict[str, Any], **changes: Any) -> TrainResult:
    given = {
        "data": data,
        "run": str(run),
        "log_every_steps": 3,
        "evaluation": {"eval_every_steps": 5, "baseline": False},
        "checkpoint": {"checkpoint_every_steps": 4, "keep_checkpoints": 9},
        **settings,
        "input": {"global_batch_records": 16, "epochs": 2, **settings.get("input", {})},
    }
    return train(build(TrainConfig, {**given, **changes}, where="test"), NoProgress())


def contents(run: Path) -> dict[str, Any]:
    """Return all that a run holds of its last checkpoint, its losses and its newest metrics."""
    folder = run / f"checkpoints/step-{STEPS:08d}"
    found: dict[str, Any] = {path.name: path.read_bytes() for path in folder.glob("*.arrow")}
    with np.load(folder / "dense.npz") as arrays:
        found |= {name: arrays[name].tobytes() for name in arrays.files}
    newest = json.loads((run / "metrics.json").read_text())["newest"]  # a piece's end is evaluated too
    manifests = [open_checkpoint(Folder.open(run), step).manifest for step in checkpoint_steps(Folder.open(run))]
    found["calibrations"] = {each.step: each.calibration for each in manifests if each.step % 4 == 0}
    return found | {"log": (run / "train_log.jsonl").read_text(), "metrics": newest}


def cases() -> list[Any]:
    slow = {f"network {name}" for name in NETWORK_CASES} - {f"network {name}" for name in NETWORKS_IN_SHORT}
    assert slow < set(CASES)
    return [pytest.param(name, marks=(pytest.mark.slow,) if name in slow else ()) for name in CASES]


@pytest.fixture(scope="module", params=cases())
def whole(request, data, tmp_path_factory):
    """The settings of a case, a run that was not stopped, and what it holds."""
    settings, run = CASES[request.param], tmp_path_factory.mktemp("whole") / "run"
    assert run_training(data, run, settings).step == STEPS
    return settings, run, contents(run)


def test_each_checkpoint_that_was_evaluated_has_its_own_calibration(whole):
    settings, _, expected = whole
    fitted = {step: found.step for step, found in expected["calibrations"].items() if found is not None}
    assert list(expected["calibrations"]) == [16, 12, 8, 4]
    every_save = "evaluation" in settings  # the others are evaluated every 5 steps, and saved every 4
    assert fitted == {step: step for step in ((16, 12, 8, 4) if every_save else (16,))}


def test_a_run_in_two_pieces_ends_with_the_same_bytes(data, whole, tmp_path):
    settings, _, expected = whole
    for max_steps in (7, STEPS):  # 7: between two checkpoints, evictions and evaluations, in the first epoch
        run_training(data, tmp_path / "run", settings, max_steps=max_steps)
    assert contents(tmp_path / "run") == expected


def test_a_run_that_lost_all_after_an_older_checkpoint_ends_with_the_same_bytes(data, whole, tmp_path):
    settings, run, expected = whole
    shutil.copytree(run, tmp_path / "run")
    for step in (8, 12, STEPS):  # killed before these were written; its logs had gone on
        shutil.rmtree(tmp_path / f"run/checkpoints/step-{step:08d}")
    run_training(data, tmp_path / "run", settings)
    assert contents(tmp_path / "run") == expected
