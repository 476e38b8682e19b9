"""``esmm servers`` and ``esmm server``: the table, its settings, what they report."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from esmm_dist.errors import ConfigError
from esmm_dist.parameter_server.config import ServerConfig
from esmm_dist.parameter_server.stats import CallStats, ServerStats
from launcher import cli
from launcher.commands.servers import ServerFiguresConfig, server_command, server_lines, servers_command
from tests.unit.launcher.commands.played_context import CONTEXT


def calls(number=0, per_s=0.0, p50_ms=0.0, p99_ms=0.0):
    return CallStats(calls=number, rows=0, calls_per_s=per_s, rows_per_s=0.0, p50_ms=p50_ms, p99_ms=p99_ms)


def stats(index, *, run="r", pulls=None, pushes=None, undone=0, lost=0, candidates=0):
    return ServerStats(
        address=f"h:{index}", index=index, count=2, run=run, generation=3, step=1200,
        rows_by_table={"main": 1_000_000, "wide": 234_567}, row_bytes=98_765_432,
        candidates=candidates, candidate_bytes=100 * candidates, resident_bytes=226_000_000,
        pulls=pulls or calls(), pushes=pushes or calls(), repeated_pushes=0, undone_steps=undone,
        lost_steps=lost, repeated_steps=0, refused_calls=0, connections=4,
        uptime_s=125.0, idle_s=0.0,
    )  # fmt: skip


def test_a_row_holds_each_servers_figures():
    busy = stats(0, pulls=calls(9, 120.4, 1.234, 20.0), pushes=calls(8, 1234.0, 0.5, 3.0))
    lines = server_lines([busy, stats(1)])
    assert lines[0].split() == [
        *("server", "step", "generation", "rows", "bytes", "resident"),
        *("pulls/s", "p50", "p99", "pushes/s", "p50", "p99", "clients", "uptime"),
    ]
    assert " ".join(lines[1].split()) == (
        "0/2 h:0 1,200 3 1,234,567 98.8 MB 226 MB 120 1.23 ms 20.00 ms 1.23 k 0.50 ms 3.00 ms 4 2 min 05 s"
    )
    # No call yet: no latency, not one of zero.
    assert " ".join(lines[2].split()) == "1/2 h:1 1,200 3 1,234,567 98.8 MB 226 MB 0 - - 0 - - 4 2 min 05 s"
    assert lines[3:] == ["run: r (all servers)"]


def test_servers_of_different_runs_are_told_apart():
    assert server_lines([stats(0, run="r"), stats(1, run="")])[3:] == [
        "run: none open (1/2)",
        "run: r (0/2)",
    ]


def test_ids_that_wait_for_a_row_are_shown_with_their_memory_once_there_are_some():
    assert server_lines([stats(0, candidates=12_000), stats(1, candidates=345)])[3:] == [
        "run: r (all servers); 12,345 ids without a row are counted for admit_after (1.23 MB)"
    ]


def test_what_the_losses_of_ranks_have_cost_is_shown_once_there_were_some():
    assert server_lines([stats(0, undone=1), stats(1, lost=2)])[3:] == [
        "run: r (all servers); steps undone 1, lost 2, repeated 0"
    ]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"servers": "embedded"}, "servers is 'embedded'.*Give --servers"),
        ({"servers": "h:1", "watch": 0}, "watch is 0"),
        ({"servers": "h"}, "servers names 'h'"),
        ({"servers": "h:1", "tls_cert": Path("c")}, "tls_cert and tls_key belong together"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        ServerFiguresConfig(**settings)


def test_the_servers_must_be_named(capsys):
    assert cli.main(["servers"]) == 2
    assert "--servers" in capsys.readouterr().err


def test_servers_command_reports_the_figures_once_for_a_reader_and_for_a_program(monkeypatch, capsys):
    monkeypatch.setattr("esmm_dist.parameter_server.read_stats.server_stats", lambda settings: [stats(0), stats(1)])
    outcome = servers_command(ServerFiguresConfig(servers="h:1,h:2"), CONTEXT)
    assert outcome.lines == server_lines([stats(0), stats(1)])
    assert [each["address"] for each in outcome.result["servers"]] == ["h:0", "h:1"]
    assert capsys.readouterr() == ("", "")


def test_server_command_says_what_it_answered_once_it_is_shut_down(monkeypatch):
    result = SimpleNamespace(address="127.0.0.1:7", calls=1234)
    monkeypatch.setattr("esmm_dist.parameter_server.process.serve", lambda settings, progress: result)
    outcome = server_command(ServerConfig(index=0, count=2), CONTEXT)
    assert outcome.lines == ["Server 0/2 at 127.0.0.1:7 answered 1,234 pulls and pushes."]
