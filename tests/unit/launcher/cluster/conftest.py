from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.pod_api import PodApi, pod_api


@pytest.fixture
def api(tmp_path: Path) -> Iterator[PodApi]:
    with pod_api(tmp_path / "account") as made:
        yield made
