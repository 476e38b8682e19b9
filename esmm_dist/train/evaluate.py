"""Evaluate a run's newest checkpoint on a split."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from esmm_dist.input.batch import GroupedBatch
from esmm_dist.model.metrics.summary import TaskMetrics, evaluate_scores
from esmm_dist.progress import Progress
from esmm_dist.quiet import import_tensorflow


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """Which model is evaluated on what."""

    run: str
    """The run, a path or a URI; its newest checkpoint is used."""

    data: Path
    """The data set: a folder that ``esmm preprocess`` wrote with the run's schema."""

    split: str = "test"
    """Split of the data set to evaluate on."""


def evaluate(config: EvaluateConfig, progress: Progress) -> dict[str, TaskMetrics]:
    """Score a split and compute the metrics of every task.

    Raises:
        EsmmError: The run, the data set or the split is missing, damaged, or does not fit the other.
    """
    import_tensorflow()  # here, so that reading settings and help does not wait for it
    from esmm_dist.serve.load import load_trained_model, open_split, scored_batches

    trained = load_trained_model(config.run, progress)
    reader, impressions = open_split(trained, config.data, config.split)
    progress.start(f"Evaluating {config.split}", impressions, "impressions")
    try:
        return evaluate_batches(scored_batches(trained, reader), trained.scorer.schema.labels, progress)
    finally:
        progress.finish()


def evaluate_batches(
    scored: Iterable[tuple[GroupedBatch, npt.NDArray[np.float32]]],
    labels: tuple[str, ...],
    progress: Progress,
    max_impressions: int = 0,
) -> dict[str, TaskMetrics]:
    """Compute the metrics of batches with their logits; exact, so all scores are held: 4 (K + 1) bytes an impression.

    Args:
        scored: Batches and logits float32 [B, K] of the conditional probabilities.
        labels: Names of the chain.
        progress: Told the impressions.
        max_impressions: Stop after the batch that reaches this number. 0: use all.
    """
    logits = [np.empty((0, len(labels)), dtype=np.float32)]
    truths = [np.empty((0, len(labels)), dtype=np.int8)]
    impressions = 0
    for batch, batch_logits in scored:
        logits.append(batch_logits)
        truths.append(batch.labels.astype(np.int8))
        impressions += batch.num_impressions
        progress.advance(batch.num_impressions)
        if max_impressions and impressions >= max_impressions:
            break
    return evaluate_scores(np.concatenate(truths), np.concatenate(logits), labels, scale="logit")
