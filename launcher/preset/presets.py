"""The presets by name, and the command lines that each is made of."""

from collections.abc import Sequence
from pathlib import Path

from launcher.steps.step import Step

PRESETS = {
    "aliccp-large": "Our own choice for the full Ali-CCP data: all 23 fields, and what the size of the log decides.",
    "deepmtl": "The DeepMTL implementation of ESMM: 19 fields, towers 256-128 with dropout, Adam, 1,024 impressions.",
    "guidebook": "The ESMM of a widely read guide: 12 fields, of which its shared network 128-16 sees six, Adam.",
}
"""What each is, in a line. The reasons for each setting stand in its two files (``--config NAME``)."""


FEWEST_STEPS = {"deepmtl": 2000, "guidebook": 210}
"""Steps below which the settings of a preset are no choice: a twentieth of its steps on Ali-CCP. What ``aliccp-large``
leaves open, the size of the log decides."""

HELPFUL_PASSES = {"deepmtl": 10}
"""Passes that help on a small log. On a synthetic one of 203,000 train impressions deepmtl came from a CTR AUC of 0.54
in one pass (211 steps) to 0.68 in ten; guidebook fell from 0.68 to 0.65."""


def plan(name: str, raw: str, folder: Path, train: Sequence[str] = ()) -> list[Step]:
    """Return the steps of a preset, in order.

    Args:
        name: one of ``PRESETS``
        raw: folder or URI of the raw log
        folder: folder below which everything is written
        train: further flags of ``esmm train``
    """
    data, run = str(folder / "data"), str(folder / "run")
    return [
        Step(
            name="preprocess",
            args=["preprocess", raw, data, "--config", name],
            why="Turn the raw log into a data set. Killed, it continues.",
        ),
        Step(
            name="train",
            args=["train", "--config", name, "--data", data, "--run", run, *train],
            why="Train ESMM. Ctrl-C saves; the same command continues.",
        ),
        Step(
            name="evaluate",
            args=["evaluate", "--run", run, "--data", data, "--split", "test"],
            why="Measure the model on impressions that it has not seen.",
        ),
    ]
