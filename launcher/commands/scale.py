"""``esmm scale``: change the number of workers of an elastic run."""

from typing import Any

from esmm_dist.progress import Progress
from launcher.command import Command, Outcome
from launcher.json_line import json_value


def _load_settings() -> type:
    from launcher.elastic.status_config import ScaleConfig

    return ScaleConfig


def _run(settings: Any, progress: Progress) -> Outcome:
    from launcher.elastic.scale import scale

    result = scale(settings, progress)
    if settings.wait_s == 0:
        lines = [f"Asked for {settings.workers} workers (there were {result.before})."]
    else:
        lines = [f"{result.workers} workers train (before: {result.before}), after {result.seconds:.1f} s."]
    return Outcome(lines=lines, result=json_value(result))


COMMAND = Command(
    name="scale",
    summary="Change the number of workers of an elastic run while it trains.",
    example="esmm scale run --workers 3",
    load_settings=_load_settings,
    run=_run,
    positional=("run",),
)
