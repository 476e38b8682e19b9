"""Who gets in, and what a server does with calls that no client of ours would make: real sockets, real TLS."""

import contextlib
import json
import socket
import subprocess
import urllib.error
import urllib.request
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.flight as flight
import pytest

from esmm_dist.config import to_mapping
from esmm_dist.embedding.table_files import TableFile
from esmm_dist.errors import EsmmError, RetryError, ServerError
from esmm_dist.parameter_server import headers
from esmm_dist.parameter_server.config import ConnectionConfig
from esmm_dist.parameter_server.read_stats import server_stats
from esmm_dist.parameter_server.record_batches import encode_push
from esmm_dist.storage.folder import Folder
from tests.parallel.store_clients import DIM, embedding, open_stores, pulled_rows, saved, train
from tests.support.certificates import Authority
from tests.support.secret_files import write_secret
from tests.support.server_processes import ESMM, server_processes

pytestmark = pytest.mark.timeout(300)

TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("access")
    write_secret(folder / "token", TOKEN + "\n")
    write_secret(folder / "wrong", TOKEN[:-1] + "0\n")
    return folder


@pytest.fixture(scope="module")
def with_token(folder):
    limits = ["--max-request-rows", "1000", "--max-connections", "12", "--root", str(folder), "--metrics-port", "0"]
    with server_processes(1, "--token-file", str(folder / "token"), *limits) as servers:
        yield servers


@pytest.fixture
def run(with_token, folder):
    """A run that is open on the server with the token, as rank 0 sees it."""
    token_file = folder / "token"
    with open_stores(with_token.servers, embedding(), folder / "run", token_file=token_file) as (store,):
        yield store


@pytest.mark.parametrize(
    "variable", ["http_proxy", "https_proxy", "grpc_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"]
)
def test_no_proxy_of_the_environment_gets_a_call(with_token, folder, variable, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.settimeout(0)
        monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.getsockname()[1]}")
        config = ConnectionConfig(servers=with_token.servers, token_file=folder / "token", server_timeout_s=10)
        assert server_stats(config)[0].index == 0
        with pytest.raises(BlockingIOError):  # nobody has come
            proxy.accept()


@pytest.fixture
def raw(with_token):
    """A Flight client that says what it likes."""
    client = flight.FlightClient(f"grpc://{with_token.addresses[0]}")
    yield client
    client.close()


OPTIONS = flight.FlightCallOptions(headers=[(b"authorization", f"Bearer {TOKEN}".encode())], timeout=20)


def ask(servers: str, folder: Path, **access: str) -> None:
    paths = {name: folder / value for name, value in access.items()}
    server_stats(ConnectionConfig(servers=servers, server_timeout_s=2.0, **paths))


def test_no_token_and_a_wrong_token_are_refused_and_the_right_one_is_not(with_token, folder):
    ask(with_token.servers, folder, token_file="token")
    for access in ({}, {"token_file": "wrong"}):
        with pytest.raises(ServerError, match="carries no token that this server knows. Give --token-file"):
            ask(with_token.servers, folder, **access)


@pytest.mark.parametrize("value", [b"", b"Bearer", TOKEN.encode(), b"Bearer " + TOKEN.encode() + b"x"])
def test_no_other_form_of_the_header_passes(raw, value):
    options = flight.FlightCallOptions(headers=[(b"authorization", value)], timeout=20)
    with pytest.raises(flight.FlightUnauthenticatedError):
        list(raw.do_action(flight.Action("stats", b""), options))


def test_a_token_that_is_refused_costs_no_reading_of_the_body(with_token):
    """The call ends while the client still sends: the server has read nothing of it."""
    client = flight.FlightClient(f"grpc://{with_token.addresses[0]}")
    batch = encode_push(np.arange(200_000), np.zeros((200_000, DIM), np.float32), None, "float32")
    descriptor = flight.FlightDescriptor.for_command(b"{}")

    def send_without_end() -> None:
        writer, _ = client.do_put(descriptor, batch.schema)
        for _ in range(100):
            writer.write_batch(batch)
        writer.close()

    with pytest.raises(flight.FlightUnauthenticatedError):
        send_without_end()
    client.close()


