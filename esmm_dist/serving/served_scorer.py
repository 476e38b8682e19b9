"""The hot path: from the ids of requests to probabilities, with rows that are mapped from disk."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from esmm_dist.arrays import F32
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.serving.request_reader import RequestReader


class ServedScorer:
    """A served model, ready to answer. Thread-safe; what a request was read by is what it is scored by."""

    model: Any
    """``MappedModel``"""
    reader: RequestReader

    @classmethod
    def open(cls, folders: Sequence[Path]) -> "ServedScorer":
        """Map a served model.

        Args:
            folders: folder of a full version, then those of its deltas in their order
        """
        raise NotImplementedError

    def with_delta(self, folder: Path) -> "ServedScorer":
        """Return a scorer of the model with a delta applied; this one goes on answering."""
        raise NotImplementedError

    def score(self, batch: GroupedBatch) -> dict[str, F32]:
        """Return the columns of ``esmm predict``, float32 [B], of one request or of several joined ones."""
        raise NotImplementedError

    def warm_up(self) -> None:
        """Score made-up requests of several sizes, so that the first real one is not slow."""
        raise NotImplementedError
