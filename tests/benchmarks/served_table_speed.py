"""Measure a table of a served model, mapped from disk: 4.5 M rows, D = 16, 1,000 ids a call, in one thread.

The sides take turns: ``MappedTable.find``; what a SavedModel does, ``tf.searchsorted`` among all ids and ``tf.gather``,
called with tensors; and what a training's table does, ``IdMap.find`` and a copy of the rows.

    python -m tests.benchmarks.served_table_speed
"""

import re
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from esmm_dist.arrays import F32, Ids
from esmm_dist.checkpoint.sorted_rows import SortedRows
from esmm_dist.embedding.id_map import IdMap
from esmm_dist.embedding.placement import bucket_of, bucket_ranges
from esmm_dist.embedding.start_values import StartValues
from esmm_dist.process.quiet import import_tensorflow
from esmm_dist.served_model.manifest import RowType
from esmm_dist.served_model.mapped_model import MappedModel
from esmm_dist.served_model.row_parts import RowsPart
from esmm_dist.served_model.writing import TableRowsToServe, write_delta, write_full
from tests.benchmarks.figures import Figure, Scale, paired, show
from tests.benchmarks.reference_work import TABLE_ROWS
from tests.support.served_models import content, towers_of

DIM, SEED = 16, 7
_PARTS = 18  # of 250,000 rows, as a checkpoint has them
_IDS_A_CALL = 1000
_ROW_TYPES: tuple[RowType, ...] = ("float32", "float16", "int8")


def figures(scale: Scale) -> Iterator[Figure]:
    """Yield lookups/s of each form and row type, with deltas above it, and what writing and opening take."""
    rows = _Rows(scale.of(TABLE_ROWS, 200_000))
    scale.folder.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=scale.folder))
    try:
        models: dict[RowType, MappedModel] = {}
        for row_type in _ROW_TYPES:
            version = folder / row_type / "1"
            seconds = _seconds(partial(rows.write, version, row_type))
            size = sum(path.stat().st_size for path in version.rglob("*") if path.is_file())
            yield Figure(name=f"write, {row_type}", value=len(rows.ids) / seconds, unit="rows/s")
            yield Figure(name=f"bytes a row on disk, {row_type}", value=size / len(rows.ids), unit="bytes")
            seconds = _seconds(partial(MappedModel.open, [version]))
            yield Figure(name=f"open and check, {row_type}", value=size / seconds / 1e9, unit="GB/s")
            before = _own_bytes()
            models[row_type] = MappedModel.open([version], verify=False)
            models[row_type].tables["main"].find(rows.ids)
            note = "after all rows were read; pages of the files are shared"
            own = max(_own_bytes() - before, 0) / 1e6
            yield Figure(name=f"memory of a process, {row_type}", value=own, unit="MB", note=note)
        yield from _find_figures(rows, models, scale)
        yield from _delta_figures(rows, models["float32"], folder / "float32", scale)
    finally:
        shutil.rmtree(folder)


class _Rows:
    """Random rows of random ids."""

    def __init__(self, size: int) -> None:
        random = np.random.default_rng(0)
        self.ids = np.unique(random.integers(0, 2**63 - 1, size))
        self.rows: F32 = random.normal(scale=0.1, size=(len(self.ids), DIM)).astype(np.float32)
        self.start = StartValues(embedding_dim=DIM, scale=0.01, seed=SEED)
        buckets = bucket_of(self.ids)
        order = np.argsort(buckets, kind="stable")
        ends = np.searchsorted(buckets[order], [last for _, last in bucket_ranges(_PARTS)])
        self._places = np.split(order, ends[:-1])

    def to_serve(self, row_type: RowType) -> TableRowsToServe:
        """Return the table in parts."""
        parts = (
            RowsPart(first_bucket=first, last_bucket=last, ids=self.ids[places], rows=self.rows[places])
            for (first, last), places in zip(bucket_ranges(_PARTS), self._places, strict=True)
        )
        return TableRowsToServe(name="main", row_type=row_type, start_rows=self.start.choices, parts=parts)

    def write(self, version: Path, row_type: RowType) -> None:
        """Write a full version."""
        write_full(towers_of(version), content(), [self.to_serve(row_type)])


