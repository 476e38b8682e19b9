"""Settings of servers and of those who use them, and what a token, an address and a place for a run may be."""

import re
import socket
from pathlib import Path

import pytest

from esmm_dist.errors import ConfigError
from esmm_dist.parameter_server.config import ClientConfig, ConnectionConfig, ServerConfig, is_loopback, split_address
from esmm_dist.parameter_server.refusals import RequestError
from esmm_dist.parameter_server.security import ConnectionLimit, open_peers, peer_address, read_pem, run_place
from esmm_dist.storage.secret_file import read_token
from tests.support.secret_files import write_secret


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
        ({"servers": "a:0"}, "servers names a:0, but nothing can be reached at port 0"),
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
    "location", ["run", "file:///runs/%2e%2e/etc", "/runs/../etc", "/runs/a\0b", "../x", "/runs/..", "s3:bucket/a"]
)
def test_tricks_with_paths_are_refused(location):
    with pytest.raises(RequestError, match="is not a place for a run"):
        run_place(location, None)


@pytest.mark.parametrize(
    ("location", "trouble"),
    [
        ("s3://bucket/a/../../b", "a part of its path is empty, '.' or '..'"),
        ("s3://bucket/runs/%2e%2e/x", "a part of its path is empty, '.' or '..'"),
        ("s3://bucket/runs/.%2E/x", "a part of its path is empty, '.' or '..'"),
        ("s3://bucket/runs%2f..%2fx", "a part of its path is empty, '.' or '..'"),
        ("s3://bucket/runs//x", "a part of its path is empty"),
        ("s3://bucket/runs/./x", "a part of its path is empty"),
        ("s3://bucket/runs/x#?region=a", "it holds '#'"),
        ("s3://bucket/runs\\x", "it holds a backslash"),
        ("s3://bucket/runs/%0a", "it holds characters that do not print"),
        ("s3://bucket/runs/%00", "it holds characters that do not print"),
        ("s3://bucket/runs/x\ny", "it holds a backslash or characters that do not print"),
        ("s3://bucket/runs/%zz", "'%' without two hexadecimal digits"),
        ("s3://bucket/runs/%ff", "its escapes are not UTF-8"),
        ("s3://buck%65t/runs/x", "what precedes the path is neither a bucket nor a host"),
        ("s3://a@b@bucket/runs/x", "'@' twice before the path"),
        ("s3://bucket:9000/runs/x", "a bucket has no port"),
        ("s3://bucket/runs/x?region=a&region=b", "a parameter is there twice"),
        ("s3://bucket/runs/x?region=a&%72egion=b", "a parameter is there twice"),
        ("s3://bucket/runs/x?a&b", "a parameter is not of the form NAME=VALUE"),
        ("file://host/runs/x", "file:// has no host, but 'host' follows it"),
        ("s3:/bucket/x", "Write two slashes"),
    ],
)
def test_a_uri_that_could_mean_several_places_is_refused_with_and_without_a_root(location, trouble):
    for root in (None, "s3://bucket/runs", "s3://bucket/runs?region=a"):
        with pytest.raises(RequestError, match=re.escape(trouble)):
            run_place(location, root)


RUNS = "s3://bucket/runs?region=eu-west-1"


