"""What a run says of the data sets that it has learned from."""

import json
from collections.abc import Mapping
from typing import Any

from esmm_dist.storage.folder import Folder
from launcher.pipeline.keys import metrics_of

DATA_SETS_NAME = "data_sets.json"


def has_learned(run: str, data_set: str) -> bool:
    """Return whether a run has begun to learn from a data set.

    Args:
        run: path or URI of the run, which may not exist
        data_set: identity of the data set
    """
    return any(each.get("id") == data_set for each in _data_sets(run))


def progressive_metrics(run: str, data_set: str) -> dict[str, Any]:
    """Return the metrics of each task on a data set before the run learned from it; none if it was not evaluated."""
    found = [each["first"] for each in _data_sets(run) if each.get("id") == data_set and each.get("first")]
    return metrics_of(found[-1]) if found else {}


def _data_sets(run: str) -> list[Mapping[str, Any]]:
    try:
        found = json.loads(Folder.open(run).read_bytes(DATA_SETS_NAME))
    except (FileNotFoundError, ValueError):
        return []
    listed = found.get("data_sets", []) if isinstance(found, Mapping) else found
    return [each for each in listed if isinstance(each, Mapping)]