def test_a_server_that_others_reach_does_not_start_without_a_token():
    line = [str(ESMM), "server", "--index", "0", "--count", "1", "--bind", "0.0.0.0:0"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 2
    assert "bind is 0.0.0.0:0, which other machines reach, and there is no token" in done.stderr


def test_accepting_the_risk_is_logged_as_a_warning():
    with server_processes(1, "--bind", "0.0.0.0:0", "--insecure-no-token") as servers:
        assert "WARNING: --insecure-no-token: whoever reaches" in servers.logs[0].read_text()


def test_a_port_that_is_taken_is_said(with_token):
    line = [str(ESMM), "server", "--index", "0", "--count", "1", "--bind", with_token.addresses[0]]
    done = subprocess.run(line, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 2
    assert f"bind {with_token.addresses[0]} is refused" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def tls_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    authority, other = Authority(folder), Authority(folder, "other-ca")
    authority.sign("server")
    authority.sign("client")
    authority.sign("expired", expired=True)
    other.sign("stranger")
    return folder


@pytest.fixture(scope="module")
def mutual_tls(tls_folder):
    flags = [f"--{name}={tls_folder}/{file}" for name, file in TLS_SERVER.items()]
    with server_processes(1, *flags, f"--tls-ca={tls_folder}/ca.pem") as servers:
        yield servers


TLS_SERVER = {"tls-cert": "server.pem", "tls-key": "server-key.pem"}
TLS_CLIENT = {"tls_ca": "ca.pem", "tls_cert": "client.pem", "tls_key": "client-key.pem"}


def test_mutual_tls_lets_those_in_whose_certificate_the_authority_has_signed(mutual_tls, tls_folder, tmp_path):
    ask(mutual_tls.servers, tls_folder, **TLS_CLIENT)
    paths = {name: tls_folder / file for name, file in TLS_CLIENT.items()}
    with open_stores(mutual_tls.servers, embedding(), tmp_path, **paths) as (store,):
        train(store, range(1, 4))


@pytest.mark.parametrize(
    "access",
    [
        {},  # plain text against TLS
        {"tls_ca": "ca.pem"},  # no certificate of its own
        {"tls_ca": "ca.pem", "tls_cert": "stranger.pem", "tls_key": "stranger-key.pem"},
        {"tls_ca": "ca.pem", "tls_cert": "expired.pem", "tls_key": "expired-key.pem"},
        {**TLS_CLIENT, "tls_ca": "other-ca.pem"},  # the server is a stranger to the client
    ],
)
def test_mutual_tls_lets_nobody_else_in(mutual_tls, tls_folder, access):
    with pytest.raises(EsmmError, match=r"server 0/1 \(.*TLS"):
        ask(mutual_tls.servers, tls_folder, **access)


def test_a_client_refuses_a_server_whose_certificate_has_expired(tls_folder):
    flags = [f"--tls-cert={tls_folder}/expired.pem", f"--tls-key={tls_folder}/expired-key.pem"]
    with server_processes(1, *flags) as servers, pytest.raises(EsmmError, match="TLS"):
        ask(servers.servers, tls_folder, tls_ca="ca.pem")


def test_tls_against_plain_text_is_refused(one_server, tls_folder):
    with pytest.raises(EsmmError, match="TLS"):
        ask(one_server.servers, tls_folder, tls_ca="ca.pem")


def push_header(store, **changes) -> headers.PushHeader:
    known = {"run": store._run.name, "generation": store._run.generation, "table": "main", "rows": 2}
    known |= {"wire": "float32", "step": 1, "rank": 0, "impressions": 4, "rate_factor": 1.0}
    return headers.PushHeader(**{**known, **changes})


def put(raw, command: bytes, batch) -> None:
    """Push as it stands, without any of the client's own checks."""
    writer, reader = raw.do_put(flight.FlightDescriptor.for_command(command), batch.schema, OPTIONS)
    try:
        writer.write_batch(batch)
        writer.done_writing()
        reader.read()
    finally:
        writer.close()


IDS, VALUES = np.array([3, 9]), np.ones((2, DIM), dtype=np.float32)
GOOD = encode_push(IDS, VALUES, None, "float32")


def not_finite() -> pa.RecordBatch:
    values = pa.array(np.full(VALUES.size, np.inf, dtype=np.float32))
    column = pa.FixedSizeListArray.from_arrays(values, type=GOOD.schema.field("gradient").type)
    return pa.record_batch([GOOD.column(0), column], schema=GOOD.schema)


BAD_PUSHES = [
    ({"run": "other"}, GOOD, "run 'other' is not open here, run '.*' is"),
    ({"generation": 0}, GOOD, r"is at generation \d+, and the call is of generation 0"),
    ({"table": "user"}, GOOD, "the run has no table 'user'. It has: main"),
    ({"rank": 1}, GOOD, "table 'main': rank is 1, but the run was opened with 1 ranks"),
    ({"step": 5}, GOOD, "table 'main': rank 0 pushes step 5, but its last one was 0: step 1 is missing"),
    ({"step": 0}, GOOD, "a push of step 0 over 4 impressions; 1 is the least"),
    ({"impressions": 0}, GOOD, "a push of step 1 over 0 impressions"),
    ({"rows": 1001}, GOOD, "a request of 1,001 rows; --max-request-rows is 1,000. Raise it"),
    ({"rows": -1}, GOOD, "a request of -1 rows"),
    ({"rows": 1}, GOOD, "the header says 1 rows, the request has 2 or more"),
    ({"rows": 3}, GOOD, "the header says 3 rows, the request has 2 or more"),
    (
        {},
        encode_push(IDS[::-1].copy(), VALUES, None, "float32"),
        "must be strictly ascending; id 3 follows 9",
    ),
    ({}, encode_push(np.array([3, 3]), VALUES, None, "float32"), "strictly ascending; id 3 follows 3"),
    (
        {},
        encode_push(IDS, np.ones((2, 8), np.float32), None, "float32"),
        r"is .*\[8\], expected .*\[4\]",
    ),
    ({}, encode_push(IDS, VALUES, None, "float16"), "'gradient' is .*halffloat.*expected .*float"),
    ({}, encode_push(IDS, VALUES, IDS, "float32"), r"columns \['id', 'gradient', 'count'\], expected"),
    ({}, pa.record_batch({"x": [1, 2]}), r"columns \['x'\], expected \['id', 'gradient'\]"),
    ({}, not_finite(), "a gradient of step 1 is not finite"),
]


@pytest.mark.parametrize(("header", "batch", "message"), BAD_PUSHES)
def test_a_push_that_is_wrong_is_refused_by_name_and_changes_nothing(raw, run, header, batch, message):
    with pytest.raises(flight.FlightError, match=message) as caught:
        put(raw, headers.encode_header(push_header(run, **header)), batch)
    kind = {"run": "lost", "generation": "over"}.get(next(iter(header), ""), "request")
    assert json.loads(caught.value.extra_info)["kind"] == kind
    assert run.num_rows("main") == 0
    put(raw, headers.encode_header(push_header(run)), GOOD)  # what should come next is taken all the same
    assert run.num_rows("main") == 2


def test_a_request_larger_than_its_header_says_is_not_read_to_its_end(raw, run):
    large = encode_push(np.arange(500_000), np.ones((500_000, DIM), np.float32), None, "float32")
    with pytest.raises(flight.FlightError):
        put(raw, headers.encode_header(push_header(run, rows=1000)), large)
    assert run.num_rows("main") == 0
    assert pulled_rows(run, "main", IDS).shape == (2, DIM)


@pytest.mark.parametrize("command", [b"", b"\x80\x04\x95\x10", b"{}", b"null", b"[" * 100_000, b"\xff" * 1000])
def test_a_header_of_random_bytes_is_refused(raw, run, command):
    with pytest.raises(flight.FlightError, match="header is not a|header has"):
        put(raw, command, GOOD)
    for action in ("open_run", "join_run", "fence", "resume_run", "save", "restore"):
        with pytest.raises(flight.FlightError, match="header is not a|header has"):
            list(raw.do_action(flight.Action(action, command), OPTIONS))
    assert run.num_rows("main") == 0


def test_an_action_that_does_not_exist_names_those_that_do(raw, run):
    with pytest.raises(flight.FlightError, match="there is no action 'shell'. There are: open_run, .*close_run, save"):
        list(raw.do_action(flight.Action("shell", b"rm"), OPTIONS))
    assert "open_run" in [action.type for action in raw.list_actions(OPTIONS)]


@pytest.mark.parametrize(
    "name", ["../../etc", "/etc", "step-1", "step-00000001/..", ".writing-step-00000001/../x", "", "step-00000001\n"]
)
def test_saving_and_restoring_stay_within_the_runs_checkpoints(raw, run, folder, name):
    header = headers.SaveHeader(run=run._run.name, generation=run._run.generation, step=0, folder=name)
    with pytest.raises(flight.FlightError, match="is not the name of a checkpoint's folder"):
        list(raw.do_action(flight.Action("save", headers.encode_header(header)), OPTIONS))


RESTORE = headers.RestoreHeader(run="", generation=0, step=1, location="", folder="step-00000001", files=())
FILE = TableFile(
    path="main.arrow", table="main", kind="rows", first_bucket=0, last_bucket=4096, rows=1, file_bytes=9, crc32c=1
)


@pytest.mark.parametrize(
    ("location", "path", "message"),
    [
        ("/etc", "main.arrow", "'/etc' is not below this server's --root"),
        ("{root}/../../etc", "main.arrow", "is not a place for a run"),
        ("s3://elsewhere/run", "main.arrow", "is not below this server's --root"),
        ("{root}/run", "../../../etc/passwd", "is not the name of a file of a checkpoint"),
        ("{root}/run", "/etc/passwd", "is not the name of a file of a checkpoint"),
        ("{root}/run", ".hidden", "is not the name of a file of a checkpoint"),
    ],
)
def test_restoring_reads_no_other_file(raw, run, folder, location, path, message):
    header = replace(
        RESTORE,
        run=run._run.name,
        generation=run._run.generation,
        location=location.format(root=folder),
        files=(replace(FILE, path=path),),
    )
    with pytest.raises(flight.FlightError, match=message):
        list(raw.do_action(flight.Action("restore", headers.encode_header(header)), OPTIONS))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"location": "/elsewhere/run"}, "'/elsewhere/run' is not below this server's --root"),
        ({"tables": ("../x",)}, "names are of letters, digits"),
        ({"tables": ()}, "names are of letters, digits"),
        ({"tables": ("a", "a")}, "each once"),
        ({"world_size": 0}, "world_size and max_staleness_steps are 1 or more"),
        ({"embedding": {"embedding_dim": 0}}, "embedding_dim is 0"),
        ({"embedding": {"no_such": 1}}, "unknown setting 'no_such'"),
        ({"count": 2}, "this is server 0/1, and the client lists it as 0/2"),
    ],
)
def test_a_run_that_cannot_be_is_not_opened(raw, run, folder, changes, message):
    header = headers.OpenHeader(
        **{
            "run": str(folder / "run"),
            "location": str(folder / "run"),
            "generation": run._run.generation + 1,
            "index": 0,
            "count": 1,
            "world_size": 1,
            "update_mode": "sync",
            "max_staleness_steps": 1,
            "first_step": 0,
            "tables": ("main",),
            "embedding": to_mapping(embedding()),
            "seed": 1,
            "keep_undo": False,
            **changes,
        }
    )
    with pytest.raises(flight.FlightError, match=message):
        list(raw.do_action(flight.Action("open_run", json.dumps(asdict(header)).encode()), OPTIONS))
    assert run.num_rows("main") == 0  # the run that was open still is


