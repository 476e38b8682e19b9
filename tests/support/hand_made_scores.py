"""Scores of runs from plain arrays, as ``score_run`` makes them, without a model."""

from dataclasses import asdict
from fractions import Fraction
from typing import Any

import numpy as np

from esmm_dist.arrays import Array
from esmm_dist.model.metrics.label_tree_metrics import LabelTreeMetrics
from esmm_dist.report.run_scores.curves import ScoreCurves
from esmm_dist.report.run_scores.kept_scores import KeptScores
from esmm_dist.report.run_scores.scores import RunScores, TaskScores
from esmm_dist.schema.label_tree import LabelTree


def planted(size: int = 4000, *, seed: int = 1, noise: float = 1.0, labels: int = 2) -> tuple[Array, Array, Array]:
    """Return labels bool [N, K], logits float64 [N, K] of a model with some noise, and users int64 [N].

    Labels depend on the seed and the size alone, so that models of other noise score the same impressions.
    """
    random = np.random.default_rng(seed)
    users = random.integers(0, max(size // 20, 1), size)
    truth = random.normal(-1.5, 1.0, (size, labels)) + random.normal(0, 0.5, max(size // 20, 1))[users, None]
    drawn = random.random((size, labels)) < 1 / (1 + np.exp(-truth))
    found = np.logical_and.accumulate(drawn, axis=1)
    return found, truth + np.random.default_rng(int(1000 * noise)).normal(0, noise, truth.shape), users


def hand_made(
    labels: Array, logits: Array, users: Array, *, run: str = "runs/hand", names: tuple[str, ...] = (), **more: Any
) -> RunScores:
    """Return the scores of a run, with a segment table of three parts by user."""
    names = names or ("click", "conversion", "third", "fourth")[: labels.shape[1]]
    tree = LabelTree.of(names)
    curves: dict[str, ScoreCurves] = {}

    def curves_of(task: str, weight: Fraction) -> ScoreCurves:
        curves[task] = ScoreCurves(weight)
        return curves[task]

    keys = users % 3
    with LabelTreeMetrics(tree, scale="logit", segments=(2,)) as metrics:
        metrics.add(labels, logits, users, keys=(keys,))
        reports = metrics.report(curves=curves_of)
    segments = []
    first = next(iter(reports.values())).segments[0]
    for segment in first:
        of_segment = {
            task: asdict(each)
            for task, report in reports.items()
            for each in report.segments[0]
            if (each.kind, each.key) == (segment.kind, segment.key)
        }
        segments.append({"name": f"part {segment.key}", "id": segment.key, "note": "", "tasks": of_segment})
    tasks = {
        task.name: TaskScores(
            metrics=asdict(reports[task.name].metrics),
            deciles=[asdict(each) for each in reports[task.name].deciles],
            histogram=curves[task.name].histogram(),
            gain=curves[task.name].gain(),
            column=task.column,
            label=names[task.label],
            given="" if task.given is None else names[task.given],
        )
        for task in tree.tasks
    }
    settings: dict[str, Any] = {
        "run": run,
        "step": 100,
        "data": "data",
        "split": "test",
        "impressions": len(labels),
        "tasks": tasks,
        "segments": [{"name": "part", "by_values": True, "title": "part", "segments": segments}],
        "calibrated_by": None,
    }
    return RunScores(**{**settings, **more})


def kept(labels: Array, logits: Array, users: Array, *, name: str = "a", **more: Any) -> KeptScores:
    """Return the scores of each impression, with sample ids 0, 1, ..."""
    settings: dict[str, Any] = {
        "name": name,
        "tree": LabelTree.of(("click", "conversion", "third", "fourth")[: labels.shape[1]]),
        "share": 1.0,
        "impressions_of_split": len(labels),
        "sample_ids": np.arange(len(labels)),
        "users": users,
        "labels": labels,
        "logits": logits,
        "weights": None,
    }
    return KeptScores(**{**settings, **more})
