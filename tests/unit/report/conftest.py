"""A trained run that the tests of reports share. TensorFlow is loaded by those alone that ask for it."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the run ``run``, its data set ``data`` and the schema ``shop-csv.yaml``."""
    from esmm_dist.process.quiet import import_tfra

    import_tfra()  # it warns, and warnings are errors
    from tests.support.shop_run import train_shop_run

    folder = tmp_path_factory.mktemp("shop")
    train_shop_run(folder)
    return folder
