"""The speed of a run and the sizes of its tables, ``RUN/speed.jsonl``: a line every ``log_every_steps``.

Unlike ``train_log.jsonl`` it has times in it, so that no two runs have the same one, and nothing is cut off when a run
resumes. Steps that are made again after a restart come a second time, later: a reader that wants a step's newest time
takes the last.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any

import pydantic

from esmm_dist.storage.folder import Folder
from esmm_dist.train.json_lines import read_lines

SPEED_NAME = "speed.jsonl"

_Seconds = Annotated[float, pydantic.Field(ge=0, le=1e11, allow_inf_nan=False)]
"""Up to the year 5138: what is more stands in a damaged line."""
_Count = Annotated[int, pydantic.Field(ge=0, lt=10**15)]


@dataclass(frozen=True, kw_only=True)
class TableSize:
    """One embedding table at a step."""

    rows: _Count
    bytes: _Count
    """Bytes of the rows, their slot variables and ids, over all servers; without the hash tables that find them."""


@dataclass(frozen=True, kw_only=True)
class SpeedPoint:
    """What the steps since the point before took, on rank 0; all in seconds of wall time.

    The four parts do not fill ``seconds``: logging and what else happens between steps is the rest.
    """

    at: _Seconds
    """Seconds since 1970, at the end of the step."""
    step: _Count
    steps: _Count
    """Steps since the point before."""
    impressions: _Count
    """Impressions of these steps, over all ranks."""
    ranks: _Count
    seconds: _Seconds
    """From the end of the step before them to the end of the last one, evaluations and checkpoints left out."""
    input_s: _Seconds
    """Seconds of these, waiting for a batch that is read and looked up."""
    pull_s: _Seconds
    """Waiting for rows. Where rows are pulled while other steps run, the wait for a batch counts here as far as the
    pull of its rows took."""
    step_s: _Seconds
    """Forward, backward, allreduce (with the wait for slower ranks) and the dense optimizer."""
    push_s: _Seconds
    """Handing over gradients; in this process also applying them."""
    tables: Mapping[str, TableSize] = field(default_factory=dict)
    """By name; empty if the servers did not say. Servers are asked beside the training, every few seconds: their
    sizes are up to a few points old."""

    def to_mapping(self) -> dict[str, Any]:
        """Return the line that ``read_speed`` reads, as plain values; times to the microsecond."""
        return {
            name: round(value, 6) if isinstance(value, float) else value
            for name, value in {**asdict(self), "tables": {k: asdict(v) for k, v in self.tables.items()}}.items()
        }


_POINT = pydantic.TypeAdapter(SpeedPoint)


def read_speed(run: Folder) -> list[SpeedPoint]:
    """Return the points of a run, in the order in which they were written; none of an older run.

    Half a line, of a training that writes or was killed, is left out, and so is a line that is no point.

    Raises:
        StorageError: The storage refuses.
    """
    found = []
    for entry in read_lines(run, SPEED_NAME):
        try:
            found.append(_POINT.validate_python(entry))
        except pydantic.ValidationError:
            continue
    return found
