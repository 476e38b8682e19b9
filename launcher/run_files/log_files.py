"""The lines of each process of ``esmm local``, kept in its run: ``RUN/logs/NAME.log``, of bounded size.

``NAME`` is ``server-0``, ``worker-1``, ``driver``; ``local`` is ``esmm local`` itself. A file that has become too large
is renamed to ``NAME.log.1`` and replaces the one before: so the newest lines are kept, at least 8 MB of them.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

FOLDER_NAME = "logs"
OWN_NAME = "local"

MOST_BYTES = 8_000_000
"""Largest size of a file; each process has at most two."""


class LogFiles:
    """Writes lines to the files of their processes. A disk that refuses ends the logs, not the training.

    Args:
        folder: folder of the files, made with the first line
        tell: receives one line if the disk refuses
        most_bytes: largest size of a file
    """

    def __init__(self, folder: Path, tell: Callable[[str], None], *, most_bytes: int = MOST_BYTES) -> None:
        self._folder, self._tell, self._most_bytes = folder, tell, most_bytes
        self._files: dict[str, BinaryIO] = {}
        self._is_refused = False

    def write(self, name: str, text: str) -> None:
        """Keep lines of a process, each with the time (UTC).

        Args:
            name: the process, as users see it: ``server 0``
            text: one line or several
        """
        if self._is_refused:
            return
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        data = "".join(f"{now} {line}\n" for line in text.splitlines() or [""]).encode(errors="surrogateescape")
        try:
            file = self._file(name)
            if file.tell() + len(data) > self._most_bytes and file.tell():
                file = self._rotate(name)
            file.write(data)
        except OSError as e:
            self._is_refused = True
            self._tell(f"{self._folder} cannot be written ({e.strerror}): from now on the lines are shown here only.")

    def close(self) -> None:
        """Close all files; harmless when called twice."""
        for file in self._files.values():
            file.close()
        self._files.clear()

    def _file(self, name: str) -> BinaryIO:
        if name not in self._files:
            self._folder.mkdir(exist_ok=True)
            self._files[name] = log_path(self._folder, name).open("ab", buffering=0)
        return self._files[name]

    def _rotate(self, name: str) -> BinaryIO:
        self._files.pop(name).close()
        path = log_path(self._folder, name)
        path.replace(older(path))
        return self._file(name)


def log_path(folder: Path, name: str) -> Path:
    """Return the file of a process: ``server 0`` writes to ``server-0.log``."""
    return folder / f"{re.sub(r'[^A-Za-z0-9._-]', '-', name)}.log"


def older(path: Path) -> Path:
    """Return the file that holds the lines before those of a file."""
    return path.with_name(f"{path.name}.1")