def test_random_bytes_on_the_socket_harm_nobody(with_token, run):
    host, port = with_token.addresses[0].split(":")
    random = np.random.default_rng(1)
    for size in (1, 10, 1000, 100_000):
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.settimeout(10)
            try:
                connection.sendall(random.bytes(size))
                connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + random.bytes(size))
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(4096):
                    pass
            except OSError:
                pass  # the server has hung up
    train(run, range(1, 3))
    assert with_token.processes[0].poll() is None


def test_connections_beyond_the_limit_are_refused_and_those_within_go_on(run, folder, with_token):
    options = [("grpc.use_local_subchannel_pool", 1)]
    clients = [flight.FlightClient(f"grpc://{with_token.addresses[0]}", generic_options=options) for _ in range(13)]

    def call_from_all() -> None:
        for client in clients:
            list(client.do_action(flight.Action("stats", b""), OPTIONS))

    try:
        with pytest.raises(flight.FlightError, match="the server has 1[34] connections, --max-connections is 12"):
            call_from_all()
        assert run.num_rows("main") == 0
    finally:
        for client in clients:
            client.close()


def test_idle_connections_of_strangers_take_no_place_of_those_who_have_the_token(with_token, folder):
    host, _, port = with_token.addresses[0].rpartition(":")
    with contextlib.ExitStack() as stack:
        strangers = [stack.enter_context(socket.create_connection((host, int(port)))) for _ in range(40)]
        ask(with_token.servers, folder, token_file="token")  # --max-connections is 12
        (found,) = server_stats(ConnectionConfig(servers=with_token.servers, token_file=folder / "token"))
        assert found.connections > len(strangers)


