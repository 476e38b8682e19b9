"""What a caller believes: replies with the signature of its job, over a connection of its own."""

import pytest

from esmm_dist.errors import RetryError
from esmm_dist.ranks.rendezvous.client import RendezvousClient
from esmm_dist.ranks.rendezvous.signing import (
    SIGNATURE,
    SignatureCheck,
)
from launcher.driver.rendezvous_server import RendezvousServer
from launcher.driver.rendezvous_store import RendezvousStore
from tests.support.rendezvous_calls import TOKEN


def test_an_answer_without_the_jobs_signature_is_not_believed(place, monkeypatch):
    """Whoever takes the port of a driver that is gone could else tell a worker where to connect."""
    with pytest.raises(RetryError, match=r"answers 403 without the signature of this job's token. Give all processes"):
        RendezvousClient(place, "fedcba9876543210").call("GET", "/")
    client = RendezvousClient(place, TOKEN)
    client.call("PUT", "/global/0", b"mine")
    monkeypatch.setattr(RendezvousStore, "get", lambda *args: b"other")
    assert client.call("GET", "/global/0").body == b"other"
    monkeypatch.setattr(SignatureCheck, "sign_reply", lambda *args: {SIGNATURE: "0" * 64})
    with pytest.raises(RetryError, match="answers 200 without the signature"):
        client.call("GET", "/global/0")


def test_nobody_who_answers_is_an_error_that_may_pass(place):
    gone = RendezvousServer(TOKEN)
    client = RendezvousClient(gone.start(), TOKEN)
    gone.stop()
    with pytest.raises(RetryError, match=r"the rendezvous at 127.0.0.1:\d+ does not answer"):
        client.call("GET", "/", timeout_s=5)


def test_a_proxy_of_the_environment_is_not_asked(client, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert client.call("GET", "/").status == 200
