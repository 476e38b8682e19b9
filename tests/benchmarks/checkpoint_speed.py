"""Saving and restoring a table beside copying the same bytes on the same disk, and how a save grows with the rows.

    python -m tests.benchmarks.checkpoint_speed --folder /disk

A table of 4.5 M rows, D = 16, with Adam's slot variables: 976 MB. The sides take turns; the first round, in which
memory is touched for the first time, does not count. Copying reads what the system has in memory, and writes it with
an fsync.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from esmm_dist.arrays import U8
from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.table_files import TableFile
from esmm_dist.embedding.table_rows import TableRows
from esmm_dist.hashing import mix64
from esmm_dist.process.quiet import import_tfra
from esmm_dist.storage.folder import Folder
from tests.benchmarks.figures import Figure, Paired, Scale, Times, paired, show, timed
from tests.benchmarks.reference_work import TABLE_ROWS

if TYPE_CHECKING:
    from esmm_dist.embedding.embedded_store import EmbeddedStore

DIM = 16
CONFIG = EmbeddingConfig(embedding_dim=DIM, embedding_optimizer="adam")
_PIECE = 1 << 20
_FILLED_ROWS = 200_000


def figures(scale: Scale) -> Iterator[Figure]:
    """Yield the ratios to copying, CPU-seconds, and the cost of a row as the table grows."""
    rows = scale.of(TABLE_ROWS, 100_000)
    with tempfile.TemporaryDirectory(dir=scale.folder) as folder:
        yield from beside_copying(Path(folder), rows, rounds=scale.of(5, 1))
    with tempfile.TemporaryDirectory(dir=scale.folder) as folder:
        small, large = scale.of(500_000, 50_000), rows
        costs = {size: microseconds_a_row(Path(folder), size) for size in (small, large)}
    yield Figure(
        name=f"save: CPU a row at {large:,} rows / at {small:,}",
        value=costs[large] / costs[small],
        unit="",
        target=1.1,
        less_is_better=True,
        note=f"{costs[small]:.3f} and {costs[large]:.3f} CPU-microseconds a row",
    )


def beside_copying(folder: Path, rows: int, *, rounds: int) -> Iterator[Figure]:
    """Yield how long a save and a restore take, in copies of the same bytes."""
    store, saved, copied = filled(rows), Folder.open(folder / "saved"), folder / "copied"
    saved.make()
    copied.mkdir()
    files: list[TableFile] = []
    cpu_s: dict[str, list[float]] = {}

    def save() -> None:
        files[:] = store.save(saved, step=1)

    def side(name: str, work: Callable[[], None]) -> Callable[[], float]:
        def measured() -> float:
            for path in copied.iterdir() if name in ("copy", "write") else ():
                path.unlink()
            if name == "save":
                shutil.rmtree(saved.local_path)
                saved.make()
            times: Times = timed(work)
            cpu_s.setdefault(name, []).append(times.cpu_s)
            return times.wall_s

        return measured

    save()
    data = np.zeros(max(file.file_bytes for file in files), dtype=np.uint8)
    sides = {
        "copy": side("copy", lambda: copy(saved.local_path, copied)),
        "write": side("write", lambda: write(copied, files, data)),
        "read": side("read", lambda: read(saved.local_path, files, data)),
        "save": side("save", save),
        "restore": side("restore", lambda: store.restore(saved, files, step=1)),
    }
    paired(sides, rounds=1)
    cpu_s.clear()
    found = paired(sides, rounds=rounds)
    megabytes = sum(file.file_bytes for file in files) / 1e6
    for name, floor, what in (("save", "write", "writing from memory"), ("restore", "read", "reading")):
        yield ratio(found, name, floor, f"of {megabytes:.0f} MB; floor: {what}, with no work")
        yield Figure(name=f"{name} of {rows:,} rows", value=float(np.median(cpu_s[name])), unit="CPU-s")


def ratio(found: Paired, name: str, floor: str, note: str) -> Figure:
    """Return a side's time in copies."""
    return Figure(
        name=f"{name}: time / copying the same bytes",
        value=found.ratio(name, "copy"),
        unit="",
        target=1.3,
        floor=found.ratio(floor, "copy"),
        less_is_better=True,
        note=f"{found.median(name):.2f} s and {found.median('copy'):.2f} s {note}",
    )


def microseconds_a_row(folder: Path, rows: int) -> float:
    """Return the CPU-microseconds that a save takes a row: the median of five after a first."""
    store, saved = filled(rows), Folder.open(folder / str(rows))
    saved.make()
    times = [timed(lambda: store.save(saved, step=1)).cpu_s for _ in range(6)]
    shutil.rmtree(saved.local_path)
    return float(np.median(times[1:])) / rows * 1e6


def filled(rows: int) -> "EmbeddedStore":
    """Return a store with one table of rows whose ids are in no order."""
    import_tfra()
    from esmm_dist.embedding.embedded_store import EmbeddedStore

    store, random = EmbeddedStore(("main",), CONFIG, seed=1), np.random.default_rng(0)
    slots = store.table("main").slot_columns
    for first in range(0, rows, _FILLED_ROWS):
        count = min(_FILLED_ROWS, rows - first)
        store.load(
            "main",
            TableRows(
                ids=mix64(np.arange(first, first + count, dtype=np.int64)).view(np.int64),
                rows=random.random((count, DIM), dtype=np.float32),
                slots=random.random((count, slots), dtype=np.float32),
                last_step=np.ones(count, dtype=np.int64),
                count=np.ones(count, dtype=np.int64),
            ),
        )
    return store


def copy(source: Path, target: Path) -> None:
    """Copy all files of a folder, each on the disk before the next."""
    for path in sorted(source.iterdir()):
        with path.open("rb") as data, (target / path.name).open("wb") as out:
            shutil.copyfileobj(data, out, _PIECE)
            out.flush()
            os.fsync(out.fileno())


def write(target: Path, files: list[TableFile], data: U8) -> None:
    """Write as many bytes into as many files, from memory."""
    for file in files:
        with (target / file.path).open("wb") as out:
            out.write(data[: file.file_bytes].data)
            out.flush()
            os.fsync(out.fileno())


def read(source: Path, files: list[TableFile], data: U8) -> None:
    """Read all files into the same memory."""
    for file in files:
        with (source / file.path).open("rb", buffering=0) as stream:
            stream.readinto(data[: file.file_bytes].data)


if __name__ == "__main__":
    show(__doc__, figures)
