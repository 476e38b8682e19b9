"""Where the agents of a run are, and how many workers are wanted."""

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol


class AgentDirectory(Protocol):
    """Knows where agents are. In a cluster its API does (``launcher/cluster/in_pod/pod_directory.py``)."""

    def addresses(self) -> Mapping[str, str]:
        """Return HOST:PORT by the worker's name."""

    def wanted(self) -> int:
        """Return the number of workers that are wanted."""

    def trouble(self) -> str:
        """Return why these answers may be out of date; empty if they are not."""


class FileDirectory:
    """The agents of ``esmm local``, in a file: ``{"wanted": 2, "agents": {"worker-0": "127.0.0.1:1234"}}``."""

    def __init__(self, path: Path) -> None:
        """Read nothing yet: the file is read at each call."""
        self._path = path
        self._last: dict[str, Any] = {"wanted": 1, "agents": {}}

    def addresses(self) -> Mapping[str, str]:
        """Return HOST:PORT by the worker's name."""
        return dict(self._read()["agents"])

    def wanted(self) -> int:
        """Return the number of workers that are wanted."""
        return int(self._read()["wanted"])

    def trouble(self) -> str:
        """Return nothing: a file can always be read."""
        return ""

    def _read(self) -> dict[str, Any]:
        with contextlib.suppress(FileNotFoundError):  # before it is written for the first time there are no agents
            self._last = json.loads(self._path.read_text(encoding="utf-8"))
        return self._last
