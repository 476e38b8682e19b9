"""``esmm servers``: the figures of running parameter servers."""

import sys
from typing import Any

from esmm_dist.progress import Progress
from launcher.command import Command, Outcome
from launcher.terminal.json_line import json_value


def _load_settings() -> type:
    from launcher.servers.config import ServersConfig

    return ServersConfig


def _run(settings: Any, progress: Progress) -> Outcome:
    from esmm_dist.parameter_server.client import server_stats
    from launcher.servers.table import server_lines
    from launcher.terminal.watch import read_and_watch

    found = read_and_watch(lambda: server_stats(settings), server_lines, sys.stderr, every_s=settings.watch)
    return Outcome(lines=server_lines(found), result={"servers": json_value(found)})


COMMAND = Command(
    name="servers",
    summary="Show each parameter server's rows, speed, latency and state.",
    example="esmm servers --servers 127.0.0.1:7070,127.0.0.1:7071 --watch 2",
    load_settings=_load_settings,
    run=_run,
)
