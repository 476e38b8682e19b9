"""The settings of each task that may name places in object stores, though the task reads and writes files."""

from collections.abc import Mapping
from pathlib import Path

from esmm_dist.storage.stored_place import StoredPlace


def _missing_shard(folder: Path, sizes: Mapping[str, int]) -> str | None:
    """Return which file of a data set is missing in a store, or has another size there; None if all are whole.

    Args:
        folder: local folder that holds the data set's manifest
        sizes: bytes of every file in the store, by path
    """
    from esmm_dist.errors import InputDataError
    from esmm_dist.schema.manifest import read_manifest

    try:
        files = read_manifest(folder).files()
    except InputDataError:  # preprocess reads it too, and says what is wrong
        return None
    wrong = [file.path for file in files if sizes.get(file.path) != file.file_bytes]
    return f"{wrong[0]} is missing or has another size ({len(wrong)} such files)" if wrong else None


STORED_PLACES: Mapping[str, Mapping[str, StoredPlace]] = {
    "synth": {"out": StoredPlace(use="write", told_by="synth.json")},
    "preprocess": {
        "raw": StoredPlace(use="read"),
        "out": StoredPlace(use="write", told_by="manifest.json", damage=_missing_shard),
    },
    "evaluate": {"data": StoredPlace(use="read")},
    "predict": {"data": StoredPlace(use="read"), "out": StoredPlace(use="write", kind="file", unless="raw")},
    "export": {"out": StoredPlace(use="write")},
    "report": {
        "data": StoredPlace(use="read"),
        "html": StoredPlace(use="write", kind="file"),
        "png": StoredPlace(use="write"),
    },
    "stats": {
        "data": StoredPlace(use="read"),
        "html": StoredPlace(use="write", kind="file"),
        "png": StoredPlace(use="write"),
    },
}
