"""``esmm local``: parameter servers and workers as processes of this machine."""

from collections.abc import Sequence
from typing import Any

from esmm_dist.progress import Progress
from launcher.command import Command, Outcome


def _load_settings() -> type:
    from launcher.local.config import LocalConfig

    return LocalConfig


def check_line(line: Sequence[str]) -> Any:
    """Resolve the settings of the workers' line here, so that a wrong one is an error once, and at once."""
    from launcher.cli import resolve_line
    from launcher.settings import flags

    resolved = resolve_line(line)
    return flags.finish(resolved.cls, resolved.values)


def _run(settings: Any, progress: Progress) -> Outcome:
    from launcher.local.run import run_local

    return run_local(settings, progress, check=check_line)


COMMAND = Command(
    name="local",
    summary="Train (or evaluate, predict) with several workers and parameter servers on this machine.",
    example="esmm local --workers 2 --servers 2 -- --data data --run run",
    load_settings=_load_settings,
    run=_run,
    rest="command",
)
