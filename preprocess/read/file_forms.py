"""What the name of a log's file says about how it is read."""

from pathlib import Path
from typing import Literal

from esmm_dist.errors import InputDataError

Packing = Literal["plain", "gz", "tar.gz", "parquet"]

_JSON = (".jsonl", ".ndjson", ".json")
_TEXTS = (".csv", ".tsv", *_JSON)


def packing_of(path: Path) -> Packing:
    """Return how a file of a flat log is packed.

    Raises:
        InputDataError: Its name does not say what it holds.
    """
    if path.name.endswith(".parquet"):
        return "parquet"
    if path.name.endswith(_TEXTS):
        return "plain"
    if path.name.endswith(tuple(f"{ending}.gz" for ending in _TEXTS)):
        return "gz"
    raise InputDataError(
        f"{path} ends in none of .csv, .tsv, .jsonl, .ndjson, .json (each also with .gz) and .parquet. Rename it to "
        "say what it is."
    )


def is_json_lines(path: Path) -> bool:
    """Return whether a file holds a JSON object a line."""
    return path.name.removesuffix(".gz").endswith(_JSON)
