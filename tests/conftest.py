"""What every test shares: property tests that give the same answer on every run, however slow the machine; a store."""

import signal
import tempfile
from collections.abc import Iterator

import hypothesis
import pytest

from tests.support.s3_server import S3Server

# Under nohup, processes that tests start would inherit that SIGHUP is ignored, and keep it so
signal.signal(signal.SIGHUP, signal.SIG_DFL)

hypothesis.settings.register_profile("steady", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("steady")


@pytest.fixture(scope="session", autouse=True)
def temporary_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Have processes that tests kill leave their temporary files where pytest removes them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("temporary")))
        patch.setattr(tempfile, "tempdir", None)
        yield


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    """A store that speaks S3, with an empty bucket ``bucket``."""
    with S3Server() as server:
        server.make_bucket("bucket")
        yield server
