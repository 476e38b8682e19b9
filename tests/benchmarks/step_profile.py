"""Where a step's CPU time goes, part by part, each beside what the machine allows: the reference work, groups of 8.

    python -m tests.benchmarks.step_profile [--quick]

The parts of a step run one after the other here, without the thread that reads ahead, so that each one's CPU time is
its own; the medians of the steps after the first ones. The towers' part has the gradients of the rows too, which are
made from those of the pooled vectors. Floors, all measured or counted in the same run:

- the towers: their multiplications at the rate that TensorFlow reaches on the same shapes alone;
- all that moves rows: the bytes that must move, at the rate at which this machine copies memory that no cache holds.
"""

import dataclasses
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from esmm_dist.input.batch import GroupedBatch
from esmm_dist.process.quiet import import_tfra
from esmm_dist.schema.manifest import read_manifest
from tests.benchmarks.figures import Figure, Scale, show
from tests.benchmarks.reference_work import TABLE_ROWS, data_set, fill, reference_config

if TYPE_CHECKING:  # imports TensorFlow
    from esmm_dist.embedding.store import EmbeddingStore
    from esmm_dist.embedding.ticket import Ticket
    from esmm_dist.train.compiled_step import StepResult

WARM_STEPS = 6
PARTS = ("read and parse", "unique ids, pooling matrix", "find rows", "pull", "pool", "towers", "push")
_F = 4
"""Bytes of a float32"""
Value = TypeVar("Value")


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepSize:
    """What one step handles."""

    groups: int
    impressions: int
    ids: int
    unique_ids: int
    segments: int
    user_columns: int
    impression_columns: int
    dim: int


class PartTimes:
    """CPU-seconds of the parts of each step, over all threads of the process."""

    def __init__(self) -> None:
        """Begin without a step."""
        self._seconds: dict[str, list[float]] = defaultdict(list)

    def of(self, part: str, work: Callable[..., Value], *arguments: Any) -> Value:
        """Do a part's work, and note what it takes."""
        start = time.process_time()
        value = work(*arguments)
        self._seconds[part].append(time.process_time() - start)
        return value

    def median_ms(self, part: str) -> float:
        """Return a part's median, without the first steps; all of them if there are no others."""
        return 1000 * statistics.median(self._seconds[part][WARM_STEPS:] or self._seconds[part])


def figures(scale: Scale) -> Iterator[Figure]:
    """Yield each part's CPU time a step."""
    import_tfra()
    times, size = profile(data_set(scale, 8), rows=scale.of(TABLE_ROWS, 0), steps=scale.of(30, 8))
    rate = matmul_rate(size)
    yield Figure(name="matrix products of the towers' shapes", value=rate / 1e9, unit="GFLOP a core-second")
    bandwidth = copy_rate(scale.of(1 << 28, 1 << 22))
    yield Figure(name="copying memory", value=bandwidth / 1e9, unit="GB read and written a core-second")
    floors = floor_ms(size, rate, bandwidth)
    notes = {"towers": f"{tower_flop(size) / 1e9:.2f} GFLOP"}
    notes["pull"] = f"{size.unique_ids:,} rows of {_F * size.dim} bytes"
    notes["pool"] = f"{size.ids:,} ids in {size.segments:,} segments"
    for part in PARTS:
        yield Figure(
            name=f"step: {part}",
            value=times.median_ms(part),
            unit="CPU-ms",
            floor=floors.get(part),
            less_is_better=True,
            note=notes.get(part, ""),
        )
    whole = sum(times.median_ms(part) for part in PARTS)
    note = f"{size.impressions:,} impressions in {size.groups:,} groups"
    yield Figure(
        name="step: all parts", value=whole, unit="CPU-ms", floor=sum(floors.values()), less_is_better=True, note=note
    )


