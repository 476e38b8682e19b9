"""What the agent's HTTP lets through, and what its client makes of the answers."""

import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Iterator, Mapping

import pytest

from esmm_dist.errors import ConfigError, RetryError
from launcher.agent.agent import StartRefusedError
from launcher.agent.client import AgentClient, AgentError
from launcher.agent.http_server import LONGEST_BODY, AgentServer, start_environment, stop_request
from launcher.agent.status import AgentStatus, StopMode
from launcher.agent.tls import agent_tls, driver_tls
from tests.support.certificates import Authority

TOKEN = "0123456789abcdef"


class StandIn:
    """Acts upon nothing, and remembers what it was asked."""

    def __init__(self) -> None:
        self.draining = False
        self.asked: list[object] = []
        self.read: list[AgentStatus] = []
        self.refuses: str | None = None

    def status(self, after: int = 0) -> AgentStatus:
        self.asked.append(after)
        return AgentStatus(
            name="worker-0",
            pid=1,
            worker_pid=None,
            state="ready",
            draining=self.draining,
            id=None,
            running=False,
            exit_code=None,
            killed_by=None,
            error=None,
            exit_status_of_error=None,
            warm_error=None,
            beat_age_s=0.5,
            facts={"loss": float("nan"), "step": 3},
            events=[{"number": after + 1, "event": "saved"}],
        )

    def status_was_read(self, status: AgentStatus) -> None:
        self.read.append(status)

    def start(self, environment: Mapping[str, str]) -> int:
        self.asked.append(dict(environment))
        if self.refuses:
            raise StartRefusedError(self.refuses)
        return 7

    def stop(self, run_id: int, how: StopMode, reason: str) -> bool:
        self.asked.append((run_id, how, reason))
        return run_id == 7


@pytest.fixture
def agent() -> StandIn:
    return StandIn()


@pytest.fixture
def server(agent: StandIn) -> Iterator[AgentServer]:
    with AgentServer(agent, bind="127.0.0.1:0", token=TOKEN) as made:
        yield made


def ask(
    server: AgentServer, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, dict[str, object]]:
    given = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=20)
    connection.request(method, path, body, given)
    response = connection.getresponse()
    answer = response.status, json.loads(response.read())
    connection.close()
    return answer


def test_a_client_reads_what_the_agent_says(agent, server):
    client = AgentClient(server.address, TOKEN)
    status = client.status(after=4)
    assert (status.name, status.state, status.beat_age_s) == ("worker-0", "ready", 0.5)
    assert status.facts == {"loss": None, "step": 3}  # NaN is no JSON
    assert status.events == [{"number": 5, "event": "saved"}]
    assert client.start({"HOROVOD_RANK": "1"}) == 7
    assert client.stop(7, "leave", "scaled down")
    assert not client.stop(6, "kill", "stalled")
    assert agent.asked == [4, {"HOROVOD_RANK": "1"}, (7, "leave", "scaled down"), (6, "kill", "stalled")]


def test_a_status_counts_as_read_once_it_was_sent(agent, server):
    AgentClient(server.address, TOKEN).status()
    AgentClient(server.address, TOKEN).stop(1, "kill", "")  # a later request: the first is over by then
    assert len(agent.read) == 1


def test_health_needs_no_token_and_is_bad_once_the_agent_is_about_to_end(agent, server):
    assert ask(server, "GET", "/healthz", Authorization="") == (200, {"draining": False})
    agent.draining = True
    assert ask(server, "GET", "/healthz", Authorization="") == (503, {"draining": True})


@pytest.mark.parametrize("given", ["", "Bearer", f"Bearer {TOKEN}x", f"bearer {TOKEN}", TOKEN, "Bearer \xff"])
def test_a_request_without_the_token_is_refused_whatever_it_asks(agent, server, given):
    for method, path in (("GET", "/status"), ("POST", "/start"), ("POST", "/stop"), ("GET", "/x"), ("POST", "/x")):
        status, answer = ask(server, method, path, Authorization=given)
        assert status == 401
        assert "carries no token" in str(answer["error"])
    assert agent.asked == []


def test_an_agent_without_a_token_asks_for_none(agent):
    with AgentServer(agent, bind="[::1]:0", token=None) as server:
        assert server.address.startswith("[::1]:")
        assert AgentClient(server.address, None).start({}) == 7


