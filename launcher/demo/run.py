"""Run the demo's steps that are not done yet, and report what they reached."""

import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from launcher.command import CommandContext, Outcome
from launcher.demo.journal import DoneStep, Journal, open_journal
from launcher.demo.plan import Step, plan
from launcher.demo.summary import auc_rows, folder_bytes, speed_rows, what_next
from launcher.terminal.json_line import json_value
from launcher.terminal.text_table import text_table


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

    Every step is a command line of its own, run within this process: importing TensorFlow five times would take half
    the demo's time.

    Raises:
        EsmmError: the folder is not a demo's, or a step's command fails
    """
    progress = context.progress

    def planned(below: Path) -> list[Step]:
        return plan(below, impressions=settings.impressions, seed=settings.seed)

    journal = open_journal(settings.dir, planned)
    folder = journal.path.parent
    journal.write()
    for step in planned(folder):
        progress.message(f"\n$ {step.line}    # {step.why}")
        if step.name in journal.done:
            progress.message(f"  done already; remove {folder} to start over")
            continue
        outcome = _run_step(step, journal, context)
        if outcome.result.get("stopped_by"):
            lines = [f"The demo stopped at {step.name}. Run the same command again to continue."]
            return Outcome(lines=lines, result={"folder": str(folder), "stopped_at": step.name}, done=False)
    return _outcome(folder, journal.done)


def _run_step(step: Step, journal: Journal, context: CommandContext) -> Outcome:
    """Run a step, show its report, and note it as done unless a signal stopped it."""
    started = time.perf_counter()
    outcome = context.run_line(step.args)
    seconds = time.perf_counter() - started
    for line in outcome.lines:
        context.progress.message(f"  {line}")
    if not outcome.result.get("stopped_by"):
        journal.add(step, DoneStep(seconds=seconds, result=json_value(outcome.result)))
    return outcome


def _outcome(folder: Path, done: Mapping[str, DoneStep]) -> Outcome:
    metrics = done["evaluate"].result
    best: dict[str, float] = done["synth"].result["best_auc"]
    sizes = {
        "synth": folder_bytes(folder / "raw"),
        "preprocess": folder_bytes(folder / "data"),
        "train": folder_bytes(folder / "run"),
        "predict": folder_bytes(folder / "predictions.parquet"),
    }
    speeds = _impressions_per_s(done)
    lines = [
        "",
        *text_table(["test split", "AUC", "std. error", "best possible", "of the way"], auc_rows(metrics, best)),
        "",
        *text_table(["step", "time", "impressions/s", "on disk"], speed_rows(done, speeds, sizes)),
        "train: impressions/s counts the steps alone; the time includes start-up, evaluation and saving",
        "",
        *what_next(folder, _activate_script()),
    ]
    result: dict[str, Any] = {
        "folder": folder,
        "metrics": metrics,
        "best_auc": best,
        "seconds": {name: step.seconds for name, step in done.items()},
        "impressions_per_s": speeds,
        "bytes": sizes,
    }
    return Outcome(lines=lines, result=json_value(result))


def _activate_script() -> Path | None:
    """Return the script that puts ``esmm`` on the path, as short as it can be typed; None if it is there already."""
    script = Path(sys.executable).parent / "activate"
    if shutil.which("esmm") is not None or not script.is_file():
        return None
    return script.relative_to(Path.cwd()) if script.is_relative_to(Path.cwd()) else script


def _impressions_per_s(done: Mapping[str, DoneStep]) -> dict[str, float]:
    """Return the speed of each step; of training, that of its steps without start-up, evaluation and saving."""
    splits = {name: split["impressions"] for name, split in done["preprocess"].result["splits"].items()}
    both, test = sum(splits.values()), splits["test"]
    counts = {"synth": both, "preprocess": both, "evaluate": test, "predict": test}
    train = done["train"].result
    speeds = {"train": train["impressions"] / train["seconds"]} if train["seconds"] else {}
    return speeds | {name: count / done[name].seconds for name, count in counts.items()}
