"""What reaches a cluster over TLS, and what is said where nothing of use comes back."""

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from launcher.cluster.api.client import USER_LIMITS, Api
from launcher.cluster.api.connect import connect, proxies_of
from launcher.cluster.api.errors import ClusterError
from launcher.cluster.api.kinds import POD
from tests.support.certificates import Authority


class Answers(ThreadingHTTPServer):
    """Says the same to whatever is asked, over TLS; counts."""

    daemon_threads = True

    def __init__(self, pair: Any) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.cert, pair.key)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.status, self.body, self.calls = 200, b"{}", 0
        self.headers: dict[str, str] = {}
        self.busy = 10**9
        """Calls that are answered with ``status``; then 200."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are what is tested."""


class Handler(BaseHTTPRequestHandler):
    server: Answers

    def do_GET(self) -> None:
        self.server.calls += 1
        self.send_response(self.server.status if self.server.calls <= self.server.busy else 200)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    do_POST = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@pytest.fixture(name="answers")
def fixture_answers(tmp_path: Path) -> Iterator[Answers]:
    server = Answers(Authority(tmp_path).sign("server"))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def known(folder: Path, port: int, monkeypatch: pytest.MonkeyPatch, *, ca: Path | None = None) -> Api:
    config = {
        "current-context": "here",
        "clusters": [
            {
                "name": "c",
                "cluster": {
                    "server": f"https://127.0.0.1:{port}",
                    "certificate-authority": str(ca or folder / "ca.pem"),
                },
            }
        ],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "models"}}],
    }
    (folder / "kubeconfig").write_text(json.dumps(config))
    monkeypatch.setenv("KUBECONFIG", str(folder / "kubeconfig"))
    monkeypatch.setattr("launcher.cluster.api.connect.USER_LIMITS", replace(USER_LIMITS, pause_s=0.01))
    return connect()


def test_an_object_is_read_in_the_namespace_of_the_context(
    tmp_path: Path, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers.body = b'{"metadata": {"name": "p"}}'
    found = known(tmp_path, answers.server_port, monkeypatch)
    assert found.namespace == "models"
    assert found.get(POD, "p") == {"metadata": {"name": "p"}}


def test_a_certificate_of_another_authority_is_named_and_not_asked_for_again(
    tmp_path: Path, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Authority(tmp_path, "other").cert
    with pytest.raises(ClusterError) as e:
        known(tmp_path, answers.server_port, monkeypatch, ca=other).get(POD, "p")
    assert "shows a certificate that context 'here' of" in str(e.value)
    assert "Fetch a new kubeconfig" in str(e.value)
    assert answers.calls == 0


@pytest.mark.parametrize("body", [b"<html>log in</html>", b"[]", b""])
def test_what_is_no_api_is_said_to_be_none(
    body: bytes, tmp_path: Path, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers.body = body
    with pytest.raises(ClusterError, match="does not answer as a cluster's API does"):
        known(tmp_path, answers.server_port, monkeypatch).get(POD, "p")


def test_a_busy_cluster_is_asked_three_times(tmp_path: Path, answers: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    answers.status = 503
    with pytest.raises(ClusterError, match="503"):
        known(tmp_path, answers.server_port, monkeypatch).get(POD, "p")
    assert answers.calls == USER_LIMITS.tries


@pytest.mark.parametrize("status", [429, 503])
def test_a_cluster_that_says_when_to_ask_again_is_asked_then(
    status: int, tmp_path: Path, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers.status, answers.headers, answers.busy = status, {"Retry-After": "6"}, 5
    found, slept = known(tmp_path, answers.server_port, monkeypatch), []
    monkeypatch.setattr(found, "_sleep", slept.append)
    manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}}
    assert found.create(manifest) == {}
    assert (slept, answers.calls) == ([6.0] * 5, 6)


@pytest.mark.parametrize(
    ("asks", "slept"),
    [
        ("10", [10.0, 10.0, 10.0, 0.01, 0.02]),  # 30 s in all, then as often as without
        ("31", [0.01, 0.02]),
        ("Fri, 31 Dec 1999 23:59:59 GMT", [0.01, 0.02]),
        ("-1", [0.01, 0.02]),
        ("0", [1.0] * 30 + [0.01, 0.02]),
    ],
)
def test_a_cluster_that_is_busy_for_long_is_waited_for_up_to_a_limit(
    asks: str, slept: list[float], tmp_path: Path, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers.status, answers.headers = 429, {"Retry-After": asks}
    found, waits = known(tmp_path, answers.server_port, monkeypatch), []
    monkeypatch.setattr(found, "_sleep", waits.append)
    with pytest.raises(ClusterError, match="429"):
        found.get(POD, "p")
    assert waits == slept


def test_what_is_refused_for_good_is_not_asked_again(
    tmp_path: Path, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers.status, answers.headers = 403, {"Retry-After": "1"}
    with pytest.raises(ClusterError, match="403"):
        known(tmp_path, answers.server_port, monkeypatch).get(POD, "p")
    assert answers.calls == 1


def test_a_cluster_that_is_down_is_said_to_give_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Authority(tmp_path)
    with socket.socket() as bound:  # not listening: refuses
        bound.bind(("127.0.0.1", 0))
        with pytest.raises(ClusterError, match=r"gives no answer \(Connection refused\)"):
            known(tmp_path, bound.getsockname()[1], monkeypatch).get(POD, "p")


@pytest.mark.parametrize(
    ("environment", "host", "proxy"),
    [
        ({}, "https://10.0.0.1:6443", None),
        ({"https_proxy": "http://p:1"}, "https://10.0.0.1:6443", "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1"}, "https://10.0.0.1:6443", "http://p:1"),
        ({"http_proxy": "http://p:1"}, "https://10.0.0.1:6443", None),  # as kubectl: of another scheme
        ({"https_proxy": "http://p:1", "no_proxy": "10.0.0.0/8"}, "https://10.0.0.1:6443", None),
        ({"https_proxy": "http://p:1", "NO_PROXY": "example.org,.internal"}, "https://api.internal:6443", None),
        ({"https_proxy": "http://p:1"}, "https://127.0.0.1:6443", None),
        ({"https_proxy": "http://p:1"}, "https://localhost:6443", None),
    ],
)
def test_the_cluster_is_reached_through_the_proxy_that_kubectl_takes(
    environment: dict[str, str], host: str, proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kubernetes.client import ApiClient, Configuration

    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = Configuration(host=host)
    settings.proxy, settings.no_proxy = proxies_of(host)
    manager = ApiClient(settings).rest_client.pool_manager
    found = getattr(manager, "proxy", None)
    assert (None if found is None else found.url) == proxy
