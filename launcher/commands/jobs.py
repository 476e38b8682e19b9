"""``esmm jobs``: what jobs there are."""

import sys
from collections.abc import Sequence
from typing import Any

from esmm_dist.progress import Progress
from launcher.command import Command, Outcome
from launcher.terminal.json_line import json_value


def _load_settings() -> type:
    from launcher.jobs.config import JobsConfig

    return JobsConfig


def _run(settings: Any, progress: Progress) -> Outcome:
    from pathlib import Path

    from launcher.cluster.api import cluster_is_known, connect
    from launcher.cluster.jobs import cluster_jobs
    from launcher.jobs.list_runs import local_runs
    from launcher.run_files.job import JobRow
    from launcher.terminal.watch import read_and_watch

    asks = cluster_is_known() or settings.namespace is not None or settings.all_namespaces
    api = connect(settings.namespace) if asks else None

    def read() -> list[JobRow]:
        found = cluster_jobs(api, everywhere=settings.all_namespaces) if api is not None else []
        return found + ([] if settings.namespace is not None else local_runs(Path()))

    rows = read_and_watch(read, _lines, sys.stderr, every_s=settings.watch)
    if api is None:
        progress.message(
            "No cluster is known (no KUBECONFIG, no ~/.kube/config): these are the runs in folders below this one."
        )
    return Outcome(lines=_lines(rows), result={"jobs": json_value(rows)})


def _lines(rows: Sequence[Any]) -> list[str]:
    from launcher.terminal.text_table import text_table

    if not rows:
        return ["There are no jobs, and no runs in folders below this one."]
    head = ["job", "namespace", "task", "state", "ranks", "step", "submitted"]
    return text_table(
        head,
        [
            [
                *(each.job, each.where, each.task, each.state, "-" if each.ranks is None else str(each.ranks)),
                "-" if each.step is None else _steps(each.step, each.total_steps),
                each.since or "-",
            ]
            for each in rows
        ],
    )


def _steps(step: int, total_steps: int | None) -> str:
    return f"{step:,}" if total_steps is None else f"{step:,} of {total_steps:,}"


COMMAND = Command(
    name="jobs",
    summary="List the jobs of a namespace, and the runs in folders below this one.",
    example="esmm jobs --all-namespaces",
    load_settings=_load_settings,
    run=_run,
)
