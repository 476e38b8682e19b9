"""What the answers of one moment are computed from: a version of the model, as a whole."""

from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A version that is loaded and warm: each request is read, computed and answered with one, whatever comes next."""

    version: str
    """Name of the version's folder: ``3``, ``4.delta``."""

    number: int
    """The version as TensorFlow Serving's interface names it: 3, 4."""

    scorer: Any
    """``ServedScorer``: reads requests and computes their scores."""


class Serving(Protocol):
    """Hands out the version to answer with. Thread-safe; returns at once."""

    def current(self) -> Snapshot | None:
        """Return the newest version that is loaded; None: there is none yet."""

    def why_not_ready(self) -> str:
        """Return why no request can be answered, in a sentence; empty: they can."""
