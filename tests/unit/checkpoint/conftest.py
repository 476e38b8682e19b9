"""Runs on a local disk and in a store that speaks S3."""

import itertools

import pytest

from esmm_dist.process.quiet import import_tfra
from esmm_dist.storage.folder import Folder

# Through the quiet door before any test module loads them: they warn, and warnings are errors
import_tfra()

_numbers = itertools.count()


@pytest.fixture
def local(tmp_path) -> Folder:
    """A run on a local disk."""
    return Folder.open(tmp_path)


@pytest.fixture(params=["local", "s3"])
def run(request, tmp_path) -> Folder:
    """A run of either kind."""
    if request.param == "local":
        return Folder.open(tmp_path)
    return Folder.open(request.getfixturevalue("s3").uri(f"bucket/run-{next(_numbers)}"))