def profile(data: Path, *, rows: int, steps: int) -> tuple[PartTimes, StepSize]:
    """Make steps, part after part."""
    from esmm_dist.embedding.embedded_store import EmbeddedStore
    from esmm_dist.embedding.lookup import LookupPlan
    from esmm_dist.input.pipeline import BatchReader
    from esmm_dist.model.inputs import model_inputs, prepare_rows, pull_rows
    from esmm_dist.ranks.solo import SoloWorld
    from esmm_dist.train.compiled_model import compile_model

    manifest, config = read_manifest(data), reference_config(data, data, epochs=1)
    reader = BatchReader(data, manifest, "train", config.input)
    store = EmbeddedStore(manifest.schema.tables, config.embedding, seed=config.seed)
    fill(store, config, rows)
    compiled, plan, times = (
        compile_model(config, manifest.schema, SoloWorld()),
        LookupPlan(manifest.schema),
        PartTimes(),
    )
    batches, size = iter(reader.epoch(0, seed=1)), None
    for step in range(1, steps + 1):
        batch: GroupedBatch | None = times.of(PARTS[0], next, batches, None)
        if batch is None:
            break
        lookups = times.of(PARTS[1], plan.prepare, batch)
        tickets = times.of(PARTS[2], prepare_rows, store, lookups)
        pulled = times.of(PARTS[3], pull_rows, store, tickets)
        inputs = times.of(PARTS[4], model_inputs, batch, lookups, pulled)
        result = times.of(PARTS[5], compiled.step, inputs, step)
        times.of(PARTS[6], _push, store, tickets, result, step)
        user_fields, impression_fields = len(manifest.schema.user_fields), len(manifest.schema.impression_fields)
        size = size or StepSize(
            groups=batch.num_groups,
            impressions=batch.num_impressions,
            ids=len(batch.user_ids) + len(batch.impression_ids),
            unique_ids=sum(len(lookup.ids) for lookup in lookups.values()),
            segments=batch.num_groups * user_fields + batch.num_impressions * impression_fields,
            user_columns=user_fields * config.embedding.embedding_dim,
            impression_columns=impression_fields * config.embedding.embedding_dim,
            dim=config.embedding.embedding_dim,
        )
    assert size is not None
    return times, size


def _push(store: "EmbeddingStore", tickets: "dict[str, Ticket]", result: "StepResult", step: int) -> None:
    for table, sums in result.gradient_sums.items():
        store.push(tickets[table], sums, impressions=result.impressions, step=step)


def tower_products(size: StepSize) -> list[tuple[int, int, int]]:
    """Return (m, k, n) of the products of a tower's forward pass; going back takes two more of the same size each."""
    return [
        (size.groups, size.user_columns, 256),
        (size.impressions, size.impression_columns, 256),
        (size.impressions, 256, 128),
        (size.impressions, 128, 1),
    ]


def tower_flop(size: StepSize) -> float:
    """Return the floating point operations of both towers, forward and back."""
    return 2 * 3 * sum(2.0 * m * k * n for m, k, n in tower_products(size))


def floor_ms(size: StepSize, flop_rate: float, copy_rate: float) -> dict[str, float]:
    """Return the least CPU time of each part that has a floor, in ms.

    A byte counts half of one that is copied, which is read and written. A row has its values, Adagrad's accumulators,
    and the step and count of its last change.
    """
    vector, row = size.dim * _F, 2 * size.dim * _F + 8
    pooled = size.segments * vector
    moved = {
        "pull": 2 * size.unique_ids * vector,
        "pool": size.ids * vector + pooled,
        "push": 2 * size.unique_ids * row + size.unique_ids * vector,
    }
    return {part: 1000 * bytes_moved / 2 / copy_rate for part, bytes_moved in moved.items()} | {
        "towers": 1000 * tower_flop(size) / flop_rate
    }


def matmul_rate(size: StepSize) -> float:
    """Return the operations a core-second of TensorFlow's products on the largest shapes of the towers."""
    import tensorflow as tf

    shapes = [(m, k, n) for m, k, n in tower_products(size) if n > 1]
    pairs = [
        (tf.random.stateless_normal([m, k], [1, 2]), tf.random.stateless_normal([k, n], [3, 4])) for m, k, n in shapes
    ]
    flop = sum(2.0 * m * k * n for m, k, n in shapes)

    def products() -> None:
        for left, right in pairs:
            tf.matmul(left, right)

    products()
    return flop / statistics.median(_cpu_s(products) for _ in range(30))


def copy_rate(num_bytes: int) -> float:
    """Return the bytes that one core copies a second: each is read once and written once."""
    source = np.ones(num_bytes, dtype=np.uint8)
    target = np.zeros_like(source)
    return num_bytes / statistics.median(_cpu_s(lambda: np.copyto(target, source)) for _ in range(5))


def _cpu_s(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


if __name__ == "__main__":
    show(__doc__, figures)
