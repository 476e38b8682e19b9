"""Whether the truth is that of the very log that a data set was made from, by samples and labels."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from esmm_dist.arrays import I64
from esmm_dist.errors import ConfigError
from esmm_dist.input.config import InputConfig
from esmm_dist.input.pipeline import BatchReader
from esmm_dist.progress import Progress
from esmm_dist.schema.manifest import DatasetManifest
from esmm_dist.storage.arrow_path import arrow_path
from launcher.compare.truth import PlantedTruth, rows_of_samples

_GIVE = "Give the folder of the raw log that the data set was made from."


def check_truth(truth: PlantedTruth, data: Path, manifest: DatasetManifest, split: str, progress: Progress) -> None:
    """Compare a truth's samples and labels with those of the split that is measured.

    A log of another seed has other clicks; one of another selection bias has the same clicks and other conversions.
    The truth has labels without the log's anomalies, and so have data sets: a label counts where those before it do.

    Args:
        truth: truth of the split
        data: folder of the data set
        manifest: its manifest
        split: split of the data set
        progress: receives the impressions that are read

    Raises:
        ConfigError: an impression of the split has no truth, or other labels there
        InputDataError: the split cannot be read
    """
    samples, labels = _samples_and_labels(data, manifest, split, progress)
    columns = pq.read_schema(arrow_path(truth.path)).names
    names = [name for name in truth.labels.names if name in columns]
    table = pq.read_table(arrow_path(truth.path), columns=["sample_id", *names])
    rows, missing = rows_of_samples(table["sample_id"].to_numpy(), samples)
    other = f"truth is {truth.path.parent}, which is of another log than {data}"
    if missing.any():
        raise ConfigError(
            f"{other}: {truth.path.name} has no row for {missing.sum():,} of the {samples.size:,} impressions of "
            f"{split}, such as sample {samples[missing][0]}. {_GIVE}"
        )
    for name in names:
        here = labels[:, truth.labels.names.index(name)]
        there = table[name].to_numpy()[rows]
        differing = here != there
        if differing.any():
            first = int(np.flatnonzero(differing)[0])
            raise ConfigError(
                f"{other}: {differing.sum():,} of the {samples.size:,} impressions of {split} have another {name} in "
                f"{truth.path.name}, such as sample {samples[first]}, which has {there[first]} there and {here[first]} "
                f"in the data set. {_GIVE}"
            )


def _samples_and_labels(data: Path, manifest: DatasetManifest, split: str, progress: Progress) -> tuple[I64, I64]:
    """Return the sample ids of a split, int64 [N], and its labels, those that count, int64 [N, K]."""
    reader = BatchReader(data, manifest, split, InputConfig(shuffle=False))
    progress.start("Checking the truth", manifest.splits[split].impressions, "impressions")
    samples, labels = [np.empty(0, np.int64)], [np.empty((0, len(manifest.schema.labels)), np.int64)]
    for batch in reader.epoch(0, seed=None):
        samples.append(batch.sample_ids)
        labels.append(batch.labels)
        progress.advance(batch.num_impressions)
    progress.finish()
    every = np.concatenate(labels)
    return np.concatenate(samples), manifest.schema.label_tree.reached(every).astype(np.int64)
