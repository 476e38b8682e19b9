"""Server processes that the tests of a module share: starting one takes seconds."""

import pytest

from esmm_dist.process.quiet import import_tfra
from tests.support.server_processes import server_processes

import_tfra()  # through the quiet door, before any test module imports TensorFlow: it warns, and warnings are errors


@pytest.fixture(scope="module")
def one_server():
    with server_processes(1) as servers:
        yield servers


@pytest.fixture(scope="module")
def two_servers():
    with server_processes(2) as servers:
        yield servers


@pytest.fixture(scope="module")
def three_servers():
    with server_processes(3) as servers:
        yield servers
