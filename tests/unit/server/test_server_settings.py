"""Settings of servers and of those who use them, and what a token, an address and a place for a run may be."""

import socket
from pathlib import Path

import pytest

from esmm_dist.errors import ConfigError
from esmm_dist.secret_file import read_token
from esmm_dist.server.config import ClientConfig, ConnectionConfig, ServerConfig, is_loopback, split_address
from esmm_dist.server.security import ConnectionLimit, check_location, open_connections, read_pem
from esmm_dist.server.wire import RequestError
from tests.secret_files import write_secret


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"count": 0}, "count is 0. Set the number of servers"),
        ({"count": 5000}, "count is 5000. Set the number of servers of the run, 1 .. 4096"),
        ({"index": 2}, "index is 2, but there are 2 servers. Set 0 .. 1"),
        ({"bind": "7070"}, "bind names '7070'. Write HOST:PORT"),
        ({"bind": "localhost:99999"}, "bind names 'localhost:99999'"),
        ({"bind": "0.0.0.0:0"}, "bind is 0.0.0.0:0, which other machines reach, and there is no token"),
        ({"bind": "[::]:0"}, "there is no token"),
        ({"bind": "myhost:0"}, "there is no token"),
        ({"tls_cert": "c.pem"}, "tls_cert and tls_key belong together"),
        ({"tls_ca": "c.pem"}, "tls_ca asks clients for certificates, but the server has none"),
        ({"max_request_rows": 0}, "max_request_rows is 0. Set 1 or more"),
        ({"max_connections": 0}, "max_connections is 0. Set 1 or more"),
        ({"metrics_port": 70000}, "metrics_port is 70000. Set 0 .. 65535"),
    ],
)
def test_a_server_setting_that_is_wrong_is_named_with_its_value(settings, message):
    with pytest.raises(ConfigError, match=message):
        ServerConfig(**{"index": 0, "count": 2, **settings})


@pytest.mark.parametrize("bind", ["127.0.0.1:0", "localhost:0", "[::1]:0", "127.3.4.5:80"])
def test_loopback_needs_no_token(bind):
    assert ServerConfig(index=0, count=1, bind=bind).token_file is None


def test_other_addresses_take_a_token_or_an_open_eye():
    assert not ServerConfig(index=0, count=1, bind="0.0.0.0:0", token_file=Path("t")).insecure_no_token
    assert ServerConfig(index=0, count=1, bind="0.0.0.0:0", insecure_no_token=True).token_file is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"servers": "a:1,b"}, "servers names 'b'. Write HOST:PORT"),
        ({"servers": "grpc://a:1"}, "servers names 'grpc://a:1'. An address has no scheme and no path: write a:1"),
        ({"servers": "a:1/x"}, "servers names 'a:1/x'. An address has no scheme and no path: write a:1"),
        ({"servers": "a:0"}, "servers names a:0; port 0 is none"),
        ({"servers": ""}, "servers names ''"),
        ({"max_staleness_steps": 0}, "max_staleness_steps is 0. Set 1 or more; 0 is sync"),
        ({"tls_key": "k"}, "tls_cert and tls_key belong together"),
        ({"tls_key": "k", "tls_cert": "c"}, "tls_cert is for TLS, which starts with the servers' authority"),
        ({"server_timeout_s": 0}, "server_timeout_s is 0. Set a positive number"),
    ],
)
def test_a_client_setting_that_is_wrong_is_named_with_its_value(settings, message):
    with pytest.raises(ConfigError, match=message):
        ClientConfig(**settings)


def test_servers_are_a_list_in_order_or_embedded():
    assert ConnectionConfig(servers="a:1, [::1]:2").addresses == ("a:1", "[::1]:2")
    assert ConnectionConfig().embedded
    assert ConnectionConfig().addresses == ()


def test_an_address_is_split_and_loopback_is_known():
    assert split_address("[::1]:7", where="x") == ("::1", 7)
    assert [is_loopback(host) for host in ("localhost", "::1", "127.0.0.2", "10.0.0.1", "example.org", "0.0.0.0")] == [
        True,
        True,
        True,
        False,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file"),
        (b"short\n", "holds 5 characters; a token has at least 16"),
        ("ä".encode() * 20, "of printable ASCII"),
        (b"\xff" * 20, "cannot be read: .*utf-8"),
        (b"0123456789abcdef\n0123456789abcdef", "of printable ASCII"),  # two lines
    ],
)
def test_a_token_file_that_is_none_is_refused(tmp_path, content, message):
    path = tmp_path / "token"
    if content is not None:
        write_secret(path, content)
    with pytest.raises(ConfigError, match=message):
        read_token(path)


def test_a_token_is_the_text_of_its_file(tmp_path):
    path = tmp_path / "token"
    write_secret(path, "  0123456789abcdef\n")
    assert read_token(path) == "0123456789abcdef"
    assert read_token(None) is None


def test_a_certificate_that_is_none_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="tls_ca .*/none cannot be read: No such file"):
        read_pem(tmp_path / "none", setting="tls_ca")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(ConfigError, match="tls_key .*/text is not a PEM file"):
        read_pem(tmp_path / "text", setting="tls_key")


@pytest.mark.parametrize(
    "location", ["run", "", "/runs/../etc", "s3://bucket/a/../../b", "/runs/a\0b", "../x", "/runs/.."]
)
def test_tricks_with_paths_are_refused(location):
    with pytest.raises(RequestError, match="is not a place for a run"):
        check_location(location, None)


@pytest.mark.parametrize(
    ("location", "root", "inside"),
    [
        ("/runs/a", "/runs", True),
        ("/runs", "/runs", False),  # the root is no run
        ("/runs-of-others/a", "/runs", False),
        ("/etc", "/runs", False),
        ("s3://bucket/runs/a", "s3://bucket/runs", True),
        ("s3://key:secret@bucket/runs/a?endpoint_override=x", "s3://bucket/runs/", True),
        ("s3://bucket/runs2/a", "s3://bucket/runs", False),
        ("s3://other/runs/a", "s3://bucket/runs", False),
        ("/runs/a", "s3://bucket/runs", False),
        ("s3://bucket/a", "/runs", False),
    ],
)
def test_a_run_lies_below_the_servers_root(location, root, inside):
    if inside:
        check_location(location, root)
        return
    with pytest.raises(RequestError, match="is not below this server's --root"):
        check_location(location, root)


def test_a_link_does_not_lead_out_of_the_root(tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/link").symlink_to("/etc")
    with pytest.raises(RequestError, match="is not below"):
        check_location(f"{tmp_path}/runs/link", f"{tmp_path}/runs")


def test_connections_beyond_the_limit_are_refused_and_known_ones_are_not_counted_again():
    found = [2]
    limit = ConnectionLimit(2, count_open=lambda: found[0])
    limit.admit("a")
    found[0] = 3
    with pytest.raises(RequestError, match="the server has 3 connections, --max-connections is 2. Raise it"):
        limit.admit("c")
    limit.admit("a")
    found[0] = 2  # one has been closed
    limit.admit("c")


def test_open_connections_of_a_port_are_counted():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert open_connections(port) == 0
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(3)]
        assert open_connections(port) == 3
        for client in clients:
            client.close()
