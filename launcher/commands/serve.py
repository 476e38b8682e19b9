"""``esmm serve`` answers requests for scores over HTTP."""

from typing import TYPE_CHECKING

from launcher.command import CommandContext, Outcome
from launcher.terminal.json_line import json_value

if TYPE_CHECKING:
    from esmm_dist.serving.config import ServeConfig


def serve_command(settings: "ServeConfig", context: CommandContext) -> Outcome:
    """Answer requests for scores over HTTP until SIGTERM, with the newest version of a model."""
    from esmm_dist.serving.processes.process import serve

    result = serve(settings, context.progress)
    version = f"version {result.version}" if result.version else "no version"
    line = (
        f"The server at {result.address} stopped on {result.stopped_by}. Versions taken: {result.versions_taken}, "
        f"refused: {result.versions_refused}; it ended with {version}. Workers started again: {result.restarts}."
    )
    return Outcome(lines=[line], result=json_value(result))
