"""Who gets an answer at the rendezvous: who signs with the job's token, once for each request. Real sockets."""

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from esmm_dist.errors import ConfigError, RetryError
from esmm_dist.ranks.rendezvous import joining
from esmm_dist.ranks.rendezvous.client import RendezvousClient
from esmm_dist.ranks.rendezvous.joining import join_ranks, own_rendezvous
from esmm_dist.ranks.rendezvous.relay import Relay
from esmm_dist.ranks.rendezvous.signing import (
    BODY,
    NUMBER,
    PLACE,
    SIGNATURE,
    RendezvousPlace,
    SignatureCheck,
    Signer,
    rendezvous_key,
)
from launcher.driver.announcements import Announcements
from launcher.driver.rendezvous_server import RendezvousServer
from launcher.driver.rendezvous_store import RendezvousStore
from tests.secret_files import write_secret

TOKEN = "0123456789abcdef"


class Members:
    """Two workers of which one has joined."""

    def __init__(self) -> None:
        self.announcements: dict[str, Announcements] = {}

    def place_of(self, host, slot):
        return f"{slot},2,0,1,0,1" if host == "worker-0.0" else "-1,-1,-1,-1,-1,-1"

    def joined(self, host, slot):
        if host != "worker-0.0":
            return False
        self.announcements[host] = Announcements()
        return True

    def changes(self, host, slot, after, timeout_s):
        found = self.announcements.get(host)
        return None if found is None else found.wait(after, timeout_s)


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


def ask(place, method, path, body=b"", headers=None) -> tuple[int, bytes]:
    """Ask without any of the client's own checks."""
    connection = http.client.HTTPConnection(place.host, place.port, timeout=20)
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


def test_values_are_kept_and_given_back_as_they_are(client):
    value = bytes(range(256)) * 40
    assert client.call("GET", "/global/0").status == 404
    assert client.call("PUT", "/global/0", value).status == 200
    assert client.call("GET", "/global/0").body == value
    assert client.call("GET", "/local_a/0").status == 404
    assert client.call("DELETE", "/global/0").status == 200
    assert client.call("GET", "/global/0").status == 404


def test_an_unsigned_request_gets_403_and_changes_nothing(place, client):
    for method, path in (("GET", "/"), ("PUT", "/global/0"), ("PUT", "/worker_addresses/worker-0.0:0")):
        status, text = ask(place, method, path, b"x")
        assert (status, text) == (403, b"the request carries no signature of the job's token\n")
    assert client.call("GET", "/global/0").status == 404
    with socket.create_connection((place.host, place.port), timeout=20) as raw:  # Horovod's handler listed files
        raw.sendall(b"HEAD /etc/passwd HTTP/1.0\r\n\r\n")
        assert b" 501 " in raw.recv(1000)


@pytest.mark.parametrize(
    ("method", "path", "body", "changes"),
    [
        ("GET", "/global/0", b"v", {}),  # another method
        ("PUT", "/global/1", b"v", {}),  # another path
        ("PUT", "/global/0?", b"v", {}),
        ("PUT", "/global/0", b"w", {}),  # another body
        ("PUT", "/global/0", b"", {}),
        ("PUT", "/global/0", b"v", {NUMBER: "2"}),
        ("PUT", "/global/0", b"v", {SIGNATURE: ""}),
        ("PUT", "/global/0", b"v", {SIGNATURE: "ü"}),
        ("PUT", "/global/0", b"v", {BODY: "0" * 64}),
    ],
)
def test_a_request_that_was_changed_on_the_way_gets_403(place, client, method, path, body, changes):
    headers = Signer(rendezvous_key(TOKEN, place.nonce)).sign("PUT", "/global/0", b"v")
    encoded = {name: value.encode() for name, value in {**headers, **changes}.items()}
    assert ask(place, method, path, body, encoded)[0] == 403
    assert client.call("GET", "/global/0").status == 404


def test_a_copy_gets_403_and_so_does_what_was_held_back(place):
    signer = Signer(rendezvous_key(TOKEN, place.nonce))
    held, sent = (signer.sign("PUT", "/global/0", body) for body in (b"old", b"new"))
    assert ask(place, "PUT", "/global/0", b"new", sent)[0] == 200
    for body, headers in ((b"new", sent), (b"old", held)):
        assert ask(place, "PUT", "/global/0", body, headers) == (
            403,
            b"the request is a copy, or older than one that has come\n",
        )
    assert RendezvousClient(place, TOKEN).call("GET", "/global/0").body == b"new"


def test_a_request_of_another_rendezvous_of_the_same_job_gets_403(place):
    other = RendezvousServer(TOKEN)
    try:
        signed = Signer(rendezvous_key(TOKEN, other.start().nonce)).sign("PUT", "/global/0", b"v")
        assert ask(place, "PUT", "/global/0", b"v", signed)[0] == 403
    finally:
        other.stop()


def test_a_value_that_is_too_large_is_not_read(place):
    headers = Signer(rendezvous_key(TOKEN, place.nonce)).sign("PUT", "/global/0", b"v")
    status, text = ask(place, "PUT", "/global/0", b"v", {**headers, "Content-Length": str(5 << 20)})
    assert (status, b"4194304 are read" in text) == (403, True)


@pytest.mark.parametrize("path", ["/global", "/global/0/1", "/rank_and_size/x", "/changes/worker-0.0:0", "/joined/a:b"])
def test_a_signed_request_that_makes_no_sense_is_answered(client, path):
    assert client.call("GET", path).status in (400, 404)


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


def test_the_relay_signs_for_gloo_and_for_nobody_else(place, client):
    relay = Relay(client)
    address, port = relay.environment["HOROVOD_GLOO_RENDEZVOUS_ADDR"], relay.environment["HOROVOD_GLOO_RENDEZVOUS_PORT"]
    here, prefix = f"{address}:{port}".split("/")  # of gloo's URL: http://ADDR:PORT/SCOPE/KEY
    assert here == f"127.0.0.1:{port}"
    relayed = SimpleNamespace(host="127.0.0.1", port=int(port))
    assert ask(relayed, "PUT", f"/{prefix}/global/0", b"value")[0] == 200
    assert ask(relayed, "GET", f"/{prefix}/global/0") == (200, b"value")
    assert ask(relayed, "GET", f"/{prefix}/global/1")[0] == 404
    for path in ("/global/0", f"/{prefix[:-1]}x/global/0", "/", "//global/0", f"/{'a' * len(prefix)}/global/0"):
        assert ask(relayed, "PUT", path, b"forged") == (403, b"")
    assert client.call("GET", "/global/0").body == b"value"
    relay.close()


def test_the_relay_says_when_the_rendezvous_is_gone():
    gone = RendezvousServer(TOKEN)
    relay = Relay(RendezvousClient(gone.start(), TOKEN))
    gone.stop()
    here, prefix = relay.environment["HOROVOD_GLOO_RENDEZVOUS_ADDR"].split("/")
    port = here.rpartition(":")[2]
    assert ask(SimpleNamespace(host="127.0.0.1", port=int(port)), "GET", f"/{prefix}:{port}/global/0")[0] == 502
    relay.close()


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
