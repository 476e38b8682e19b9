"""Who gets an answer at the rendezvous: who signs with the job's token, once for each request. Real sockets."""

import socket

import pytest

from esmm_dist.ranks.rendezvous.client import RendezvousClient
from esmm_dist.ranks.rendezvous.signing import (
    BODY,
    NUMBER,
    SIGNATURE,
    Signer,
    rendezvous_key,
)
from launcher.driver.rendezvous_server import RendezvousServer
from tests.support.rendezvous_calls import TOKEN, ask


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
