"""``esmm servers`` asks real servers."""

import json
import subprocess

from launcher import cli
from tests.support.server_processes import ESMM


def test_every_server_has_its_row(two_servers, capsys):
    assert cli.main(["servers", "--servers", two_servers.servers]) == 0
    lines = capsys.readouterr().out.splitlines()
    for index, address in enumerate(two_servers.addresses):
        assert lines[1 + index].startswith(f"{index}/2 {address} ")


def test_json_holds_all_figures(two_servers, capsys):
    assert cli.main(["servers", "--servers", two_servers.servers, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["servers"]
    assert [stats["address"] for stats in found] == two_servers.addresses
    assert {"step", "generation", "rows_by_table", "row_bytes", "pulls", "pushes", "uptime_s"} <= found[0].keys()


def test_a_server_that_is_gone_is_named_and_nothing_else_is_written(one_server):
    line = [str(ESMM), "servers", "--servers", f"{one_server.servers},127.0.0.1:1", "--server-timeout-s", "0.5"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    # One line: neither TensorFlow's start-up lines nor gRPC's.
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("esmm: server ")