def _find_figures(rows: _Rows, models: dict[RowType, MappedModel], scale: Scale) -> Iterator[Figure]:
    """Yield lookups/s of the mapped table, beside those of the other forms in the same run."""
    sides: dict[str, Callable[[Ids], object]] = {name: model.tables["main"].find for name, model in models.items()}
    sides |= {"tf.searchsorted": _tensorflow_lookup(rows), "IdMap": _map_lookup(rows)}
    random = np.random.default_rng(1)
    batches = [np.sort(random.choice(rows.ids, _IDS_A_CALL, replace=False)) for _ in range(scale.of(200, 20))]

    def rate(find: Callable[[Ids], object]) -> float:
        return _IDS_A_CALL / _call_seconds(find, batches)

    for find in sides.values():
        rate(find)  # touches the memory, and compiles
    found = paired({name: partial(rate, find) for name, find in sides.items()}, rounds=scale.of(7, 2))
    for name in sides:
        label = f"find, mapped, {name}" if name in models else f"find, {name}"
        yield Figure(name=label, value=found.median(name), unit="ids/s", note=f"{_IDS_A_CALL} ids a call")
    for other, target in (("tf.searchsorted", 3.0), ("IdMap", None)):
        value = found.ratio("float32", other)
        yield Figure(name=f"find, mapped / {other}", value=value, unit="", target=target)


def _delta_figures(rows: _Rows, model: MappedModel, folder: Path, scale: Scale) -> Iterator[Figure]:
    """Yield what a delta of 1% of the rows takes, and lookups/s with 1, 4 and 5 of them above the full version."""
    random = np.random.default_rng(2)
    batches = [np.sort(random.choice(rows.ids, _IDS_A_CALL, replace=False)) for _ in range(scale.of(200, 20))]
    find = model.tables["main"].find
    base_s = min(_call_seconds(find, batches) for _ in range(3))
    for number in range(1, 6):
        rows.rows[random.choice(len(rows.ids), len(rows.ids) // 100, replace=False)] += 0.01
        version = folder / f"{number + 1}.delta"
        of_version = (towers_of(version), content(), [rows.to_serve("float32")], model)
        seconds = _seconds(partial(write_delta, *of_version, base_version="base"))
        start = time.perf_counter()
        model = model.with_delta(version)
        applied_ms = (time.perf_counter() - start) * 1e3
        if number == 1:
            yield Figure(name="write a delta of 1% of the rows", value=len(rows.ids) / seconds, unit="rows/s compared")
        if number not in (1, 4, 5):
            continue
        note = "one more than are looked up one by one: merged in memory" if number == 5 else ""
        yield Figure(name=f"apply delta {number}", value=applied_ms, unit="ms", less_is_better=True, note=note)
        delta_s = min(_call_seconds(model.tables["main"].find, batches) for _ in range(3))
        name = f"find with {number} deltas / without"
        yield Figure(name=name, value=delta_s / base_s, unit="", less_is_better=True, note="time")


def _tensorflow_lookup(rows: _Rows) -> Callable[[Ids], object]:
    tf = import_tensorflow()
    from esmm_dist.inference.exported_table import ExportedTable

    table = ExportedTable(SortedRows(ids=rows.ids, rows=rows.rows), rows.start, seed=SEED, name="main")
    lookup = tf.function(table.lookup, input_signature=[tf.TensorSpec([None], tf.int64)], autograph=False)
    concrete: Any = lookup.get_concrete_function()
    return lambda ids: concrete(tf.constant(ids)).numpy()


def _map_lookup(rows: _Rows) -> Callable[[Ids], object]:
    places = IdMap(expected_ids=len(rows.ids))
    places.put(rows.ids, np.arange(len(rows.ids)))
    return lambda ids: rows.rows[places.find(ids)]


def _call_seconds(find: Callable[[Ids], object], batches: Sequence[Ids]) -> float:
    """Return the median time of a call."""
    times = []
    for ids in batches:
        start = time.perf_counter()
        find(ids)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _own_bytes() -> int:
    """Return the bytes of this process that no file holds."""
    found = re.search(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


if __name__ == "__main__":
    show(__doc__, figures)