@pytest.mark.parametrize(
    ("location", "root", "found"),
    [
        ("/runs/a", "/runs", "/runs/a"),
        ("file:///runs/a%20b", "/runs", "/runs/a b"),
        ("/runs", "/runs", None),  # the root is no run
        ("/runs-of-others/a", "/runs", None),
        ("/etc", "/runs", None),
        ("s3://bucket/runs/a", "s3://bucket/runs", "s3://bucket/runs/a"),
        ("s3://bucket/%72uns/a%20b", "s3://bucket/runs/", "s3://bucket/runs/a%20b"),
        ("S3://key:secret@bucket/runs/a", "s3://bucket/runs/", "s3://key:secret@bucket/runs/a"),
        ("s3://bucket/runs/a?region=eu-west-1", RUNS, "s3://bucket/runs/a?region=eu-west-1"),
        ("s3://bucket/a", "s3://bucket", "s3://bucket/a"),
        ("s3://bucket/runs", "s3://bucket/runs", None),
        ("s3://bucket/runs2/a", "s3://bucket/runs", None),
        ("s3://other/runs/a", "s3://bucket/runs", None),
        ("gs://bucket/runs/a", "s3://bucket/runs", None),
        ("abfs://other@account/runs/a", "abfs://container@account/runs", None),  # the container is no user
        ("/runs/a", "s3://bucket/runs", None),
        ("s3://bucket/a", "/runs", None),
        ("s3://bucket/runs/a", RUNS, "parameters"),
        ("s3://bucket/runs/a?endpoint_override=evil", "s3://bucket/runs", "parameters"),
        ("s3://bucket/runs/a?endpoint_overrid%65=evil", "s3://bucket/runs", "parameters"),
        ("s3://bucket/runs/a?region=eu-west-1&endpoint_override=evil", RUNS, "parameters"),
        ("s3://bucket/runs/a?region=eu-west-1&scheme=http", RUNS, "parameters"),
        ("s3://bucket/runs/a?endpoint_override=b", "s3://bucket/runs?endpoint_override=a", "parameters"),
        ("s3://key:secret@bucket/runs/a?endpoint_override=x", "s3://bucket/runs/", "parameters"),
    ],
)
def test_a_run_lies_below_the_servers_root_and_is_reached_as_the_root_is(location, root, found):
    if found is not None and found != "parameters":
        assert run_place(location, root).text == found
        return
    message = "but its parameters .* are not those of the root" if found else "is not below this server's --root"
    with pytest.raises(RequestError, match=message) as caught:
        run_place(location, root)
    assert "secret" not in str(caught.value)


def test_a_link_does_not_lead_out_of_the_root(tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/link").symlink_to("/etc")
    with pytest.raises(RequestError, match="is not below"):
        run_place(f"{tmp_path}/runs/link", f"{tmp_path}/runs")


def test_connections_beyond_the_limit_are_refused_and_those_that_do_not_call_take_no_place():
    strangers = {f"127.0.0.1:{port}" for port in range(100)}
    found = {*strangers, "127.0.0.1:1001", "127.0.0.1:1002", "127.0.0.1:1003"}
    limit = ConnectionLimit(2, open_peers=lambda: found)
    limit.admit("ipv4:127.0.0.1:1001")
    limit.admit("ipv4:127.0.0.1:1002")
    with pytest.raises(RequestError, match="the server has 3 connections, --max-connections is 2. Raise it"):
        limit.admit("ipv4:127.0.0.1:1003")
    limit.admit("ipv4:127.0.0.1:1001")
    found.discard("127.0.0.1:1002")  # it has been closed
    limit.admit("ipv4:127.0.0.1:1003")


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:10.1.2.3:40", "10.1.2.3:40"),
        ("ipv6:%5B::1%5D:40", "::1:40"),
        ("ipv6:[::ffff:10.1.2.3]:40", "10.1.2.3:40"),
        ("ipv6:[fe80::1%25eth0]:40", "fe80::1:40"),
    ],
)
def test_an_address_has_one_form_whoever_writes_it(peer, address):
    assert peer_address(peer) == address


def peers_of(host: str, family: int) -> None:
    with socket.socket(family) as server:
        server.bind((host, 0))
        server.listen()
        port = server.getsockname()[1]
        assert open_peers(port) == set()
        clients = [socket.create_connection((host, port)) for _ in range(3)]
        assert open_peers(port) == {f"{host}:{client.getsockname()[1]}" for client in clients}
        for client in clients:
            client.close()


def test_open_connections_of_a_port_are_found_by_their_other_end():
    peers_of("127.0.0.1", socket.AF_INET)
    if Path("/proc/net/if_inet6").exists() and Path("/proc/net/if_inet6").read_text():
        peers_of("::1", socket.AF_INET6)
