"""Load TensorFlow through the quiet door before any test module does: it warns, and warnings are errors."""

from collections.abc import Iterator

import pytest

from esmm_dist.process.quiet import import_tfra
from tests.support.exports import no_examples

import_tfra()


@pytest.fixture(scope="module", autouse=True)
def without_examples() -> Iterator[None]:
    """Exports without ``golden.json``: what they answer is compared with predict."""
    with no_examples():
        yield
