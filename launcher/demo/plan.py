"""Which command lines the demo runs."""

import math
from pathlib import Path

from launcher.steps.step import Step

_IMPRESSIONS_A_QUARTER = 1285
"""Impressions of the log for each step between two evaluations. Training passes twice over the three quarters of the
log that are train, with some 483 impressions a step: this is a little more than a quarter of its steps, as it ends with
an evaluation anyway."""


def data_page(folder: Path) -> Path:
    """Return the page of the demo's data."""
    return folder / "data.html"


def run_page(folder: Path) -> Path:
    """Return the page of the demo's run."""
    return folder / "run.html"


def plan(folder: Path, *, impressions: int, seed: int) -> list[Step]:
    """Return the demo's steps, in order.

    Args:
        folder: folder below which everything is written
        impressions: size of the synthetic log, both splits together
        seed: seed of the synthetic log
    """
    raw, data, run, out = folder / "raw", folder / "data", folder / "run", folder / "predictions.parquet"
    size = ["--impressions", str(impressions), "--seed", str(seed)]
    every = ["--eval-every-steps", str(math.ceil(impressions / _IMPRESSIONS_A_QUARTER))]
    return [
        Step(name="synth", args=["synth", str(raw), *size], why="Write a raw log with a known best model."),
        Step(
            name="preprocess",
            args=["preprocess", str(raw), str(data), "--schema", "aliccp", "--min-count", "5"],
            why="Join, filter, group and shuffle it into TFRecord shards.",
        ),
        Step(
            name="stats",
            args=["stats", str(data), "--html", str(data_page(folder))],
            why="Look at it: labels, fields, ids, and how test differs.",
        ),
        Step(
            name="train",
            args=["train", "--data", str(data), "--run", str(run), *every],
            why="Train ESMM. Ctrl-C saves; the same command continues.",
        ),
        Step(
            name="evaluate",
            args=["evaluate", "--run", str(run), "--data", str(data), "--split", "test"],
            why="Measure the model on impressions that it has not seen.",
        ),
        Step(
            name="report",
            args=["report", str(run), "--data", str(data), "--split", "test", "--html", str(run_page(folder))],
            why="Look at its course, its scores and its mistakes.",
        ),
        Step(
            name="predict",
            args=["predict", "--run", str(run), "--data", str(data), "--split", "test", "--out", str(out)],
            why="Write its predictions.",
        ),
    ]
