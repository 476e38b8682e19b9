"""How many runs a machine carries at the same time."""

from collections.abc import Sequence

from esmm_dist.schema.manifest import DatasetManifest
from esmm_dist.train.config import TrainConfig
from launcher.doctor.machine import available_memory_bytes

PROCESS_BYTES = 1.5e9
"""What a training takes beside its rows: the demo's at its peak."""

_BYTES_A_VALUE = 4.0
_VALUES_A_COLUMN = 3.0
"""A column of a row, and up to two slot variables."""
_GROWTH = 1.5
"""Room that a table keeps for growing, and its hash table."""


def jobs_that_fit(cores: int, manifest: DatasetManifest, configs: Sequence[TrainConfig]) -> int:
    """Return the runs at a time: one a core, as many as the free memory holds, and at least one.

    Args:
        cores: cores that this process may use
        manifest: data set, of whose ids each may get a row
        configs: settings of the models
    """
    columns = max(config.embedding.embedding_dim for config in configs)
    rows = manifest.vocabulary_size * columns * _VALUES_A_COLUMN * _BYTES_A_VALUE * _GROWTH
    return jobs_in(available_memory_bytes(), PROCESS_BYTES + rows, cores)


def jobs_in(free_bytes: float, bytes_each: float, cores: int) -> int:
    """Return how many jobs of a size fit into memory, at most one a core and at least one."""
    return max(1, min(cores, int(free_bytes // bytes_each)))
