"""What a run says of the data sets that it has learned from."""

from typing import Any

from esmm_dist.storage.folder import Folder
from esmm_dist.train.run_folder import read_data_sets
from launcher.pipeline.keys import metrics_of


def has_learned(run: str, data_set: str) -> bool:
    """Return whether a run has begun to learn from a data set.

    Args:
        run: path or URI of the run, which may not exist
        data_set: identity of the data set
    """
    return any(each.id == data_set for each in read_data_sets(Folder.open(run)))


def progressive_metrics(run: str, data_set: str) -> dict[str, Any]:
    """Return the metrics of each task on a data set before the run learned from it; none if it was not evaluated."""
    found = [each.first for each in read_data_sets(Folder.open(run)) if each.id == data_set and each.first]
    return metrics_of(found[-1]) if found else {}
