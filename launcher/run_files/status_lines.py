"""The state of an elastic run as lines for a reader."""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from esmm_dist.escaped import one_line
from esmm_dist.text_table import text_table
from esmm_dist.words import short_bytes, short_number
from launcher.run_files.run_status import STALE_S, RunStatus, ServerStatus, WorkerStatus
from launcher.terminal.progress import duration


def status_lines(status: RunStatus, now: float | None = None, *, remedy: str | None = None) -> list[str]:
    """Return the state as a few lines and, of a run that has not ended, two tables.

    Args:
        status: newest status of the driver
        now: seconds since 1970; None: now
        remedy: what to do about a driver that is lost. None: it is not
    """
    now = time.time() if now is None else now
    lines = [_headline(status, now, remedy), progress_line(status), _checkpoint_line(status, now)]
    if status.evaluation:
        lines.append(evaluation_line(status))
    restarts = ", ".join(f"{count} x {what}" for what, count in sorted(status.restarts.items()))
    lines.append(f"restarts: {restarts or 'none'}")
    lines.append(
        f"steps made again: {status.undone_steps:,} undone, {status.rolled_back_steps:,} from a checkpoint; "
        f"sparse updates: {status.lost_sparse_steps:,} steps lost, {status.repeated_sparse_steps:,} made twice"
    )
    if status.error:
        lines.append(f"error: {status.error}")
    lines = list(map(one_line, lines))
    if status.ended:
        return lines
    for table in (_worker_table(status.workers), _server_table(status.servers)):
        lines += ["", *table] if table else []
    return lines


def _worker_table(workers: Sequence[WorkerStatus]) -> list[str]:
    head = ["worker", "state", "pid", "rank", "step", "doing", "last sign of life", "starts"]
    rows = [
        [
            *(each.name, each.state, _or_dash(each.pid), _or_dash(each.rank)),
            "-" if each.step is None else f"{each.step:,}",
            each.phase or "-",
            "-" if each.beat_age_s is None else f"{each.beat_age_s:.1f} s ago",
            str(each.starts),
        ]
        for each in workers
    ]
    return text_table(head, rows) if rows else []


def _server_table(servers: Sequence[ServerStatus]) -> list[str]:
    head = ["server", "state", "last answer", "step", "rows", "resident", "starts"]
    rows = [
        [
            *(f"{each.index} {each.address}", each.state, f"{each.silent_s:.1f} s ago", f"{each.step:,}"),
            *(f"{each.rows:,}", short_bytes(each.resident_bytes), str(each.starts)),
        ]
        for each in servers
    ]
    return text_table(head, rows) if rows else []


def is_stale(status: RunStatus, now: float | None = None, *, stale_s: float = STALE_S) -> bool:
    """Return whether the run should be going on, and its driver has written nothing for a while."""
    return not status.ended and status.age_s(now) > stale_s


def _headline(status: RunStatus, now: float, remedy: str | None) -> str:
    text = f"{status.run}: {status.state}"
    if remedy is not None:
        text = (
            f"{status.run}: its driver has written nothing for {duration(status.age_s(now))} (it was {status.state}). "
            f"{remedy}"
        )
    elif status.ended:
        return f"{text} after generation {status.generation}"
    else:
        text += f" for {duration(now - status.started_at)}"
    least, most = status.min_workers, status.max_workers
    return (
        f"{text}; {status.ranks} ranks of {status.wanted_workers} wanted ({least} to {most}), "
        f"generation {status.generation}"
    )


def progress_line(status: RunStatus) -> str:
    """Return the steps and the speed of a run."""
    speed = f", {short_number(status.impressions_per_second)} impressions/s" if status.impressions_per_second else ""
    return f"{steps_text(status.step, status.total_steps)}{speed}"


def steps_text(step: int, total_steps: int | None) -> str:
    """Return the number of steps that are done, and of all steps where that is known."""
    if total_steps is None:
        return f"step {step:,}"
    share = f" ({100 * step / total_steps:.0f}%)" if total_steps else ""
    return f"step {step:,} of {total_steps:,}{share}"


def evaluation_line(status: RunStatus) -> str:
    """Return the AUCs of a run's newest evaluation; it must have one."""
    return auc_line(status.evaluation)


def auc_line(found: Mapping[str, Any]) -> str:
    """Return the AUCs of an evaluation: ``step``, ``split``, and in ``auc`` (AUC, standard error) of each task."""
    aucs = ", ".join(f"{task} {_auc(*value)}" for task, value in found["auc"].items())
    return f"AUC on {found['split']} at step {found['step']:,}: {aucs}"


def _auc(auc: float | None, standard_error: float | None) -> str:
    if auc is None:
        return "none (one class only)"
    return f"{auc:.4f}" + ("" if standard_error is None else f" ± {standard_error:.4f}")


def _checkpoint_line(status: RunStatus, now: float) -> str:
    if status.checkpoint_step is None or status.checkpoint_at is None:
        return "last checkpoint: none yet"
    at = datetime.fromtimestamp(status.checkpoint_at, UTC)
    age = duration(max(0.0, now - status.checkpoint_at))
    return f"last checkpoint: step {status.checkpoint_step:,}, {age} ago ({at:%Y-%m-%d %H:%M:%S} UTC)"


def _or_dash(value: object) -> str:
    return "-" if value is None else str(value)
