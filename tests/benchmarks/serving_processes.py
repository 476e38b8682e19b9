"""Memory of the processes of ``esmm serve`` with one table of about a gigabyte, and the answers while versions come.

    python -m tests.benchmarks.serving_processes [--quick] [--json FILE]

The table has 14 M rows of 16 float32 values. One user and 200 candidates a request, of random ids, so that in time
every page of the table is read. Memory is resident (RSS) and its share where several processes have a page (PSS), of
all processes of the server together, the supervising one included.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil

from esmm_dist.embedding.placement import bucket_of, bucket_ranges
from esmm_dist.embedding.start_values import StartValues
from esmm_dist.process.quiet import import_tfra
from tests.benchmarks.figures import Figure, Scale, show
from tests.benchmarks.open_loop import Load, read_load
from tests.support.serve_process import ServeProcess, serve_process, wait_until

DIM = 16
ROWS = 14_000_000
CHANGED = 0.01
"""Share of the rows that a delta changes"""
RATE, REQUESTS, CANDIDATES = 50, 500, 200
_PARTS = 16


def figures(scale: Scale) -> Iterator[Figure]:
    """Yield each figure as soon as it is known."""
    import_tfra()
    rows = scale.of(ROWS, 200_000)
    scale.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scale.folder) as temporary:
        folder = Path(temporary)
        write(folder / "made", "1", rows, seed=1)
        write(folder / "made", "2.delta", rows, seed=2, base=folder / "made" / "1")
        write(folder / "made", "3", rows, seed=3)
        models = folder / "models"
        models.mkdir()
        (folder / "made" / "1").rename(models / "1")
        bodies = folder / "bodies"
        bodies.write_text("".join(json.dumps(each) + "\n" for each in requests(rows)))
        for workers in (1, 2, 4):
            with serve_process(models, "--workers", str(workers)) as server:
                wait_for_workers(server, workers)
                load(server, bodies, scale.of(20, 2))
                yield from memory(server, workers)
        yield from refreshed(models, folder / "made", bodies, scale.of(40, 10))


def wait_for_workers(server: ServeProcess, workers: int) -> None:
    """Wait until all workers have mapped the table."""
    wait_until(lambda: sum(any(f.path.endswith(".npy") for f in w.memory_maps()) for w in server.workers()) == workers)


def memory(server: ServeProcess, workers: int) -> Iterator[Figure]:
    """Yield the memory of a server."""
    processes = [psutil.Process(server.process.pid), *server.workers()]
    found = [process.memory_full_info() for process in processes]
    mapped = sum(file.pss for process in processes for file in process.memory_maps() if file.path.endswith(".npy"))
    name = f"{workers} worker{'s' * (workers > 1)}"
    yield _mb(f"{name}: resident, each summed", sum(each.rss for each in found))
    yield _mb(f"{name}: resident, shared pages once (PSS)", sum(each.pss for each in found))
    yield _mb(f"{name}: ... of them the table's", mapped)


def refreshed(models: Path, made: Path, bodies: Path, seconds: int) -> Iterator[Figure]:
    """Yield the p99 in the seconds around a delta and around a full version, and that of the rest."""
    with serve_process(models, "--workers", "1") as server:
        load(server, bodies, 3)
        sending, out = start_load(server, bodies, seconds)
        windows = {}
        for name in ("2.delta", "3"):
            time.sleep(seconds / 3)
            begin = time.monotonic()
            (made / name).rename(models / name)
            server.wait_for(f"Version {name} answers")
            windows[name] = (begin, time.monotonic() + 0.5)
        assert sending.wait() == 0
        found = read_load(out)
        print(server.log, file=sys.stderr)
    taken = [found.between(*window) for window in windows.values()]
    rest = Load(sent=tuple(each for each in found.sent if not any(each in part.sent for part in taken)), cpu_s=0.0)
    yield _ms("p50 in between", rest.latency_s(0.5))
    yield _ms("p99 in between", rest.latency_s(0.99))
    for (name, (begin, end)), part in zip(windows.items(), taken, strict=True):
        yield _ms(f"p99 while version {name} is taken", part.latency_s(0.99), f"{end - begin:.1f} s")
        yield _ms(f"... the slowest of {len(part.sent)}", part.latency_s(1.0))
    yield Figure(name="failed requests", value=found.failed, unit="requests", target=0, less_is_better=True)


def start_load(server: ServeProcess, bodies: Path, seconds: int) -> tuple[subprocess.Popen[bytes], Path]:
    """Start a load generator."""
    out = Path(tempfile.mkdtemp(dir=bodies.parent)) / "load.json"
    line = [sys.executable, "-m", "tests.benchmarks.open_loop", "--address", server.address, "--out", str(out)]
    line += ["--bodies", str(bodies), "--rate", str(RATE), "--seconds", str(seconds)]
    return subprocess.Popen(line, stdout=sys.stderr), out


def load(server: ServeProcess, bodies: Path, seconds: int) -> None:
    """Send requests for some time."""
    process, _ = start_load(server, bodies, seconds)
    assert process.wait() == 0


def requests(rows: int) -> Iterator[dict[str, object]]:
    """Yield requests of random ids."""
    random = np.random.default_rng(5)
    for _ in range(REQUESTS):
        ids = random.integers(0, rows, 1 + CANDIDATES).tolist()
        yield {"user": ids[0], "candidates": [{"item": id_} for id_ in ids[1:]]}


def write(models: Path, name: str, rows: int, *, seed: int, base: Path | None = None) -> None:
    """Write a version of one table; a delta with one row in a hundred changed."""
    from esmm_dist.calibration.logit_transform import LogitTransform
    from esmm_dist.embedding.config import EmbeddingConfig
    from esmm_dist.inference.exported_towers import ExportedTowers
    from esmm_dist.inference.served_export import write_towers
    from esmm_dist.model.config import ModelConfig
    from esmm_dist.model.esmm import Esmm
    from esmm_dist.schema.fields import Field, Schema
    from esmm_dist.served_model.mapped_model import MappedModel
    from esmm_dist.served_model.row_parts import RowsPart
    from esmm_dist.served_model.writing import ServedContent, TableRowsToServe, write_delta, write_full

    schema = Schema(
        name="served",
        labels=("click", "conversion"),
        fields=(Field(name="user", owner="user"), Field(name="item", owner="item")),
    )
    model = Esmm(schema, EmbeddingConfig(embedding_dim=DIM), ModelConfig(hidden_units=(256, 128)), seed=seed)
    folder = models / name
    folder.mkdir(parents=True)
    write_towers(ExportedTowers(schema, model, LogitTransform.of(1.0, None)), folder)

    def parts() -> Iterator[RowsPart]:
        all_ids = np.arange(rows, dtype=np.int64)
        buckets = bucket_of(all_ids)
        for first, last in bucket_ranges(_PARTS):
            ids = all_ids[(buckets >= first) & (buckets < last)]
            values = np.random.default_rng(first).standard_normal((len(ids), DIM), np.float32)
            values[ids % round(1 / CHANGED) == 0] += seed
            yield RowsPart(first_bucket=first, last_bucket=last, ids=ids, rows=values)

    starts = StartValues(embedding_dim=DIM, scale=0.5, seed=7).choices
    table = TableRowsToServe(name="main", row_type="float32", start_rows=starts, parts=parts())
    about = ServedContent(
        run="run",
        step=10 * seed,
        seed=7,
        schema=schema,
        seen_fields=("user", "item"),
        lists=(),
        uses_norms=False,
        calibrated=False,
        settings={"row_type": "float32", "fields": ["user", "item"], "min_count": 0},
        towers_digest=str(seed),
    )
    if base is None:
        write_full(folder / "served", about, [table])
    else:
        write_delta(folder / "served", about, [table], MappedModel.open([base]), base_version=base.name)


def _mb(name: str, value: float) -> Figure:
    return Figure(name=name, value=value / 1e6, unit="MB", less_is_better=True)


def _ms(name: str, seconds: float, note: str = "") -> Figure:
    return Figure(name=name, value=1000 * seconds, unit="ms", less_is_better=True, note=note)


if __name__ == "__main__":
    show(__doc__, figures)
