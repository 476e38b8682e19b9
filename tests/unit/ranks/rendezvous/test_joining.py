"""How a worker finds its rendezvous, and follows what the driver announces there."""

import threading
import time

import pytest

from esmm_dist.errors import ConfigError, RetryError
from esmm_dist.ranks.rendezvous import joining
from esmm_dist.ranks.rendezvous.client import RendezvousClient
from esmm_dist.ranks.rendezvous.joining import join_ranks, own_rendezvous
from esmm_dist.ranks.rendezvous.signing import (
    PLACE,
)
from tests.support.rendezvous_calls import TOKEN
from tests.support.secret_files import write_secret


def test_a_worker_that_has_joined_hears_each_announcement(client, members, monkeypatch):
    monkeypatch.setattr("launcher.driver.rendezvous_server.CHANGES_S", 0.05)  # some questions end without one
    heard = threading.Semaphore(0)
    join_ranks(client, "worker-0.0:0", heard.release)
    for _ in range(3):
        time.sleep(0.1)
        assert not heard.acquire(blocking=False)
        members.announcements["worker-0.0"].notify_hosts_updated(1, None)
        assert heard.acquire(timeout=20)


def test_a_worker_goes_on_asking_when_the_driver_is_silent_for_a_while(place, client, members, monkeypatch):
    monkeypatch.setattr(joining, "PAUSE_S", 0.01)
    monkeypatch.setattr("launcher.driver.rendezvous_server.CHANGES_S", 0.05)
    heard, calls = threading.Semaphore(0), iter([RetryError("away"), RetryError("away")])
    call = RendezvousClient.call

    def sometimes(self, method, path, body=b"", **more):
        if path.startswith("/changes") and (error := next(calls, None)) is not None:
            raise error
        return call(self, method, path, body, **more)

    monkeypatch.setattr(RendezvousClient, "call", sometimes)
    join_ranks(client, "worker-0.0:0", heard.release)
    members.announcements["worker-0.0"].notify_hosts_updated(1, None)
    assert heard.acquire(timeout=20)


def test_the_environment_says_where_the_rendezvous_is_and_the_token_file_who_asks(place, tmp_path, monkeypatch):
    token = write_secret(tmp_path / "token", TOKEN)
    monkeypatch.delenv(PLACE, raising=False)
    assert own_rendezvous(token) is None
    monkeypatch.setenv(PLACE, str(place))
    found = own_rendezvous(token)
    assert found is not None
    assert found.call("GET", "/rank_and_size/worker-0.0:1").body == b"1,2,0,1,0,1"
    with pytest.raises(ConfigError, match="must show the job's token, and there is none. Give --token-file"):
        own_rendezvous(None)
    with pytest.raises(RetryError, match="without the signature"):
        own_rendezvous(write_secret(tmp_path / "other", "fedcba9876543210"))


@pytest.mark.parametrize("text", ["127.0.0.1:5", "127.0.0.1/ab", ":5/ab", "h:x/ab", "h:65536/ab"])
def test_a_malformed_place_is_refused(monkeypatch, text):
    monkeypatch.setenv(PLACE, text)
    with pytest.raises(ConfigError, match=f"{PLACE} is '{text}', not HOST:PORT/NONCE"):
        own_rendezvous(None)
