"""Load TensorFlow and TFRA through the quiet door before any test module does: they warn, and warnings are errors."""

import itertools
import sys
from pathlib import Path
from typing import Any

import pytest

from esmm_dist.config import build
from esmm_dist.process.quiet import import_tfra
from esmm_dist.progress import NoProgress, Progress
from esmm_dist.ranks.solo import SoloWorld
from esmm_dist.reporter import NO_REPORTER
from esmm_dist.train import publish_process
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.context import TrainingContext, make_context
from esmm_dist.train.run_folder import RunFolder
from tests.support.tiny_dataset import tiny_groups, write_dataset
from tests.unit.train import publish_stand_in

import_tfra()

_numbers = itertools.count()


@pytest.fixture(scope="session")
def eight_records(tmp_path_factory):
    """A data set of eight records to train on and four to test on."""
    folder = tmp_path_factory.mktemp("eight")
    write_dataset(folder, {"train": tiny_groups(8), "test": tiny_groups(4, seed=2, first_sample=5000)})
    return folder


@pytest.fixture
def context_of(eight_records):
    """Makes contexts of trainings on eight records, two a batch."""

    def make(
        run: Path | RunFolder,
        progress: Progress | None = None,
        world: Any = None,
        reporter: Any = NO_REPORTER,
        **settings: Any,
    ) -> TrainingContext:
        folder = run if isinstance(run, RunFolder) else RunFolder(run)
        given = {
            "data": eight_records,
            "run": str(folder.folder),
            "input": {"global_batch_records": 4, "epochs": 2},
            "embedding": {"embedding_dim": 2},
            "model": {"hidden_units": [3]},
        }
        config = build(TrainConfig, {**given, **settings}, where="test")
        return make_context(config, world or SoloWorld(), folder, progress or NoProgress(), reporter)

    return make


@pytest.fixture(params=["local", "s3"])
def location(request, tmp_path) -> str:
    """A run of either kind."""
    if request.param == "local":
        return str(tmp_path / "run")
    uri: str = request.getfixturevalue("s3").uri(f"bucket/run-{next(_numbers)}")
    return uri


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder by which a stand-in for the process that publishes is told what to do."""
    folder = tmp_path / "stand-in"
    folder.mkdir()
    line = (sys.executable, str(Path(publish_stand_in.__file__)), str(folder))
    monkeypatch.setattr(publish_process, "PUBLISH", line)
    return folder
