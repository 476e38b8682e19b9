"""One served model and one server for the tests of this folder."""

from collections.abc import Iterator

import pytest

from esmm_dist.process.quiet import import_tfra

import_tfra()  # through the quiet door, before any test module: it warns, and warnings are errors

from esmm_dist.serving.scoring.served_scorer import ServedScorer  # noqa: E402
from esmm_dist.serving.scoring.snapshot import Snapshot  # noqa: E402
from tests.support.flat_model import FlatModel, write_flat_model  # noqa: E402
from tests.support.scoring_server import RunningServer, running_server  # noqa: E402
from tests.support.stand_in_model import OneVersion  # noqa: E402


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> FlatModel:
    return write_flat_model(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def server(model: FlatModel) -> Iterator[RunningServer]:
    scorer = ServedScorer.open([model.folder])
    with running_server(OneVersion(Snapshot(version="3", number=3, scorer=scorer)), max_impressions=500) as running:
        yield running
