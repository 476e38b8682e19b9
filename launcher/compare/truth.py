"""The true probabilities of a planted log, and how good predictions are by them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from esmm_dist.arrays import F64, I64, Bools
from esmm_dist.errors import ConfigError, InputDataError
from esmm_dist.model.metrics.against_truth import expected_auc, truth_figures
from esmm_dist.schema.checksum import file_crc32c
from esmm_dist.schema.label_tree import LabelTask, LabelTree
from esmm_dist.schema.manifest import DatasetManifest
from esmm_dist.storage.arrow_path import arrow_path

PARTS = ("all", "reached", "rest")
"""All impressions; those with the label before (clicked); those without."""


@dataclass(frozen=True, kw_only=True)
class PlantedTruth:
    """The true conditional probabilities of the impressions of a split, as ``esmm synth`` wrote them."""

    path: Path
    crc32c: int
    labels: LabelTree

    @classmethod
    def find(cls, raw: Path, split: str, manifest: DatasetManifest) -> "PlantedTruth":
        """Find the truth of a split in the folder of a raw log.

        Raises:
            ConfigError: the folder holds no truth, or none of these labels
            InputDataError: it cannot be read
        """
        path = raw / f"truth_{'test' if split == 'test' else 'train'}.parquet"  # a validation split is cut out of train
        if not path.is_file():
            raise ConfigError(
                f"truth is {raw}, which has no {path.name}. Give the folder that esmm synth wrote, of the log that the "
                "data set was made from."
            )
        if manifest.schema.has_text_sample_ids:
            raise ConfigError("truth is set, but the data set's sample ids are texts, which no log of esmm synth has.")
        labels = manifest.schema.label_tree
        try:
            columns = pq.read_schema(arrow_path(path)).names
        except (pa.ArrowException, OSError) as e:
            raise InputDataError(f"{path} cannot be read ({e}). Write the log anew with esmm synth.") from e
        missing = [name for name in ("sample_id", *_needed(labels)) if name not in columns]
        if missing:
            raise ConfigError(
                f"{path} has no column {missing[0]}, so it is the truth of other labels than {', '.join(labels.names)}."
            )
        return cls(path=path, crc32c=file_crc32c(path), labels=labels)

    def figures(self, predictions: Path) -> dict[str, dict[str, Any]]:
        """Measure predictions of a split.

        Args:
            predictions: file that ``esmm predict`` wrote

        Returns:
            For each conditional task, for each of ``PARTS``, and for each product, for all impressions: the figures of
            ``TruthFigures``, ``best_auc`` (the expected AUC of the truth itself) and the ``mean`` of the truth.

        Raises:
            InputDataError: an impression has no truth
        """
        found = pq.read_table(arrow_path(predictions))
        truth = self._rows_of(found["sample_id"].to_numpy())
        products = self.labels.products([truth[name] for name in _conditional_columns(self.labels)])
        figures = {}
        for task in measured_tasks(self.labels):
            if task.given is None:
                parts = {"all": np.ones(len(found), np.bool_)}
                of_task = products[task.label]
            else:
                parts = _parts(truth[self.labels.names[task.given]])
                of_task = truth[task.column]
            predicted = found[task.column].to_numpy()
            figures[task.name] = {part: _figures(predicted, of_task, chosen) for part, chosen in parts.items()}
        return figures

    def _rows_of(self, sample_ids: npt.NDArray[np.int64]) -> Mapping[str, npt.NDArray[Any]]:
        table = pq.read_table(arrow_path(self.path), columns=["sample_id", *_needed(self.labels)])
        rows, missing = rows_of_samples(table["sample_id"].to_numpy(), sample_ids)
        if missing.any():
            raise InputDataError(
                f"{self.path} has no row for sample {sample_ids[missing][0]} ({missing.sum()} of {sample_ids.size} "
                "impressions). Give the raw log that the data set was made from."
            )
        return {name: table[name].to_numpy()[rows] for name in _needed(self.labels)}


def rows_of_samples(known: npt.NDArray[np.int64], sample_ids: npt.NDArray[np.int64]) -> tuple[I64, Bools]:
    """Return the row of each sample, int64 [N], and whether it has none, bool [N] (its row is any one then)."""
    if not known.size:
        return np.zeros(sample_ids.shape, np.int64), np.ones(sample_ids.shape, np.bool_)
    order = np.argsort(known, kind="stable")
    rows = order[np.minimum(np.searchsorted(known[order], sample_ids), known.size - 1)]
    missing: Bools = known[rows] != sample_ids
    return rows, missing


def measured_tasks(labels: LabelTree) -> list[LabelTask]:
    """Return the tasks that are measured by the truth: of each label but the first, given the one before and alone."""
    return [task for task in labels.tasks if task.label > 0]


def _conditional_columns(labels: LabelTree) -> list[str]:
    return [task.column for task in labels.tasks if task.given is not None or task.label == 0]


def _needed(labels: LabelTree) -> list[str]:
    return [
        *_conditional_columns(labels),
        *dict.fromkeys(labels.names[place] for place in labels.parents if place >= 0),
    ]


def _parts(label: npt.NDArray[Any]) -> dict[str, Bools]:
    reached: Bools = label == 1
    return dict(zip(PARTS, (np.ones(reached.shape, np.bool_), reached, ~reached), strict=True))


def _figures(predicted: npt.NDArray[Any], true: F64, chosen: Bools) -> dict[str, Any]:
    best = expected_auc(true[chosen], true[chosen])
    return {**asdict(truth_figures(predicted[chosen], true[chosen])), "best_auc": best, "mean": _mean(true[chosen])}


def _mean(values: F64) -> float:
    return float(values.mean()) if values.size else float("nan")
