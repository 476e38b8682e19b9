"""Exported batches as the peers want them. NumPy alone: the peers' environment has nothing of ours.

A file is a batch of G groups with their B impressions (``esmm_dist.input.batch`` draws it): values and lengths of the
users' fields once a group, of the impressions' fields once an impression. Peers pool bags, field by field::

    lengths of bags   [ field 0: example 0, 1, ... | field 1: example 0, 1, ... | ... ]
    values            in the order of the bags
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Bags:
    """Bags of E examples in F fields."""

    rows: np.ndarray
    """int64 [n]"""
    weights: np.ndarray
    """float32 [n]"""
    offsets: np.ndarray
    """int64 [F · E + 1]"""


@dataclass(frozen=True, kw_only=True)
class PeerBatch:
    """One batch in both forms."""

    repeated: Bags | None
    """All fields of each impression: the users' ids stand once an impression"""
    user: Bags | None
    """Fields of the users, once a group"""
    impression: Bags | None
    group_of_impression: np.ndarray
    """int64 [B]"""
    labels: np.ndarray
    """float32 [B, 2]"""


@dataclass(frozen=True, kw_only=True)
class Export:
    """A folder that ``export.py`` has written."""

    folder: Path
    rows: int
    user_fields: int
    impression_fields: int

    @staticmethod
    def open(folder: Path) -> "Export":
        """Read what the batches are of."""
        return Export(folder=folder, **json.loads((folder / "export.json").read_text()))

    def train(self, *, grouped: bool, most: int | None = None) -> list[PeerBatch]:
        """Return the batches of all epochs, in order; of the first ``most`` steps."""
        return [self._batch(path, grouped) for path in sorted(self.folder.glob("train-*.npz"))[:most]]

    def test(self, *, grouped: bool) -> list[PeerBatch]:
        """Return the batches of the test split, in order."""
        return [self._batch(path, grouped) for path in sorted(self.folder.glob("test-*.npz"))]

    def _batch(self, path: Path, grouped: bool) -> PeerBatch:
        with np.load(path) as file:
            arrays = dict(file)
        groups = len(arrays["impressions_per_group"])
        group = np.repeat(np.arange(groups), arrays["impressions_per_group"])
        user = _Cells(arrays["user_rows"], arrays["user_weights"], arrays["user_lengths"].reshape(groups, -1))
        lengths = arrays["impression_lengths"].reshape(len(group), -1)
        impression = _Cells(arrays["impression_rows"], arrays["impression_weights"], lengths)
        return PeerBatch(
            repeated=None if grouped else joined(user.bags(group), impression.bags()),
            user=user.bags() if grouped else None,
            impression=impression.bags() if grouped else None,
            group_of_impression=group,
            labels=arrays["labels"],
        )


def joined(first: Bags, second: Bags) -> Bags:
    """Return the fields of both, of the same examples."""
    return Bags(
        rows=np.concatenate([first.rows, second.rows]),
        weights=np.concatenate([first.weights, second.weights]),
        offsets=np.concatenate([first.offsets, first.offsets[-1] + second.offsets[1:]]),
    )


class _Cells:
    """Ragged values of E examples in F fields, example by example."""

    def __init__(self, rows: np.ndarray, weights: np.ndarray, lengths: np.ndarray) -> None:
        self._rows, self._weights, self._lengths = rows, weights, lengths
        ends = np.cumsum(lengths.ravel())
        self._starts = (ends - lengths.ravel()).reshape(lengths.shape)

    def bags(self, examples: np.ndarray | None = None) -> Bags:
        """Return the bags field by field, of the examples int64 [n] (with repeats), or of each once."""
        starts, lengths = self._starts, self._lengths
        if examples is not None:
            starts, lengths = starts[examples], lengths[examples]
        of_cells, first = lengths.T.ravel(), starts.T.ravel()
        offsets = np.concatenate([[0], np.cumsum(of_cells)])
        places = np.repeat(first - offsets[:-1], of_cells) + np.arange(offsets[-1])
        return Bags(rows=self._rows[places], weights=self._weights[places], offsets=offsets)
