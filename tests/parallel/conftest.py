"""Server processes that the tests of this folder share: starting one takes three seconds of a core."""

import contextlib
from collections.abc import Iterator

import pytest

from esmm_dist.process.quiet import import_tfra
from tests.support.server_processes import ServerProcesses, server_processes

import_tfra()  # through the quiet door, before any test module imports TensorFlow: it warns, and warnings are errors

_shared = contextlib.ExitStack()
_fleets: dict[int, ServerProcesses] = {}


def _fleet(servers: int) -> ServerProcesses:
    """Return so many servers, which are started at the first call."""
    if servers not in _fleets:
        _fleets[servers] = _shared.enter_context(server_processes(servers))
    return _fleets[servers]


def _end_all() -> None:
    _fleets.clear()
    _shared.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """End them after the last test of this folder: those of other folders need the memory."""
    yield
    if nextitem is None or nextitem.path.parent != item.path.parent:
        _end_all()


def pytest_sessionfinish() -> None:
    """End them if the tests were interrupted."""
    _end_all()


@pytest.fixture(scope="session")
def one_server() -> ServerProcesses:
    return _fleet(1)


@pytest.fixture(scope="session")
def two_servers() -> ServerProcesses:
    return _fleet(2)


@pytest.fixture(scope="session")
def three_servers() -> ServerProcesses:
    return _fleet(3)
