"""A program that stands for ``esmm train``: it makes the files and the result of a training in a tenth of a second.

Its AUC rises over four evaluations to 1 - (log10(embedding_learning_rate) + 1)² / 10: 0.1 is best. ``PLAY`` says what
else happens: ``crash``, ``crash-often`` (two of three trials), ``nan``, ``wait`` (until SIGTERM, after the first
evaluation), ``wait-later`` (the same with any seed but 1), ``followed`` (each evaluation waits until the study has
taken the one before it, so that none is made that it would not have wanted).
"""

import contextlib
import json
import math
import os
import signal
import sqlite3
import sys
import time
from pathlib import Path

import yaml

ESMM = (sys.executable, "-P", __file__)
NUM_EVALUATIONS = 4
NUM_STEPS = 40

_stopped = False


def _stop(*_: object) -> None:
    global _stopped
    _stopped = True


def _metrics(auc: float) -> dict[str, dict[str, float | None]]:
    found = None if math.isnan(auc) else auc
    return {
        task: {"auc": found, "gauc": found, "log_loss": None if found is None else 1 - auc}
        for task in ("ctr", "cvr", "ctcvr")
    }


def _write(run: Path, evaluations: list[dict[str, object]]) -> None:
    (run / ".metrics").write_text(json.dumps({"newest": evaluations[-1], "evaluations": evaluations}))
    os.replace(run / ".metrics", run / "metrics.json")


def _num_taken(run: Path) -> int:
    """Return how many evaluations of the run's trial the study has taken."""
    study, number = run.parents[2], int(run.parent.name)
    query = "select count(*) from trial_intermediate_values join trials using (trial_id) where number = ?"
    with contextlib.closing(sqlite3.connect(f"file:{study / 'study.db'}?mode=ro", uri=True, timeout=60)) as database:
        return int(database.execute(query, (number,)).fetchone()[0])


def _tell(**event: object) -> None:
    print(f"\x1e{json.dumps(event)}", file=sys.stderr, flush=True)


def _train(flags: dict[str, str], play: str) -> None:
    run = Path(flags["--run"])
    run.mkdir(parents=True, exist_ok=True)
    with (run / "starts").open("a") as starts:
        starts.write("start\n")
    (run / "cores").write_text(json.dumps(sorted(os.sched_getaffinity(0))))
    settings = yaml.safe_load(Path(flags["--config"]).read_text())
    best = 1 - (math.log10(settings["embedding"]["embedding_learning_rate"]) + 1) ** 2 / 10
    best += 0.001 * (int(flags["--seed"]) - 1)
    _tell(event="message", text="Chosen: nothing")
    _tell(event="start", task="Training", total=NUM_STEPS, unit="steps", done=0)
    evaluations: list[dict[str, object]] = []
    auc = math.nan
    waits = play == "wait" or (play == "wait-later" and flags["--seed"] != "1")
    for k in range(1, NUM_EVALUATIONS + 1):
        auc = math.nan if play == "nan" else best * k / NUM_EVALUATIONS
        step = k * NUM_STEPS // NUM_EVALUATIONS
        evaluations.append({"step": step, "whole_split": True, "metrics": _metrics(auc)})
        _write(run, evaluations)
        _tell(event="advance", amount=NUM_STEPS / NUM_EVALUATIONS, note="")
        _tell(event="start", task="Evaluating", total=600, unit="impressions", done=0)
        _tell(event="advance", amount=600, note="")
        until = time.monotonic() + float(os.environ.get("PLAY_SECONDS", "0.02"))
        while not _stopped and (time.monotonic() < until or waits or (play == "followed" and _num_taken(run) < k)):
            time.sleep(0.05 if play == "followed" else 0.005)
        _tell(event="start", task="Training", total=NUM_STEPS, unit="steps", done=step)
        if _stopped and k < NUM_EVALUATIONS:
            print(json.dumps({"stopped_by": "SIGTERM", "metrics": {}}))
            return
    print(json.dumps({"stopped_by": None, "metrics": _metrics(auc)}))


def main() -> None:
    signal.signal(signal.SIGTERM, _stop)
    words = sys.argv[2:]
    flags = dict(zip(words[:-1:2], words[1::2], strict=False))
    play = os.environ.get("PLAY", "")
    number = int(Path(flags["--run"]).parent.name)
    if play == "crash" or (play == "crash-often" and number % 3):
        sys.exit("esmm: The loss is not finite at step 3.")
    _train(flags, play)


if __name__ == "__main__":
    main()
