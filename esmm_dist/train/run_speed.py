"""The speed of a run and the sizes of its tables, ``RUN/speed.jsonl``: a line every ``log_every_steps``.

Unlike ``train_log.jsonl`` it has times in it, so that no two runs have the same one. Steps that are made again after a
restart come a second time, later: a reader that wants a step's newest time takes the last.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from esmm_dist.storage.folder import Folder

SPEED_NAME = "speed.jsonl"


@dataclass(frozen=True, kw_only=True)
class TableSize:
    """One embedding table at a step."""

    rows: int
    bytes: int
    """Bytes of the rows and the index, over all servers."""


@dataclass(frozen=True, kw_only=True)
class SpeedPoint:
    """What the steps since the point before took, on rank 0; all in seconds of wall time."""

    at: float
    """Seconds since 1970, at the end of the step."""
    step: int
    steps: int
    """Steps since the point before."""
    impressions: int
    """Impressions of these steps, over all ranks."""
    ranks: int
    seconds: float
    """From the end of the step before them to the end of the last one, evaluations and checkpoints left out."""
    input_s: float
    """Seconds of these, waiting for a batch that is read and looked up."""
    pull_s: float
    """Waiting for rows."""
    step_s: float
    """Forward, backward, allreduce and the dense optimizer."""
    push_s: float
    """Handing over gradients; in this process also applying them."""
    tables: Mapping[str, TableSize] = field(default_factory=dict)
    """By name; empty if the servers did not say."""


def read_speed(run: Folder) -> list[SpeedPoint]:
    """Return the points of a run, in the order in which they were written; none of an older run.

    Half a line, of a training that writes or was killed, is left out.

    Raises:
        StorageError: The storage refuses.
    """
    raise NotImplementedError
