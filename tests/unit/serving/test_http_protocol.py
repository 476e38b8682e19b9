import json
import socket
import ssl
import time
import urllib.request
from typing import Any

import pytest

from esmm_dist.errors import ConfigError
from esmm_dist.serving.config import ServeConfig
from esmm_dist.serving.http.tls import tls_context
from tests.support.certificates import Authority
from tests.support.scoring_server import read_all, running_server, wait_for
from tests.support.stand_in_model import StandInScorer, stand_in_version

BODY = b'{"candidates": [0.5]}'
HEAD = b"POST /v1/score HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
REQUEST = HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(BODY), BODY)


@pytest.fixture(scope="module")
def server():
    with running_server(stand_in_version(StandInScorer()), max_header_bytes=2000, upload_timeout_s=0.3) as running:
        yield running


def answers_to(server, *pieces: bytes) -> bytes:
    """Return what is answered until the connection closes."""
    with server.connect() as connection:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(0.02)
        return read_all(connection)


@pytest.mark.parametrize(
    "pieces",
    [
        (b"GET /healthz HTTP/1.1\r\n" + b"X-Some: thing\r\n" * 200 + b"\r\n",),
        (b"GET /healthz HTTP/1.1\r\nX-One: " + b"x" * 3000 + b"\r\n\r\n",),
        (b"GET /healthz?" + b"x" * 3000 + b" HTTP/1.1\r\n\r\n",),
        (b"GET /healthz HTTP/1.1\r\nX-One: ", b"x" * 1500, b"x" * 1500),
        (b"GET /healthz HTTP/1.1\r\n", *[b"X-Some: thing\r\n" * 45] * 3),
    ],
)
def test_a_large_head_is_refused(server, pieces):
    answer = answers_to(server, *pieces)
    assert answer.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
    error = json.loads(answer.partition(b"\r\n\r\n")[2])["error"]
    assert error == "the request's line and headers have more than 2000 bytes (--max-header-bytes). Send fewer"


def test_a_body_that_comes_with_its_head_in_one_piece_is_no_part_of_the_head(server):
    body = b'{"candidates": [0.5]' + b" " * 30_000 + b"}"
    request = HEAD + b"Content-Length: %d\r\n" % len(body)
    answer = answers_to(server, request + b"\r\n" + body + request + b"Connection: close\r\n\r\n" + body)
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 2