BODY = b'{"environment": {}}'


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "text"),
    [
        ("GET", "/", None, {}, 404, "there is no '/'"),
        ("GET", "/start", None, {}, 404, "there is no '/start'"),
        ("POST", "/status", BODY, {}, 404, "there is no '/status'"),
        ("GET", "/status?after=-1", None, {}, 400, "after is '-1'"),
        ("GET", "/status?after=1e3", None, {}, 400, "after is '1e3'"),
        ("POST", "/start", BODY, {"Content_Type": "text/plain"}, 415, "not application/json"),
        ("POST", "/start", b" " * (LONGEST_BODY + 1), {}, 413, "65537 bytes"),
        ("POST", "/start", BODY, {"Content_Length": "9" * 30}, 413, "bytes"),
        ("POST", "/start", BODY, {"Content_Length": "-1"}, 411, "Content-Length"),
        ("POST", "/start", b"", {}, 400, "not JSON"),
        ("POST", "/start", b"{", {}, 400, "not JSON"),
        ("POST", "/start", b"\xff", {}, 400, "not JSON"),
        ("POST", "/start", b"[" * 60_000, {}, 400, "not JSON"),
        ("POST", "/start", b"[]", {}, 400, "not a JSON object"),
        ("POST", "/start", b"{}", {}, 400, "body of /start"),
        ("POST", "/stop", b"{}", {}, 400, "body of /stop"),
    ],
)
def test_a_wrong_request_is_refused_with_a_reason(agent, server, method, path, body, headers, status, text):
    found, answer = ask(server, method, path, body, **headers)
    assert found == status
    assert text in str(answer["error"])
    assert agent.asked == []


@pytest.mark.parametrize(
    ("environment", "text"),
    [
        ({"LD_PRELOAD": "x"}, "'LD_PRELOAD'. Only HOROVOD_* and ESMM_*"),
        ({"HOROVOD_": "x"}, "Only"),
        ({"HOROVOD_rank": "x"}, "Only"),
        ({"XHOROVOD_RANK": "x"}, "Only"),
        ({"HOROVOD_RANK\n": "x"}, "Only"),
        ({"ESMM_REPORT_FD": "3"}, "Only"),  # the agent's own
        ({"HOROVOD_RANK": 1}, "value of HOROVOD_RANK is not text"),
        ({"HOROVOD_RANK": "\0"}, "value of HOROVOD_RANK is not text"),
        ({"HOROVOD_RANK": "ü" * 10_000}, "more than 32768 bytes"),
        (None, "body of /start"),
    ],
)
def test_only_variables_of_horovod_and_of_this_project_can_be_set(environment, text):
    with pytest.raises(ValueError, match="^(environment|the body)") as caught:
        start_environment({"environment": environment})
    assert text in str(caught.value)


@pytest.mark.parametrize("change", [{"id": "1"}, {"id": None}, {"how": "term"}, {"reason": 3}, {"more": 1}])
def test_an_order_to_stop_is_exact(change):
    order = {"id": 1, "how": "kill", "reason": "stalled"}
    assert stop_request(order) == (1, "kill", "stalled")
    with pytest.raises(ValueError, match="the body of /stop is"):
        stop_request(order | change)


def test_a_refused_start_is_an_error_that_says_why(agent, server):
    agent.refuses = "worker-0 is about to end"
    with pytest.raises(AgentError, match="refuses /start with 409: worker-0 is about to end") as caught:
        AgentClient(server.address, TOKEN).start({})
    assert caught.value.http_status == 409
    assert isinstance(caught.value, RetryError)


def test_a_wrong_token_is_an_error_of_the_client(server):
    with pytest.raises(AgentError, match="refuses /status with 401") as caught:
        AgentClient(server.address, "another token 123").status()
    assert caught.value.http_status == 401


def test_an_agent_that_is_not_there_is_an_error_of_the_client():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        client = AgentClient(f"127.0.0.1:{taken.getsockname()[1]}", None)
        with pytest.raises(AgentError, match="no reply to /status within 2 s") as caught:
            client.status()
    assert caught.value.http_status is None


def test_an_agent_that_is_silent_is_given_up(monkeypatch):
    monkeypatch.setattr("launcher.agent.client.ANSWER_S", 0.2)
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(AgentError, match=r"no reply to /status within 0.2 s \(timed out\)"),
    ):
        AgentClient(f"127.0.0.1:{silent.getsockname()[1]}", None).status()


