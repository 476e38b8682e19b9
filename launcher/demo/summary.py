"""The table that ends the demo."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from launcher.demo.plan import data_page, run_page


def distance_closed(auc: float, best: float) -> float:
    """Return how far a model has come from the AUC of a coin (0.5) to the best possible, as a share."""
    return (auc - 0.5) / (best - 0.5)


def auc_rows(metrics: Mapping[str, Mapping[str, Any]], best: Mapping[str, float]) -> list[list[str]]:
    """Return one table row for each task that has a best possible AUC.

    Args:
        metrics: for each task, at least ``auc`` and ``auc_standard_error``
        best: for each task, the best AUC that any model can reach
    """
    return [
        [
            task,
            f"{metrics[task]['auc']:.4f}",
            f"± {metrics[task]['auc_standard_error']:.4f}",
            f"{best[task]:.4f}",
            f"{distance_closed(metrics[task]['auc'], best[task]):.0%}",
        ]
        for task in metrics
        if task in best
    ]


def what_next(folder: Path, activate: Path | None) -> Sequence[str]:
    """Return what a reader can try after the demo.

    Args:
        folder: folder of the demo
        activate: script that puts ``esmm`` on the path; None if it is there already
    """
    first = {f". {activate}": "puts esmm on this shell's path"} if activate else {}
    lines = {
        str(data_page(folder)): "pictures of the data: open the file in a browser",
        str(run_page(folder)): "pictures of the run: open it, too",
        **first,
        f"esmm checkpoints {folder / 'run'}": "the checkpoints of the run",
        f"tensorboard --logdir {folder / 'run'}": "losses and AUCs over the steps",
        f"esmm export --run {folder / 'run'} --out {folder / 'models' / '1'}": "a SavedModel for any TensorFlow",
        f"esmm serve {folder / 'models'}": "scores over HTTP",
        "esmm train --print-config > train.yaml": "every setting, with its meaning",
        f"esmm train --data {folder / 'data'} --run {folder / 'run-2'} --config train.yaml": "a run of your own",
        "esmm preprocess YOUR_LOG DATA --schema YOURS.yaml": 'your own log: preprocess/README.md, "Your own log"',
    }
    width = max(map(len, lines))
    return ["What to try next:", *(f"  {line:<{width}}  # {why}" for line, why in lines.items())]
