"""Run the demo's steps that are not done yet, and say what they reached."""

import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from esmm_dist.progress import Progress
from launcher.command import Outcome
from launcher.demo.journal import DoneStep, Journal, open_journal
from launcher.demo.plan import Step, plan
from launcher.demo.summary import auc_rows, folder_bytes, speed_rows, what_next
from launcher.terminal.json_line import json_value
from launcher.terminal.text_table import text_table

RunLine = Callable[[Sequence[str]], Outcome]
"""Runs one command line within this process: importing TensorFlow five times would take half the demo's time."""


def run_demo(folder: Path, *, impressions: int, seed: int, run_line: RunLine, progress: Progress) -> Outcome:
    """Run the demo in a folder, or continue it there.

    Raises:
        EsmmError: The folder is not a demo's, or a step's command fails.
    """

    def planned(below: Path) -> list[Step]:
        return plan(below, impressions=impressions, seed=seed)

    journal = open_journal(folder, planned)
    folder = journal.path.parent
    journal.write()
    for step in planned(folder):
        progress.message(f"\n$ {step.line}    # {step.why}")
        if step.name in journal.done:
            progress.message(f"  done before; remove {folder} to start over")
            continue
        outcome = _run_step(step, journal, run_line, progress)
        if outcome.result.get("stopped_by"):
            lines = [f"The demo stopped at {step.name}. Run the same command to go on."]
            return Outcome(lines=lines, result={"folder": str(folder), "stopped_at": step.name}, done=False)
    return _outcome(folder, journal.done)


def _run_step(step: Step, journal: Journal, run_line: RunLine, progress: Progress) -> Outcome:
    """Run a step, show its report, and note it as done unless a signal stopped it."""
    started = time.perf_counter()
    outcome = run_line(step.args)
    seconds = time.perf_counter() - started
    for line in outcome.lines:
        progress.message(f"  {line}")
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
        "train: impressions/s of its steps alone; the time includes start-up, evaluation and saving",
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
    """Return the script that puts ``esmm`` on the path, as short as it can be typed; None if it is there."""
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