@contextlib.contextmanager
def answering(data: bytes) -> Iterator[AgentClient]:
    """Yield a client of something else than an agent, which answers one request with ``data``."""

    def answer() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65_536):  # closed with a request's body unread, it would take the answer back
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer)
        thread.start()
        yield AgentClient(f"127.0.0.1:{listener.getsockname()[1]}", None)
        thread.join()


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"HTTP/1.0 200 OK\r\n\r\n{}", "its status does not fit this version"),
        (b"HTTP/1.0 200 OK\r\n\r\n[]", "its reply to /status is not a JSON object"),
        (b"HTTP/1.0 200 OK\r\n\r\n<html>", "its reply to /status is not JSON"),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\n{}", "no reply to /status within 2 s"),
        (b"SSH-2.0\r\n", "no reply to /status within 2 s"),
        (b"", "no reply to /status within 2 s"),
    ],
)
def test_an_answer_that_is_none_is_an_error_of_the_client(answer, text):
    with answering(answer) as client, pytest.raises(AgentError, match=text):
        client.status()


def test_a_start_without_an_id_is_an_error_of_the_client():
    with (
        answering(b"HTTP/1.0 200 OK\r\n\r\n{}") as client,
        pytest.raises(AgentError, match="its reply to /start has no id"),
    ):
        client.start({})


def test_a_port_that_is_taken_is_refused_by_name(agent, server):
    with pytest.raises(ConfigError, match=f"bind {server.address} is refused: Address already in use"):
        AgentServer(agent, bind=server.address, token=None)


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def secured(agent, authority) -> Iterator[AgentServer]:
    pair = authority.sign("agent")
    with AgentServer(agent, bind="127.0.0.1:0", token=TOKEN, tls=agent_tls(pair.cert, pair.key)) as made:
        yield made


def test_over_tls_a_client_asks_as_ever(agent, secured, authority):
    client = AgentClient(secured.address, TOKEN, tls=driver_tls(authority.cert))
    assert client.status().name == "worker-0"
    assert client.start({"HOROVOD_RANK": "1"}) == 7
    with pytest.raises(AgentError, match="refuses /status with 401"):
        AgentClient(secured.address, "another token 123", tls=driver_tls(authority.cert)).status()


def test_a_client_asks_nothing_of_an_agent_whose_certificate_is_wrong(agent, secured, authority, tmp_path):
    other = driver_tls(Authority(tmp_path, "other").cert)
    with pytest.raises(AgentError, match="self-signed certificate in certificate chain|unable to get local issuer"):
        AgentClient(secured.address, TOKEN, tls=other).status()
    pair = authority.sign("elsewhere")
    with (
        AgentServer(agent, bind="127.0.0.2:0", token=TOKEN, tls=agent_tls(pair.cert, pair.key)) as server,
        pytest.raises(AgentError, match="IP address mismatch"),
    ):
        AgentClient(server.address, TOKEN, tls=driver_tls(authority.cert)).status()
    assert agent.asked == []


def test_plain_and_encrypted_do_not_meet(agent, server, secured, authority):
    with pytest.raises(AgentError, match="no reply to /status"):
        AgentClient(secured.address, TOKEN).status()
    with pytest.raises(AgentError, match="no reply to /status"):
        AgentClient(server.address, TOKEN, tls=driver_tls(authority.cert)).status()
    assert agent.asked == []


def test_handshakes_that_never_end_keep_no_other_request_waiting(secured, authority):
    client = AgentClient(secured.address, TOKEN, tls=driver_tls(authority.cert))
    with contextlib.ExitStack() as stack:
        for number in range(20):
            half_open = stack.enter_context(socket.create_connection(("127.0.0.1", secured.server_address[1])))
            if number % 2:
                half_open.sendall(b"\x16\x03\x01\x02\x00\x01")  # the beginning of a ClientHello
        assert client.status().name == "worker-0"


def test_a_handshake_that_never_ends_is_dropped(secured, monkeypatch):
    monkeypatch.setattr("launcher.agent.http_server.PATIENCE_S", 0.2)
    with socket.create_connection(("127.0.0.1", secured.server_address[1]), timeout=10) as half_open:
        assert half_open.recv(1) == b""


def test_certificates_that_do_not_fit_are_errors_that_name_the_file(authority, tmp_path):
    first, second = authority.sign("first"), authority.sign("second")
    with pytest.raises(
        ConfigError, match=r"second-key.pem are not a certificate and its private key \(KEY_VALUES_MISMATCH"
    ):
        agent_tls(first.cert, second.key)
    with pytest.raises(ConfigError, match="tls_key .*missing.pem cannot be read: No such file"):
        agent_tls(first.cert, tmp_path / "missing.pem")
    with pytest.raises(ConfigError, match="tls_ca .*first-key.pem holds no certificate"):
        driver_tls(first.key)
    assert driver_tls(None) is None
