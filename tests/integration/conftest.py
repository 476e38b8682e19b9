"""What all integration tests share: TensorFlow loaded quietly, and an environment as real machines have it."""

from collections.abc import Iterator

import pytest

from esmm_dist.process.quiet import import_tfra

import_tfra()  # through the quiet door, before any test module imports TensorFlow: it warns, and warnings are errors

PROXY = "http://127.0.0.1:9"
"""Where nobody listens: a call that goes there fails."""


@pytest.fixture(scope="module", autouse=True)
def proxies() -> Iterator[None]:
    """Name proxies in the environment: no call between processes of a run may go there. Other tests do without."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy"):
            patch.setenv(name, PROXY)
        yield
