"""``esmm servers``: the table, its settings, and watching."""

import io
from datetime import datetime
from pathlib import Path

import pytest

from esmm_dist.errors import ConfigError, RetryError
from esmm_dist.parameter_server.stats import CallStats, ServerStats
from launcher import cli
from launcher.commands.servers import ServerFiguresConfig, server_lines
from launcher.terminal.watch import watch


def calls(number=0, per_s=0.0, p50_ms=0.0, p99_ms=0.0):
    return CallStats(calls=number, rows=0, calls_per_s=per_s, rows_per_s=0.0, p50_ms=p50_ms, p99_ms=p99_ms)


def stats(index, *, run="r", pulls=None, pushes=None, undone=0, lost=0):
    return ServerStats(
        address=f"h:{index}", index=index, count=2, run=run, generation=3, step=1200,
        rows_by_table={"main": 1_000_000, "wide": 234_567}, row_bytes=98_765_432, resident_bytes=226_000_000,
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


class Terminal(io.StringIO):
    def isatty(self):
        return True


def watched(stream, states, *, end=KeyboardInterrupt):
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        if not states:
            raise end

    read = lambda: [f"state {states.pop(0)}"]  # noqa: E731
    watch(read, stream, every_s=2, sleep=sleep, now=lambda: datetime(2024, 1, 1, 12, 30, 5))
    return slept


def test_watching_shows_one_state_below_the_other_until_ctrl_c():
    out = io.StringIO()
    assert watched(out, [1, 2]) == [2, 2]
    head = "12:30:05, every 2 s; Ctrl-C ends"
    assert out.getvalue() == f"{head}\nstate 1\n\n{head}\nstate 2\n\n"


def test_watching_on_a_terminal_redraws_in_place_and_leaves_nothing():
    out = Terminal()
    watched(out, [1, 2])
    assert "state 1" in out.getvalue()
    assert "state 2" in out.getvalue()
    assert out.getvalue().endswith("\x1b[1A\x1b[2K")  # the last lines are erased


def test_watching_ends_with_the_error_of_a_server_that_has_gone():
    def read():
        raise RetryError("server 1/2 is gone.")

    with pytest.raises(RetryError, match="server 1/2 is gone"):
        watch(read, io.StringIO(), every_s=1, sleep=lambda seconds: None)
