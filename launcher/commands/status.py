"""``esmm status``: the state of an elastic run."""

import sys
from typing import Any

from esmm_dist.progress import Progress
from launcher.command import Command, Outcome
from launcher.json_line import json_value


def _load_settings() -> type:
    from launcher.elastic.status_config import StatusConfig

    return StatusConfig


def _run(settings: Any, progress: Progress) -> Outcome:
    from esmm_dist.storage import Folder
    from launcher.elastic.run_status import read_status
    from launcher.elastic.status_lines import is_stale, status_lines
    from launcher.watch import read_and_watch

    run = Folder.open(settings.run)
    status = read_and_watch(lambda: read_status(run), status_lines, sys.stderr, every_s=settings.watch)
    return Outcome(lines=status_lines(status), result=json_value(status) | {"stale": is_stale(status)})


COMMAND = Command(
    name="status",
    summary="Show the ranks, servers, speed, checkpoints and restarts of an elastic run.",
    example="esmm status run --watch 2",
    load_settings=_load_settings,
    run=_run,
    positional=("run",),
)
