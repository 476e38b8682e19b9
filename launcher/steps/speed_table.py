"""How long steps took, how fast they were, and what they left on disk."""

from collections.abc import Mapping
from pathlib import Path

from esmm_dist.text_table import text_table
from esmm_dist.words import short_bytes, short_number
from launcher.steps.journal import DoneStep
from launcher.terminal.progress import duration

TRAIN_NOTE = "train: impressions/s counts the steps alone; the time includes start-up, evaluation and saving"


def speed_table(
    done: Mapping[str, DoneStep], impressions_per_s: Mapping[str, float], sizes: Mapping[str, int]
) -> list[str]:
    """Return the lines of a table: for each step time, impressions a second, bytes on disk.

    Args:
        done: finished steps by name
        impressions_per_s: speeds of steps that have one
        sizes: bytes that steps have left
    """
    rows = [
        [
            name,
            duration(step.seconds),
            short_number(impressions_per_s[name]) if name in impressions_per_s else "",
            short_bytes(sizes[name]) if name in sizes else "",
        ]
        for name, step in done.items()
    ]
    return [*text_table(["step", "time", "impressions/s", "on disk"], rows), TRAIN_NOTE]


def speeds(done: Mapping[str, DoneStep]) -> dict[str, float]:
    """Return the impressions a second of each step; of training, those of its steps without start-up and evaluation.

    Args:
        done: finished steps by name, ``preprocess``, ``train`` and one on the test split, at least
    """
    splits = {name: split["impressions"] for name, split in done["preprocess"].result["splits"].items()}
    everything, test = sum(splits.values()), splits["test"]
    counts = dict.fromkeys(("synth", "preprocess", "stats"), everything) | {"evaluate": test, "predict": test}
    train = done["train"].result
    found = {"train": train["impressions"] / train["seconds"]} if train["seconds"] else {}
    return found | {name: counts[name] / step.seconds for name, step in done.items() if name in counts}


def path_bytes(path: Path) -> int:
    """Return the bytes of a file, or of all files below a folder; 0 if there is none."""
    if path.is_file():
        return path.stat().st_size
    return sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
