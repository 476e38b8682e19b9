"""``esmm demo``: from a synthetic raw log to predictions, in three minutes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from esmm_dist.progress import Progress
from launcher.command import Command, Outcome


@dataclass(frozen=True, kw_only=True)
class DemoConfig:
    """Show the whole path, from a synthetic raw log to predictions."""

    dir: Path = Path("demo")
    """Folder for everything that the demo writes. A demo that is there is continued; a folder that holds anything else
    is refused."""

    impressions: int = 300_000
    """Of the synthetic log. The default takes less than 3 minutes on 2 cores, and is enough to tell a good model from
    a poor one."""

    seed: int = 1
    """Of the synthetic log."""


def _run(settings: DemoConfig, progress: Progress) -> Outcome:
    from launcher.cli import run_line
    from launcher.demo.run import run_demo

    def run(line: Sequence[str]) -> Outcome:
        return run_line(line)

    return run_demo(settings.dir, impressions=settings.impressions, seed=settings.seed, run_line=run, progress=progress)


COMMAND = Command(
    name="demo",
    summary="Show it all in three minutes: synthetic log, preprocess, train, evaluate, predict.",
    example="esmm demo",
    load_settings=lambda: DemoConfig,
    run=_run,
    positional=("dir",),
)
