from collections.abc import Iterator

import pytest

from esmm_dist.ranks.rendezvous.client import RendezvousClient
from esmm_dist.ranks.rendezvous.signing import RendezvousPlace
from launcher.driver.rendezvous_server import RendezvousServer
from tests.support.rendezvous_calls import TOKEN, Members


@pytest.fixture
def members():
    return Members()


@pytest.fixture
def place(members) -> Iterator[RendezvousPlace]:
    server = RendezvousServer(TOKEN)
    yield server.start(members)
    server.stop()
    server.stop()


@pytest.fixture
def client(place):
    return RendezvousClient(place, TOKEN)
