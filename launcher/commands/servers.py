"""``esmm server`` runs a parameter server; ``esmm servers`` shows the figures of running ones."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from esmm_dist.errors import ConfigError
from esmm_dist.parameter_server.config import ConnectionConfig, ServerConfig
from esmm_dist.parameter_server.stats import CallStats, ServerStats
from esmm_dist.text_table import text_table
from esmm_dist.words import short_bytes, short_number
from launcher.command import CommandContext, Outcome
from launcher.terminal.json_line import json_value
from launcher.terminal.progress import duration
from launcher.terminal.watch import read_and_watch

HEAD = [
    *("server", "step", "generation", "rows", "bytes", "resident"),
    *("pulls/s", "p50", "p99", "pushes/s", "p50", "p99", "clients", "uptime"),
]


def server_command(settings: ServerConfig, context: CommandContext) -> Outcome:
    """Run one parameter server until SIGTERM."""
    from esmm_dist.parameter_server.process import serve

    result = serve(settings, context.progress)
    line = f"Server {settings.index}/{settings.count} at {result.address} answered {result.calls:,} pulls and pushes."
    return Outcome(lines=[line], result=json_value(result))


@dataclass(frozen=True, kw_only=True)
class ServerFiguresConfig(ConnectionConfig):
    """Show the figures of parameter servers."""

    servers: str = field()  # takes the default away: there is nothing to ask when rows are embedded
    """Parameter servers, HOST:PORT,HOST:PORT,..., in the order of their index."""

    server_timeout_s: float = 10.0
    """Seconds to wait for the answer of a server."""

    watch: float | None = None
    """Seconds between refreshes, until Ctrl-C. None: show the figures once."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.embedded:
            raise ConfigError(
                "servers is 'embedded', which means that there is no server. Give --servers HOST:PORT,HOST:PORT."
            )
        if self.watch is not None and not 0 < self.watch < float("inf"):
            raise ConfigError(f"watch is {self.watch}. Set a number of seconds above 0.")


def servers_command(settings: ServerFiguresConfig, context: CommandContext) -> Outcome:
    """Show each server's figures, once or again and again."""
    from esmm_dist.parameter_server.read_stats import server_stats

    found = read_and_watch(lambda: server_stats(settings), server_lines, sys.stderr, every_s=settings.watch)
    return Outcome(lines=server_lines(found), result={"servers": json_value(found)})


def server_lines(found: Sequence[ServerStats]) -> list[str]:
    """Return a table with a row per server, and a line for each run that they serve."""
    lines = text_table(HEAD, [_row(stats) for stats in found])
    for run in sorted({stats.run for stats in found}):
        holders = [stats for stats in found if stats.run == run]
        names = "all servers" if len(holders) == len(found) else ", ".join(f"{s.index}/{s.count}" for s in holders)
        lines.append(f"run: {run or 'none open'} ({names}){_candidates(holders)}{_cost(holders)}")
    return lines


def _row(stats: ServerStats) -> list[str]:
    return [
        f"{stats.index}/{stats.count} {stats.address}",
        f"{stats.step:,}",
        str(stats.generation),
        f"{stats.rows:,}",
        short_bytes(stats.row_bytes),
        short_bytes(stats.resident_bytes),
        *_calls(stats.pulls),
        *_calls(stats.pushes),
        str(stats.connections),
        duration(stats.uptime_s),
    ]


def _candidates(holders: Sequence[ServerStats]) -> str:
    """Return how many ids wait for their row, and what they take; empty if none do."""
    ids, memory = sum(s.candidates for s in holders), sum(s.candidate_bytes for s in holders)
    return f"; {ids:,} ids without a row are counted for admit_after ({short_bytes(memory)})" if ids else ""


def _cost(holders: Sequence[ServerStats]) -> str:
    """Return what lost ranks have cost the run in steps, the most of any server; empty if nothing."""
    steps = {name: max(getattr(s, f"{name}_steps") for s in holders) for name in ("undone", "lost", "repeated")}
    return f"; steps {', '.join(f'{name} {number:,}' for name, number in steps.items())}" if any(steps.values()) else ""


def _calls(stats: CallStats) -> list[str]:
    if not stats.calls:
        return ["0", "-", "-"]
    return [short_number(stats.calls_per_s), f"{stats.p50_ms:.2f} ms", f"{stats.p99_ms:.2f} ms"]
