"""Run the demo's steps that are not done yet, and report what they reached."""

import itertools
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from esmm_dist.text_table import text_table
from launcher.command import CommandContext, Outcome
from launcher.demo.plan import data_page, plan, run_page
from launcher.demo.summary import auc_rows, what_next
from launcher.steps.journal import DoneStep, Journal, lines_of, open_journal
from launcher.steps.run import run_steps, stopped_outcome
from launcher.steps.speed_table import path_bytes, speed_table, speeds
from launcher.steps.step import Step
from launcher.terminal.json_line import json_value

JOURNAL_NAME = "demo.json"


@dataclass(frozen=True, kw_only=True)
class DemoConfig:
    """Show the whole path, from a synthetic raw log to predictions."""

    dir: Path = Path("demo")
    """Folder for everything that the demo writes. An earlier demo in it is continued; a folder that holds anything else
    is refused."""

    impressions: int = 300_000
    """Impressions of the synthetic log. The default takes less than 3 minutes on 2 cores, and is enough to tell a good
    model from a poor one."""

    seed: int = 1
    """Seed of the synthetic log."""


def demo_command(settings: DemoConfig, context: CommandContext) -> Outcome:
    """Run the demo in a folder, or continue it there.

    Raises:
        EsmmError: the folder is not a demo's, or a step's command fails
    """
    journal, steps = _open(settings)
    stopped_at = run_steps(steps, journal, context)
    if stopped_at is not None:
        return stopped_outcome("The demo", stopped_at, journal)
    return _outcome(journal.path.parent, journal.done)


def _open(settings: DemoConfig) -> tuple[Journal, Sequence[Step]]:
    """Return the journal of a demo, which may begin, and its steps.

    A folder with a demo of other settings (or of another version) is left alone: its subfolder ``2``, ``3``, ... is
    used instead.

    Raises:
        ConfigError: the folder holds something else; nothing in it is touched
    """
    for folder in itertools.chain([settings.dir], (settings.dir / str(i) for i in itertools.count(2))):
        steps = plan(folder, impressions=settings.impressions, seed=settings.seed)
        refused = f"{folder} exists and is not the folder of a demo. Give a new folder: esmm demo OTHER_FOLDER"
        journal = open_journal(folder / JOURNAL_NAME, steps, refused=refused)
        if journal.lines == lines_of(steps):
            return journal, steps
    raise AssertionError("the loop over subfolders does not end")


def _outcome(folder: Path, done: Mapping[str, DoneStep]) -> Outcome:
    metrics = done["evaluate"].result
    best: dict[str, float] = done["synth"].result["best_auc"]
    sizes = {
        "synth": path_bytes(folder / "raw"),
        "preprocess": path_bytes(folder / "data"),
        "stats": path_bytes(data_page(folder)),
        "train": path_bytes(folder / "run"),
        "report": path_bytes(run_page(folder)),
        "predict": path_bytes(folder / "predictions.parquet"),
    }
    impressions_per_s = speeds(done)
    lines = [
        "",
        *text_table(["test split", "AUC", "std. error", "best possible", "of the way"], auc_rows(metrics, best)),
        "",
        *speed_table(done, impressions_per_s, sizes),
        "",
        *what_next(folder, _activate_script()),
    ]
    result: dict[str, Any] = {
        "folder": folder,
        "metrics": metrics,
        "best_auc": best,
        "seconds": {name: step.seconds for name, step in done.items()},
        "impressions_per_s": impressions_per_s,
        "bytes": sizes,
    }
    return Outcome(lines=lines, result=json_value(result))


def _activate_script() -> Path | None:
    """Return the script that puts ``esmm`` on the path, as short as it can be typed; None if it is there already."""
    script = Path(sys.executable).parent / "activate"
    if shutil.which("esmm") is not None or not script.is_file():
        return None
    return script.relative_to(Path.cwd()) if script.is_relative_to(Path.cwd()) else script
