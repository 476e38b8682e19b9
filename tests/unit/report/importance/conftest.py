"""Load TensorFlow and TFRA through the quiet door before any test module does: they warn, and warnings are errors."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from esmm_dist.process.quiet import import_tfra

import_tfra()

from esmm_dist.checkpoint.choice import CheckpointChoice  # noqa: E402
from esmm_dist.inference.trained_model import TrainedModel, open_model  # noqa: E402
from esmm_dist.parameter_server.config import ConnectionConfig  # noqa: E402
from esmm_dist.progress import NoProgress  # noqa: E402
from esmm_dist.ranks.solo import SoloWorld  # noqa: E402


@pytest.fixture(scope="session")
def model(shop: Path) -> Iterator[TrainedModel]:
    """Yield the trained model."""
    choice = CheckpointChoice(run=str(shop / "run"))
    with open_model(choice, NoProgress(), connection=ConnectionConfig(), world=SoloWorld()) as trained:
        yield trained
