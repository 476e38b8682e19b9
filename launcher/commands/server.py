"""``esmm server``: run one parameter server until SIGTERM."""

from typing import Any

from esmm_dist.progress import Progress
from launcher.command import Command, Outcome
from launcher.terminal.json_line import json_value


def _load_settings() -> type:
    from esmm_dist.parameter_server.config import ServerConfig

    return ServerConfig


def _run(settings: Any, progress: Progress) -> Outcome:
    from esmm_dist.parameter_server.process import serve

    result = serve(settings, progress)
    line = f"Server {settings.index}/{settings.count} at {result.address} answered {result.calls:,} pulls and pushes."
    return Outcome(lines=[line], result=json_value(result))


COMMAND = Command(
    name="server",
    summary="Run one parameter server until SIGTERM.",
    example="esmm server --index 0 --count 2 --bind 127.0.0.1:7070",
    load_settings=_load_settings,
    run=_run,
)
