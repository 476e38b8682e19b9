"""Files of a run that grow by a line of JSON at a time: how they are written, and read while they are."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from esmm_dist.storage.folder import Folder


class JsonLines:
    """Adds lines to a file. What a full disk refuses stays pending, and is written with a later line."""

    def __init__(self, append: Callable[[Mapping[str, Any]], None]) -> None:
        """Write nothing yet.

        Args:
            append: adds one line to the file; an ``OSError`` means that the disk refuses
        """
        self._append = append
        self._unwritten: list[Mapping[str, Any]] = []

    def add(self, entry: Mapping[str, Any]) -> None:
        """Add a line, after those that are pending."""
        self._unwritten.append(entry)
        while self._unwritten:
            try:
                self._append(self._unwritten[0])
            except OSError:
                return  # training continues; the next checkpoint reports what is wrong with the disk
            self._unwritten.pop(0)


def parsed_lines(data: bytes) -> list[dict[str, Any]]:
    """Return the JSON objects among the lines; half a line, of a killed writer or of one at work, is left out."""
    found = []
    for line in data.decode(errors="replace").split("\n"):
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict):
            found.append(entry)
    return found


def read_lines(folder: Folder, name: str) -> list[dict[str, Any]]:
    """Return the JSON objects of a file, as ``parsed_lines``; none if there is no such file.

    Raises:
        StorageError: The storage refuses.
    """
    try:
        return parsed_lines(folder.read_bytes(name))
    except FileNotFoundError:
        return []
