"""Find the files of a flat log: what a pattern of the schema matches in the raw folder.

A match may be a folder: Spark, Hadoop and pandas write ``train.csv/`` or ``train.parquet/`` as a folder of parts, with
files beside them that say how the writing went (``_SUCCESS``, ``_committed_...``, ``.part-0.crc``).
"""

import glob
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from esmm_dist.errors import InputDataError

MAX_FILES = 1 << 15
"""Files of one split; a line's position has 15 bits for its file (``row_files.ChunkId.base``)."""

_UNFINISHED = {
    "_temporary": "{folder} is not complete: it holds _temporary, so what writes it is still at work or was killed. "
    "Wait for it, or write the folder again.",
    "_delta_log": "{folder} is a Delta table: some of its files may be old versions of rows. Export the version that "
    "you want, as Parquet or CSV, and give that folder.",
}


def matching_files(raw: Path, pattern: str) -> list[Path]:
    """Return the files that a pattern names, each once, in ``natural_order``; of a folder the parts that it holds.

    Args:
        raw: the raw folder
        pattern: name or glob relative to it; ``**`` stands for any number of folders

    Raises:
        InputDataError: A folder holds no part, or is not complete; or there are too many files.
    """
    matches = [raw / name for name in glob.glob(pattern, root_dir=raw, recursive=True)]
    found: set[Path] = set()
    for path in matches:
        if path.is_dir():
            parts = list(_parts(path))
            if not parts and "**" not in pattern:  # which also matches folders of folders
                raise InputDataError(
                    f"{path} is a folder without a part of a log. Write it again, or move it away to go without it."
                )
            found.update(parts)
        elif not is_bookkeeping(path.name):
            found.add(path)
    _check_folders(raw, found)
    if len(found) > MAX_FILES:
        raise InputDataError(
            f"{raw} holds {len(found):,} files that match '{pattern}'; preprocess reads at most {MAX_FILES:,} a split. "
            "Join them to larger ones."
        )
    return sorted(found, key=natural_order)


def natural_order(path: Path) -> tuple[tuple[str | int, ...], str]:
    """Return a key that orders paths by their texts and numbers: ``train-2`` before ``train-10``.

    Rows without a ``sample_id`` are numbered in this order.
    """
    pieces = re.split(r"([0-9]+)", str(path))  # a text, a number, a text, ...
    return tuple(int(each) if i % 2 else each for i, each in enumerate(pieces)), str(path)


def _parts(folder: Path) -> Iterator[Path]:
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.name in _UNFINISHED:
            raise InputDataError(_UNFINISHED[entry.name].format(folder=folder))
        if entry.is_dir():
            if not entry.name.startswith("."):
                yield from _parts(Path(entry.path))
        elif not is_bookkeeping(entry.name):
            yield Path(entry.path)


def is_bookkeeping(name: str) -> bool:
    """Return whether a file of this name, beside the parts of a log, says how their writing went."""
    return name.startswith(".") or (name.startswith("_") and "." not in name)


def check_finished(base: object, folders: Iterable[str]) -> None:
    """Check the names of the folders between ``base`` and a file.

    Raises:
        InputDataError: One says that the files are still being written, or that they are a table of another kind.
    """
    for name in folders:
        if name in _UNFINISHED:
            raise InputDataError(_UNFINISHED[name].format(folder=base))


def _check_folders(raw: Path, found: Iterable[Path]) -> None:
    """Raise if a folder between ``raw`` and a file is still being written, or is a table of another kind."""
    inside = {folder for path in found for folder in path.parents if folder == raw or raw in folder.parents}
    for folder in sorted(inside):
        for name, message in _UNFINISHED.items():
            if (folder / name).is_dir():
                raise InputDataError(message.format(folder=folder))
