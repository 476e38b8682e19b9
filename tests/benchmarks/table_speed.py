"""Measure one embedding table in this process: 100,000 unique ids of 4.5 M rows are found, pulled and pushed.

Batches are random and differ, so that the processor's caches hold little of what the next one needs. The floor of a
figure is the time in which all cores touch as many cache lines at random places of as large a memory, row by row, in
the same run: 1 line to find an id, (row bytes + 56) / 64 lines a row, read by a pull, read and written by a push.

    python -m tests.benchmarks.table_speed
"""

import statistics
import time
from collections.abc import Callable, Iterator

import numpy as np

from esmm_dist.arrays import F32, I64, Ids
from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.optimizers import OptimizerName
from esmm_dist.embedding.slab import Slab
from esmm_dist.embedding.table import EmbeddingTable
from esmm_dist.embedding.table_rows import TableRows
from esmm_dist.embedding.ticket import Ticket
from esmm_dist.kernels.compiled import kernel
from esmm_dist.kernels.prefetch import prefetch
from esmm_dist.kernels.threads import in_ranges
from esmm_dist.process.quiet import import_tfra
from tests.benchmarks.figures import Figure, Scale, Times, show
from tests.benchmarks.reference_work import TABLE_ROWS

DIM = 16
_LINE_BYTES, _AHEAD = 64, 16
_LOADED = 500_000


def figures(scale: Scale) -> Iterator[Figure]:
    """Yield ids/s and ids a core-second of pull and push, for Adam and Adagrad."""
    import_tfra()
    rows, size = scale.of(TABLE_ROWS, 200_000), scale.of(100_000, 20_000)
    random = np.random.default_rng(0)
    all_ids = random.permutation(np.arange(rows, dtype=np.int64)) * 1_000_003
    batches = [np.sort(random.choice(all_ids, size, replace=False)) for _ in range(scale.of(12, 4))]
    names: tuple[tuple[OptimizerName, float | None], ...] = (("adam", 8e6), ("adagrad", None))
    for name, push_target in names:
        table = filled(name, all_ids)
        pulls, pushes = pulled_and_pushed(table, batches)
        row_lines = row_lines_of(4 * (DIM + table.slot_columns + 2))
        one_s, row_s = touched(1, rows, size, written=False), touched(row_lines_of(4 * DIM), rows, size, written=False)
        pull_floor, push_floor = size / (one_s + row_s), size / touched(row_lines, rows, size, written=True)
        note = f"floor: {1 + row_lines_of(4 * DIM):.1f} random cache lines an id"
        target = 15e6 if name == "adam" else None
        yield rate(f"find and pull, {name}", pulls, size, target, pull_floor, note)
        note = f"floor: {row_lines:.1f} lines read and written"
        yield rate(f"push, {name}", pushes, size, push_target, push_floor, note)
        for call, times in (("find and pull", pulls), ("push", pushes)):
            cpu_s = statistics.median(each.cpu_s for each in times)
            yield Figure(name=f"{call}, {name}, a core-second", value=size / cpu_s, unit="ids/core-s")


def rate(name: str, times: list[Times], size: int, target: float | None, floor: float, note: str) -> Figure:
    """Return the figure of the median time."""
    value = size / statistics.median(each.wall_s for each in times)
    return Figure(name=name, value=value, unit="ids/s", target=target, floor=floor, note=note)


def filled(optimizer: OptimizerName, all_ids: Ids) -> EmbeddingTable:
    """Return a table with a row for each id."""
    table = EmbeddingTable("main", EmbeddingConfig(embedding_dim=DIM, embedding_optimizer=optimizer), seed=1)
    for start in range(0, len(all_ids), _LOADED):
        ids = all_ids[start : start + _LOADED]
        ones = np.ones(len(ids), dtype=np.int64)
        table.load(
            TableRows(
                ids=ids,
                rows=np.full((len(ids), DIM), 0.01, dtype=np.float32),
                slots=np.full((len(ids), table.slot_columns), 0.1, dtype=np.float32),
                last_step=ones,
                count=ones,
            )
        )
    return table


def pulled_and_pushed(table: EmbeddingTable, batches: list[Ids]) -> tuple[list[Times], list[Times]]:
    """Return the times of finding and pulling, and of pushing, of each batch twice; the first of all warms up."""
    gradients = np.random.default_rng(1).normal(size=(len(batches[0]), DIM)).astype(np.float32)
    times = [step_times(table, ids, gradients, step) for step, ids in enumerate(2 * batches, start=1)]
    return [pull for pull, _ in times[1:]], [push for _, push in times[1:]]


def step_times(table: EmbeddingTable, ids: Ids, gradients: F32, step: int) -> tuple[Times, Times]:
    """Return the times of finding and pulling the rows of ids, and of pushing them."""
    tickets: list[Ticket] = []

    def pull() -> None:
        tickets.append(table.prepare(ids))
        table.pull(tickets[0])

    def push() -> None:
        table.push(tickets[0], gradients, impressions=4096, step=step)

    return short_times(pull), short_times(push)


def short_times(work: Callable[[], object]) -> Times:
    """Do the work once, and measure it with clocks that count microseconds, unlike those of ended processes."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Times(cpu_s=time.process_time() - cpu, wall_s=time.perf_counter() - wall)


def row_lines_of(row_bytes: int) -> float:
    """Return the cache lines that a row touches on average, where rows begin at any multiple of 8 bytes."""
    return (row_bytes + _LINE_BYTES - 8) / _LINE_BYTES


@kernel("void(float32[:, ::1], int64[::1], int64, boolean)")
def _touch(memory: F32, firsts: I64, lines: int, written: bool) -> None:
    """Read one number of each of ``lines`` lines from each of ``firsts`` on, or add to it."""
    count = len(firsts)
    total = np.float32(0)
    for i in range(count):
        if i + _AHEAD < count:
            for line in range(lines):
                prefetch(memory, firsts[i + _AHEAD] + line, 0)
        for line in range(lines):
            if written:
                memory[firsts[i] + line, 0] += np.float32(1)
            else:
                total += memory[firsts[i] + line, 0]
    if total == -1:  # so that the sum is needed
        memory[0, 0] = total


def touched(lines: float, rows: int, size: int, *, written: bool) -> float:
    """Return the seconds in which all cores touch ``lines`` lines of each row; between whole ones, mixed."""
    low = int(lines)
    seconds = [_touched(each, rows, size, written) for each in (low, low + 1)]
    return seconds[0] + (lines - low) * (seconds[1] - seconds[0])


def _touched(lines: int, rows: int, size: int, written: bool) -> float:
    slab = Slab(columns=_LINE_BYTES // 4, dtype=np.float32, max_rows=rows * lines)
    slab.rows[:, 0] = 1.0
    random, times = np.random.default_rng(2), []
    for _ in range(12):
        firsts = random.choice(rows, size, replace=False) * lines

        def touch(first: int, end: int, firsts: I64 = firsts) -> None:
            _touch(slab.rows, firsts[first:end], lines, written)

        start = time.perf_counter()
        in_ranges(touch, size)
        times.append(time.perf_counter() - start)
    return min(times)  # what the machine allows: other work on it only adds


if __name__ == "__main__":
    show(__doc__, figures)
