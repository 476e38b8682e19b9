"""Every test of this folder needs a GPU that TensorFlow sees."""

import pytest
import tensorflow as tf


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder, and skip them where there is no GPU."""
    own = [item for item in items if "tests/gpu/" in item.path.as_posix()]
    for item in own:
        item.add_marker(pytest.mark.gpu)
    if own and not tf.config.list_physical_devices("GPU"):
        for item in own:
            item.add_marker(pytest.mark.skip(reason="TensorFlow sees no GPU on this machine"))
