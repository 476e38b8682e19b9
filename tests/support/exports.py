"""Exports of tests that look at the model alone."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def no_examples() -> Iterator[None]:
    """Leave out ``golden.json`` and what stands beside it, more than half of an export's seconds.

    The tests of it are tests/unit/inference/test_exported_values.py, test_export_choices.py, and
    tests/integration/test_client_of_one_file.py.
    """
    from esmm_dist.inference.export_assets import write  # loads TensorFlow

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write, "write_assets", lambda *_, **__: None)
        yield