@pytest.mark.parametrize(
    "garbage",
    [b"\x16\x03\x01\x02\x00\x01\x00", b"hello\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"CONNECT a:1 HTTP/1.1\r\n\r\n"],
)
def test_what_is_no_http_is_refused(server, garbage: bytes):
    answer = answers_to(server, garbage)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert "this is no request of HTTP/1.1" in json.loads(answer.partition(b"\r\n\r\n")[2])["error"]


@pytest.mark.parametrize("piece", [b"", b"GET /heal", b"\r\n\r\n"])
def test_a_head_that_does_not_arrive_ends_the_connection(server, piece: bytes):
    assert answers_to(server, piece) == b""


def test_a_head_that_does_not_arrive_after_an_answer_ends_the_connection(server):
    answer = answers_to(server, REQUEST, b"GET /heal")
    assert answer.count(b"HTTP/1.1 ") == answer.count(b"HTTP/1.1 200 OK") == 1


def test_bytes_that_trickle_in_do_not_keep_a_head_waiting_for_ever(server):
    with server.connect() as connection:
        connection.settimeout(0.02)
        ended = False
        for _ in range(100):
            try:
                connection.sendall(b"x")
                ended = connection.recv(10) == b""
            except TimeoutError:
                continue
            except OSError:
                ended = True
            if ended:
                break
        assert ended


def test_requests_behind_each_other_are_answered_in_order(server):
    last = REQUEST.replace(b"Host: h", b"Host: h\r\nConnection: close").replace(b"0.5", b"0.2")
    answer = answers_to(server, REQUEST + b"GET /healthz HTTP/1.1\r\n\r\n" + last)
    places = [answer.index(each) for each in (b'"pctr":[0.5]', b'"serving"', b'"pctr":[0.2]')]
    assert places == sorted(places)


def test_headers_behind_a_body_are_left_out(server):
    body = b"%x\r\n%s\r\n0\r\nContent-Encoding: gzip\r\n\r\n" % (len(BODY), BODY)
    answer = answers_to(server, HEAD + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
    assert answer.startswith(b"HTTP/1.1 200 OK")


def test_a_client_that_offers_http_2_is_answered_over_http_1_again_and_again(server):
    """Java's client does, in each request without TLS."""
    offer = b"Host: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n"
    asked = REQUEST.replace(b"Host: h\r\n", offer)
    last = REQUEST.replace(b"Host: h", b"Host: h\r\nConnection: close")
    assert answers_to(server, asked, asked, last).count(b'"pctr":[0.5]') == 3


def test_thousands_of_offers_in_one_piece_are_answered(server):
    offer = b"GET /healthz HTTP/1.1\r\nConnection: Upgrade%s\r\nUpgrade: h2c\r\n\r\n"
    answer = answers_to(server, offer % b"" * 2000 + offer % b", close")
    assert answer.count(b"HTTP/1.1 200 OK") == 2001


@pytest.mark.parametrize("candidates", [1_000, 9_000])  # an answer that is kept whole, and one that is too large
def test_a_client_that_reads_no_answer_is_given_up(candidates: int):
    body = b'{"candidates": [%s]}' % b",".join([b"0.12345678"] * candidates)
    version, limits = stand_in_version(StandInScorer()), {"upload_timeout_s": 0.2, "keep_alive_s": 0.2}
    with running_server(version, send_buffer_bytes=4096, **limits) as server, socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        connection.connect((server.host, server.port))
        connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        wait_for(lambda: server.figures().get('esmm_serving_dropped_total{reason="slow_client"}') == 1)


def test_an_expectation_is_met_before_the_body(server):
    with server.connect() as connection:
        head, _, body = REQUEST.replace(b"Host: h", b"Host: h\r\nExpect: 100-continue").partition(b"\r\n\r\n")
        connection.sendall(head + b"\r\n\r\n")
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 OK")


def test_the_rest_of_a_refused_body_is_not_read_for_ever():
    with running_server(stand_in_version(StandInScorer()), max_body_bytes=100, upload_timeout_s=0.3) as server:
        with server.connect() as connection:
            connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
            ended = False
            for _ in range(200):
                try:
                    connection.sendall(b"80\r\n" + b"x" * 128 + b"\r\n")
                except OSError:
                    ended = True
                    break
                time.sleep(0.01)
            assert ended
        assert server.figures()['esmm_serving_requests_total{path="score",status="413"}'] == 1


def test_connections_beyond_the_limit_are_closed():
    with running_server(stand_in_version(StandInScorer()), max_connections=2) as server:
        kept = [server.connect() for _ in range(2)]
        for connection in kept:
            connection.sendall(REQUEST)
            assert connection.recv(1000).startswith(b"HTTP/1.1 200 OK")
        with server.connect() as third:
            assert read_all(third) == b""
        kept.pop().close()
        wait_for(lambda: b"200 OK" in answers_to(server, REQUEST.replace(b"Host: h", b"Host: h\r\nConnection: close")))
        kept.pop().close()
        assert server.figures()['esmm_serving_dropped_total{reason="too_many_connections"}'] >= 1


def test_answers_are_encrypted_with_tls_1_2_or_newer(tmp_path):
    authority = Authority(tmp_path)
    pair = authority.sign("server")
    with running_server(stand_in_version(StandInScorer()), tls_cert=pair.cert, tls_key=pair.key) as server:
        context = ssl.create_default_context(cafile=str(authority.cert))
        url = f"https://127.0.0.1:{server.port}/healthz"
        with urllib.request.urlopen(url, timeout=30, context=context) as response:
            assert json.load(response) == {"status": "serving"}
        old = ssl.create_default_context(cafile=str(authority.cert))
        with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
            old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        with server.connect() as plain, pytest.raises(ssl.SSLError):
            old.wrap_socket(plain, server_hostname="127.0.0.1")


def test_a_certificate_that_cannot_be_used_is_refused(tmp_path):
    authority = Authority(tmp_path)
    one, other = authority.sign("one"), authority.sign("other")
    settings: dict[str, Any] = {"models": "models", "tls_cert": one.cert}
    usable = tls_context(ServeConfig(**settings, tls_key=one.key))
    assert usable is not None
    assert usable.minimum_version == ssl.TLSVersion.TLSv1_2
    with pytest.raises(ConfigError, match=r"tls_cert .*one.pem and tls_key .*other-key.pem cannot be used: .*MISMATCH"):
        tls_context(ServeConfig(**settings, tls_key=other.key))
    one.key.chmod(0o644)
    with pytest.raises(ConfigError, match=r"tls_key .*one-key.pem has mode 0644"):
        tls_context(ServeConfig(**settings, tls_key=one.key))
    missing: dict[str, Any] = {"models": "models", "tls_cert": tmp_path / "no.pem", "tls_key": other.key}
    with pytest.raises(ConfigError, match=r"no.pem and tls_key .* cannot be used: No such file"):
        tls_context(ServeConfig(**missing))
