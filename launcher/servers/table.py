"""The table of servers' figures."""

from collections.abc import Sequence

from esmm_dist.parameter_server.stats import CallStats, ServerStats
from launcher.terminal.progress import duration, short_bytes, short_number
from launcher.terminal.text_table import text_table

HEAD = [
    *("server", "step", "generation", "rows", "bytes", "resident"),
    *("pulls/s", "p50", "p99", "pushes/s", "p50", "p99", "clients", "uptime"),
]


def server_lines(found: Sequence[ServerStats]) -> list[str]:
    """Return a table with a row per server, and a line for each run that they serve."""
    lines = text_table(HEAD, [_row(stats) for stats in found])
    for run in sorted({stats.run for stats in found}):
        holders = [stats for stats in found if stats.run == run]
        names = "all servers" if len(holders) == len(found) else ", ".join(f"{s.index}/{s.count}" for s in holders)
        lines.append(f"run: {run or 'none is open'} ({names}){_cost(holders)}")
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


def _cost(holders: Sequence[ServerStats]) -> str:
    """Return what the run's losses of ranks have cost, the most of any server; nothing if there was none."""
    steps = {name: max(getattr(s, f"{name}_steps") for s in holders) for name in ("undone", "lost", "repeated")}
    return f"; steps {', '.join(f'{name} {number:,}' for name, number in steps.items())}" if any(steps.values()) else ""


def _calls(stats: CallStats) -> list[str]:
    if not stats.calls:
        return ["0", "-", "-"]
    return [short_number(stats.calls_per_s), f"{stats.p50_ms:.2f} ms", f"{stats.p99_ms:.2f} ms"]
