"""Load TensorFlow and TFRA through the quiet door before any test module does: they warn, and warnings are errors."""

from collections.abc import Iterator

import pytest

from esmm_dist.process.quiet import import_tfra
from tests.support.exports import no_examples

import_tfra()


@pytest.fixture(scope="module")
def without_examples() -> Iterator[None]:
    """Exports without ``golden.json``."""
    with no_examples():
        yield