def test_metrics_say_in_prometheus_text_what_the_statistics_say(with_token, run):
    address = with_token.logs[0].read_text().split("Metrics at http://")[1].split("/metrics")[0]
    before = metrics(address)
    pulled_rows(run, "main", IDS)
    assert metrics(address)["esmm_server_pull_calls_total"] == before["esmm_server_pull_calls_total"] + 1
    assert metrics(address)["esmm_server_generation"] == run._run.generation


def test_a_server_is_ready_while_its_rows_are_whole(with_token, folder):
    address = with_token.logs[0].read_text().split("Metrics at http://")[1].split("/metrics")[0]
    assert readiness(address) == (503, "no run is open here yet\n")
    with open_stores(with_token.servers, embedding(), folder / "run", token_file=folder / "token") as (store,):
        assert readiness(address) == (200, "ready\n")
        with pytest.raises(EsmmError):  # the rows are half those of a checkpoint from here on
            store.restore(Folder.open(folder / "run/checkpoints/step-00000001"), [FILE], step=1)
        status, why = readiness(address)
        assert status == 503
        assert "incomplete: a restore is running, or failed" in why
        with urllib.request.urlopen(f"http://{address}/healthz", timeout=10) as answer:
            assert answer.status == 200


def readiness(address: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://{address}/readyz", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode()


def metrics(address: str) -> dict[str, float]:
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return {line.split("{")[0]: float(line.split()[-1]) for line in lines if not line.startswith("#")}


def test_a_server_that_nobody_runs_is_given_up_after_the_timeout():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        port = unused.getsockname()[1]
        with pytest.raises(RetryError, match=r"Tried for 1 s \(--server-timeout-s\). Is it running"):
            server_stats(ConnectionConfig(servers=f"127.0.0.1:{port}", server_timeout_s=1.0))


def test_a_server_below_a_root_in_a_store_sends_its_credentials_to_that_store_alone(s3, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "akey")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "asecret")
    store_of = f"scheme=http&endpoint_override={s3.address}"
    with (
        server_processes(1, "--root", f"s3://bucket/runs?{store_of}") as servers,
        socket.create_server(("127.0.0.1", 0)) as elsewhere,
    ):
        elsewhere.setblocking(False)
        other = f"scheme=http&endpoint_override=127.0.0.1:{elsewhere.getsockname()[1]}"
        for run, why in (
            (f"s3://bucket/runs/x?{other}", "its parameters .endpoint_override, scheme. are not those of the root"),
            ("s3://bucket/runs/x", "its parameters .none. are not those of the root"),
            (f"s3://bucket/runs/%2e%2e/y?{store_of}", "empty, '.' or '..'"),
            (f"s3://bucket/y?{store_of}", "is not below this server's --root s3://bucket/runs"),
        ):
            with pytest.raises(EsmmError, match=why), open_stores(servers.servers, embedding(), run):
                pass
        with open_stores(servers.servers, embedding(), f"s3://bucket/runs/x?{store_of}") as (store,):
            train(store, range(1, 3))
            folder, files = saved(store, f"s3://bucket/runs/x?{store_of}", 2)
            assert sum(file.rows for file in files) == store.num_rows("main") > 0
            away = headers.RestoreHeader(
                run=store._run.name,
                generation=store._run.generation,
                step=2,
                location=f"s3://bucket/runs/x?{other}",
                folder=folder.name,
                files=files,
            )
            with pytest.raises(ServerError, match="are not those of the root"):
                next(iter(store._servers)).act("restore", away)
        with pytest.raises(BlockingIOError):  # nobody has come
            elsewhere.accept()


def test_what_a_client_names_cannot_forge_a_line_of_the_servers_log(with_token, folder, raw):
    run = f"{folder}/x\nServer 0/1 listens on evil\x1b[2J"
    with open_stores(with_token.servers, embedding(), run, token_file=folder / "token") as (store,):
        store.num_rows("main")
    log = with_token.logs[0].read_text()
    assert f"Opened run {folder}/x\\nServer 0/1 listens on evil\\x1b[2J, generation" in log
    assert "\x1b" not in log
    assert not [line for line in log.splitlines() if line.startswith("Server 0/1 listens on evil")]


def test_a_server_that_is_started_by_hand_without_a_token_warns(one_server, with_token):
    warning = "WARNING: no --token-file: every user of this machine can read and change all rows of any run."
    assert warning in one_server.logs[0].read_text()
    assert "WARNING" not in with_token.logs[0].read_text()
