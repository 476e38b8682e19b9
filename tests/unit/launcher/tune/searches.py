"""Settings of ``esmm tune`` for tests, and a data set with three splits."""

from pathlib import Path
from typing import Any

from esmm_dist.config import build
from launcher.tune.config import TuneConfig
from tests.support.tiny_dataset import tiny_groups, write_dataset

LEARNING_RATE = "embedding.embedding_learning_rate"


def make_data(folder: Path, *, splits: tuple[str, ...] = ("train", "validation", "test")) -> Path:
    sizes = {"train": 200, "validation": 60, "test": 60}
    write_dataset(folder, {name: tiny_groups(sizes[name], seed=i) for i, name in enumerate(splits)})
    return folder


def tune_config(tmp_path: Path, **changes: Any) -> TuneConfig:
    settings = {
        "data": tmp_path / "data",
        "study": tmp_path / "study",
        "trials": 3,
        "objective": "ctcvr.auc",
        "search": {LEARNING_RATE: {"low": 0.001, "high": 1.0, "log": True}},
        **changes,
    }
    return build(TuneConfig, settings, where="")
