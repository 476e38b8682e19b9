"""Decide how many workers and partitions a run has from the memory it may use and the size of its input."""

import os
from dataclasses import dataclass

from esmm_dist.errors import ConfigError
from preprocess.read.chunks import CHUNK_BYTES
from preprocess.read.flat.pieces import MOST_ITEMS

# Measured resident sizes (README, "Memory"): a process with NumPy and Arrow loaded, one that has loaded compiled
# kernels too, and what parsing one chunk adds.
_MAIN_BYTES = 95_000_000
_WORKER_BYTES = 230_000_000
_CHUNK_WORK_BYTES = 95_000_000

TEXT_PER_WORKER_BYTES = 64_000_000
"""A log gets one worker for so much text: a process costs 0.5 CPU-seconds to start, in which another one makes a data
set of about a third of that."""

PARTITION_WORK_FACTOR = 6
"""Peak memory of joining, grouping and encoding a partition, over its bytes on disk (measured; README, "Memory")."""

_PARTITION_TARGET_BYTES = 64 << 20  # larger partitions gain nothing; smaller ones make more, smaller reads
_ROWS_PER_TEXT = 0.8  # bytes of parsed rows on disk for each byte of text, about
MAX_PARTITIONS = 4096
MOST_MERGE_BYTES = 64 << 20  # of 4096 partitions, 64 files at a time are read in pieces of 1 MB

BYTES_PER_ITEM = 250
"""Peak memory of parsing an id or another value of a flat log (measured on lists of integers and of texts, in Parquet
and in CSV: 105 to 200)."""
_TEXT_WORK_BYTES = 40_000_000  # of a chunk of CSV text and its lines, which are there while its pieces are parsed


@dataclass(frozen=True, kw_only=True)
class MemoryPlan:
    """How a run uses the machine."""

    workers: int
    partitions: int
    """Pieces that the rows of a split are cut into by user context."""
    partition_limit_bytes: int
    """A partition with more bytes of rows is cut further before it is loaded."""
    piece_items: int = MOST_ITEMS
    """Ids, and values of other columns, of a flat log that are parsed at once."""
    chunk_bytes: int = CHUNK_BYTES
    """Bytes of text that one task parses."""

    @property
    def merge_bytes(self) -> int:
        """Bytes of rows or records that one merge holds; it takes about three times that."""
        return min(MOST_MERGE_BYTES, self.partition_limit_bytes)


def plan_memory(*, memory_gb: float, workers: int | None, text_bytes: int, split_bytes: int) -> MemoryPlan:
    """Return the plan of a run.

    Args:
        memory_gb: what all processes together may hold, 10^9 bytes
        workers: wanted number; None: one for each core
        text_bytes: size of all raw text, about
        split_bytes: size of the raw text of the largest split, about

    Raises:
        ConfigError: The memory does not hold even one worker.
    """
    memory = int(memory_gb * 1e9)
    wanted = workers or len(os.sched_getaffinity(0))
    least = _WORKER_BYTES + _CHUNK_WORK_BYTES
    if memory < least:
        raise ConfigError(
            f"memory_gb is {memory_gb}, but preprocess needs at least {least / 1e9:.2f}. Raise memory_gb."
        )
    fitting = (memory - _MAIN_BYTES) // (_WORKER_BYTES + _CHUNK_WORK_BYTES)
    count = max(1, min(wanted, fitting, text_bytes // TEXT_PER_WORKER_BYTES))
    # One worker works within the main process; beside several, the main process loads no kernels.
    processes = _WORKER_BYTES if count == 1 else _MAIN_BYTES + count * _WORKER_BYTES
    per_worker = (memory - processes) // count
    limit = per_worker // PARTITION_WORK_FACTOR
    target = min(_PARTITION_TARGET_BYTES, limit // 2)
    partitions = max(1, min(MAX_PARTITIONS, -(-int(split_bytes * _ROWS_PER_TEXT) // target)))
    items = min(MOST_ITEMS, (per_worker - _TEXT_WORK_BYTES) // BYTES_PER_ITEM)
    return MemoryPlan(workers=count, partitions=partitions, partition_limit_bytes=limit, piece_items=items)
