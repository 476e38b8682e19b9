"""The importance of fields in a run's folder: ``RUN/report/importance-SPLIT.json``."""

from esmm_dist.config import build
from esmm_dist.errors import StorageError
from esmm_dist.report.importance.field_importance import Importance
from esmm_dist.report.sealed_json import sealed_json, unsealed_json
from esmm_dist.storage.folder import Folder

REPORT_FOLDER = "report"
"""Folder in a run for what is found out about it."""


def write_importance(found: Importance, run: Folder) -> str:
    """Write it into a run, over that of an earlier time for this split, and return the file's place.

    Raises:
        StorageError: The run cannot be written to.
    """
    folder, name = run / REPORT_FOLDER, _name(found.split)
    folder.make()
    folder.write_bytes(name, sealed_json(found.to_mapping(), indent=1))
    return f"{folder}/{name}"


def keep_importance(found: Importance, run: Folder) -> str:
    """Write it into a run, unless the run has more of the same, and return what was done, a sentence.

    What was measured of a few fields does not replace what was measured of them and others, of the same checkpoint and
    data set.
    """
    try:
        before = _undamaged(run, found.split)
        if before is not None and (before.step, before.data_id) == (found.step, found.data_id):
            fields, more = ({each.field for each in of.fields} for of in (found, before))
            if fields < more:
                return f"Not kept in the run: what it has of {len(more)} fields stays. Measure all: leave out --fields."
        return f"Written to {write_importance(found, run)}."
    except StorageError as e:  # a run that may only be read
        return f"Not kept in the run: {e}"


def _undamaged(run: Folder, split: str) -> Importance | None:
    try:
        return read_importance(run, split)
    except StorageError:  # it is written anew
        return None


def read_importance(run: Folder, split: str) -> Importance | None:
    """Return what ``write_importance`` has written; None if it has not.

    Raises:
        StorageError: The run cannot be read, or the file is damaged.
    """
    name = _name(split)
    try:
        mapping = unsealed_json((run / REPORT_FOLDER).read_bytes(name))
    except FileNotFoundError:
        return None
    except ValueError as e:
        raise StorageError(
            f"{run}/{REPORT_FOLDER}/{name} is damaged ({e}). Run esmm importance --split {split} again."
        ) from e
    return build(Importance, mapping, where=f"{run}/{REPORT_FOLDER}/{name}", error=StorageError)


def _name(split: str) -> str:
    return f"importance-{split}.json"
