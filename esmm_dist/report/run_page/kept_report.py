"""Scores of a run in its folder, ``RUN/report/scores-STEP-SPLIT-KEY.json``, so that none are computed twice.

::

    {"key": {"checkpoint_crc32c": ..., "data_set": ..., "split": ..., "by": [...], ...}, "scores": {...}, "crc32c": ...}

What they depend on is the key, which stands in the file and, as a checksum, in its name. A file with another key is not
used, nor is one whose checksum does not fit. A run that cannot be written to works without.
"""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from esmm_dist.config import build
from esmm_dist.errors import CheckpointError, StorageError
from esmm_dist.report.run_scores.scores import RunScores
from esmm_dist.report.sealed_json import sealed_json, unsealed_json
from esmm_dist.storage.folder import Folder

REPORT_FOLDER = "report"
FORM = 1
"""Grows when the numbers of scores change their meaning: scores of another form are computed anew."""


def read_scores(run: Folder, step: int, split: str, key: Mapping[str, Any]) -> RunScores | None:
    """Return the scores that ``write_scores`` has kept for this key; None if there are none."""
    name = scores_name(step, split, key)
    try:
        found = unsealed_json((run / REPORT_FOLDER).read_bytes(name))
        if found["key"] != _whole_key(key):
            return None
        return build(RunScores, found["scores"], where=f"{run}/{REPORT_FOLDER}/{name}", error=CheckpointError)
    except (FileNotFoundError, ValueError, TypeError, KeyError, CheckpointError, StorageError):
        return None


def write_scores(run: Folder, scores: RunScores, key: Mapping[str, Any]) -> None:
    """Keep scores in a run; a run that cannot be written to stays as it is."""
    data = sealed_json({"key": _whole_key(key), "scores": scores.to_mapping()})
    folder = run / REPORT_FOLDER
    with suppress(StorageError, OSError):
        folder.make()
        folder.write_bytes(scores_name(scores.step, scores.split, key), data)


def _whole_key(key: Mapping[str, Any]) -> dict[str, Any]:
    whole: dict[str, Any] = json.loads(json.dumps({"form": FORM, **key}))
    return whole


def scores_name(step: int, split: str, key: Mapping[str, Any]) -> str:
    """Return the name of the file that keeps scores of a key."""
    digest = hashlib.sha256(json.dumps(_whole_key(key), sort_keys=True).encode()).hexdigest()[:8]
    return f"scores-{step}-{split}-{digest}.json"
