"""Measure the constants of ``esmm plan`` on this machine, and write them into a file for ``--constants``.

    python -m tests.benchmarks.plan_constants --out constants.yaml            # 5 minutes on 2 idle cores
    esmm plan --constants constants.yaml --impressions ... --ids ...

Each part of a step is measured by itself at several sizes, in a process of its own, as CPU time; a line through the
sizes (no coefficient below 0) gives what an id, a value, an impression and a call cost. What a training takes beyond
its parts is fitted the same way over trainings with other towers, dimensions and lists. ``launcher/plan/README.md``
says what each constant means; ``--only NAME,NAME`` measures some again and keeps the others of ``--out``.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import numpy as np

from launcher.plan.constants import PlanConstants, read_constants
from launcher.settings.setting_docs import setting_docs
from tests.benchmarks.figures import Scale

COMMAND = "python -m tests.benchmarks.plan_constants"
DIMS = (16, 64)
SIZES = (2_000, 20_000, 160_000)
TABLE_ROWS = 1_000_000
FIRST_PUSH = 1_000
RANKS = 2
Found = dict[str, float]


def main() -> None:
    """Measure what the flags say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("constants.yaml"), help="file to write")
    parser.add_argument("--folder", type=Path, default=Path("build/bench"), help="where the data is made and kept")
    parser.add_argument("--only", default=",".join(PARTS), help="parts to measure: %(default)s")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        task = json.loads(arguments.child)
        print(json.dumps(CHILDREN[task.pop("child")](**task)))
        return
    found = read_constants(arguments.out if arguments.out.is_file() else None)
    scale = Scale(folder=arguments.folder)
    for name in arguments.only.split(","):
        new = PARTS[name](scale, found)
        found = replace(found, **cast(Any, new))
        print(f"{name}: {', '.join(f'{key} {value:.3g}' for key, value in new.items())}", flush=True)
        write(arguments.out, replace(found, measured_on=machine(), measured_by=COMMAND))


def write(path: Path, constants: PlanConstants) -> None:
    """Write constants with what they mean."""
    lines = []
    for name, doc in setting_docs(PlanConstants).items():
        value = getattr(constants, name)
        text = json.dumps(value) if isinstance(value, str) else f"{value:#.3g}".rstrip(".").replace("e+0", "e+")
        lines += [f"# {doc}", f"{name}: {float(text) if not isinstance(value, str) else text}"]
    path.write_text("\n".join(lines) + "\n")


def machine() -> str:
    """Return the processor and the versions that decide the constants."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "?")
    return f"{os.cpu_count()} cores, {cpu}, Python {platform.python_version()}, TensorFlow {version('tensorflow')}"


# ---- the parts, each a function of the scale and of what is known by then


def reading(scale: Scale, known: PlanConstants) -> Found:
    """Read three data sets that differ in ids an impression and in impressions a record."""
    seen = [child("read", data=str(data)) for data in data_sets(scale).values()]
    record, impression, id_ = fitted(
        [[each["records"], each["impressions"], each["ids"]] for each in seen], [each["read_s"] for each in seen]
    )
    (lookup,) = fitted([[each["ids"]] for each in seen], [each["lookup_s"] for each in seen])
    full = seen[0]
    return {
        "read_us_per_record": record * 1e6,
        "read_us_per_impression": impression * 1e6,
        "read_ns_per_id": id_ * 1e9,
        "lookup_ns_per_id": lookup * 1e9,
        "disk_bytes_per_id": full["file_bytes"] / full["ids"],
        "id_skew": skew(data_sets(scale)["full"]),
    }


def table(scale: Scale, known: PlanConstants) -> Found:
    """Pull and push in this process."""
    sizes, pulls, pushes, index = [], [], [], 0.0
    for dim in DIMS:
        seen = child("table", dim=dim, rows=scale.of(TABLE_ROWS, 100_000))
        index = index or seen["index_bytes"]
        sizes += [[size, size * dim] for size in SIZES]
        pulls += seen["pull_s"]
        pushes += seen["push_s"]
    pull_id, pull_value = fitted(sizes, pulls)
    push_id, push_value = fitted(sizes, pushes)
    return {
        "embedded_pull_ns_per_id": pull_id * 1e9,
        "embedded_pull_ns_per_value": pull_value * 1e9,
        "embedded_push_ns_per_id": push_id * 1e9,
        "embedded_push_ns_per_value": push_value * 1e9,
        "index_bytes_per_row": index,
    }


def servers(scale: Scale, known: PlanConstants) -> Found:
    """Pull from one server and push to it, with the work of both sides."""
    from tests.support.server_processes import server_processes

    sizes, times, first = [], {key: [] for key in ("pull_client", "pull_server", "push_client", "push_server")}, {}
    for dim in DIMS:
        with server_processes(1) as started:
            pid = started.processes[0].pid
            rows = scale.of(TABLE_ROWS, 100_000)
            seen = child("client", servers=started.servers, server_pid=pid, dim=dim, rows=rows)
        first = first or seen
        sizes += [[size, size * dim, 1] for size in SIZES]
        for key, values in times.items():
            values += seen[key]
    found: Found = {}
    calls: dict[str, list[float]] = {"client": [], "server": []}
    for key, values in times.items():
        call, side = key.split("_")
        id_, value, fixed = fitted(sizes, values)
        found[f"{side}_{call}_ns_per_id"], found[f"{side}_{call}_ns_per_value"] = id_ * 1e9, value * 1e9
        calls[side].append(fixed)
    for side, fixed_s in calls.items():
        found[f"{side}_call_ms"] = float(np.mean(fixed_s)) * 1e3
    waits = [
        first[f"{call}_wall"][0] - first[f"{call}_client"][0] - first[f"{call}_server"][0] for call in ("pull", "push")
    ]
    return found | {
        "call_wait_ms": max(float(np.mean(waits)), 0.0) * 1e3,
        "save_ns_per_byte": first["save_s"] / first["checkpoint_bytes"] * 1e9,
        "restore_ns_per_byte": first["restore_s"] / first["checkpoint_bytes"] * 1e9,
        "server_base_mb": (first["first_push_bytes"] - DIMS[0] * 8 * FIRST_PUSH) / 1e6,
        "server_bytes_per_pushed_value": max(first["push_peak_bytes"], 0) / (SIZES[-1] * DIMS[0]),
    }


def allreduce(scale: Scale, known: PlanConstants) -> Found:
    """Add up small and large vectors of two ranks."""
    from tests.parallel.horovod_ranks import run_ranks

    with tempfile.TemporaryDirectory() as folder:
        program = [sys.executable, "-m", "tests.benchmarks.plan_constants", "--child", '{"child": "allreduce"}']
        done = run_ranks(RANKS, *program, folder=Path(folder) / "ranks")
    assert done.status == 0, done.err
    seen = json.loads(done.out[0].splitlines()[-1])
    small, large = seen["bytes"]
    rate = max(seen["cpu_s"][1] - seen["cpu_s"][0], 0.0) / (large - small)
    return {
        "allreduce_ms": seen["wall_s"][0] * 1e3,
        "allreduce_busy_cores": seen["cpu_s"][0] / seen["wall_s"][0],
        "allreduce_ns_per_byte": rate * 1e9,
    }


def trainings(scale: Scale, known: PlanConstants) -> Found:
    """Train embedded with other towers, dimensions and lists: what is no part of the above is pooling, towers, rest."""
    from launcher.plan.step_time import Cluster, step_time
    from launcher.plan.workload import Towers

    nothing = replace(
        known, pool_ns_per_value=0.0, tower_gflops=1e12, step_us_per_impression=0.0, step_ms=0.0, contention=0.0
    )
    cluster = Cluster(workers=1, servers=0, worker_cores=os.cpu_count() or 1, server_cores=1)
    rows, rest, seen, loads = [], [], [], []
    for data, dim, hidden, records in (
        ("full", 16, (256, 128), 512),
        ("full", 16, (), 512),
        ("full", 48, (256, 128), 512),
        ("short", 16, (256, 128), 512),
        ("short", 16, (256, 128), 64),
    ):
        each = child("train", data=str(data_sets(scale)[data]), dim=dim, hidden=hidden, records=records)
        load = workload_of(each, dim, Towers(labels=2, inputs=each["fields"] * dim, hidden_units=hidden))
        flops = load.batch_impressions * load.towers.operations
        rows.append([each["ids"] * dim, flops, load.batch_impressions, 1.0])
        rest.append(each["cpu_s"] - sum(step_time(load, cluster, nothing).cpu_s))
        seen.append(each)
        loads.append(load)
        print(f"  {data}, D = {dim}, {hidden}, {records} records: {json.dumps(each)}", flush=True)
    pool, flop, impression, step = fitted(rows, rest)
    full, short = seen[0], seen[3]
    found = {
        "pool_ns_per_value": pool * 1e9,
        "tower_gflops": 1e-9 / max(flop, 1e-13),
        "step_us_per_impression": impression * 1e6,
        "step_ms": step * 1e3,
        "worker_bytes_per_id": max(full["resident"] - short["resident"], 0.0) / (full["ids"] - short["ids"]),
    }
    found["worker_base_mb"] = max(short["resident"] - short["ids"] * found["worker_bytes_per_id"], 0.0) / 1e6
    parts = replace(known, **found, contention=0.0)
    contention = []
    for load, each in zip(loads, seen, strict=True):
        bounds = step_time(load, cluster, parts).bounds
        chain, busy = max(bounds["steps"], bounds["reading"]), bounds["worker cores"]
        contention.append((each["wall_s"] - max(chain, busy)) / min(chain, busy))
    found["contention"] = float(np.clip(np.median(contention), 0.0, 1.0))
    return found


def starting(scale: Scale, known: PlanConstants) -> Found:
    """Start ``esmm train`` for one step."""
    from tests.benchmarks.reference_work import ESMM

    with tempfile.TemporaryDirectory() as run:
        line = ["train", "--data", str(data_sets(scale)["short"]), "--run", str(Path(run) / "run"), "--max-steps", "1"]
        start = time.monotonic()
        subprocess.run([*ESMM, *line, "--eval-split", "none"], check=True, stdout=subprocess.DEVNULL)
    return {"start_s": time.monotonic() - start}


PARTS: dict[str, Callable[[Scale, PlanConstants], Found]] = {
    "reading": reading,
    "table": table,
    "servers": servers,
    "allreduce": allreduce,
    "trainings": trainings,
    "starting": starting,
}
"""In the order in which they need each other."""


# ---- what is measured in processes of their own


def read_data(data: str) -> dict[str, float]:
    """Read the train split, then read it and find the unique ids."""
    from esmm_dist.embedding.lookup import LookupPlan
    from esmm_dist.input.pipeline import BatchReader
    from esmm_dist.process.quiet import import_tfra
    from esmm_dist.schema.manifest import read_manifest
    from tests.benchmarks.reference_work import reference_config

    import_tfra()
    manifest = read_manifest(Path(data))
    train = manifest.splits["train"]
    reader = BatchReader(Path(data), manifest, "train", reference_config(Path(data), Path(data), epochs=1).input)
    plan, ids = LookupPlan(manifest.schema), 0
    seconds: dict[bool, list[float]] = {False: [], True: []}
    for with_lookup in (True, False, True, False):
        start, ids = time.process_time(), 0
        for batch in reader.epoch(0, seed=1):
            ids += len(batch.user_ids) + len(batch.impression_ids)
            if with_lookup:
                plan.prepare(batch)
        seconds[with_lookup].append(time.process_time() - start)
    return {
        "records": train.records,
        "impressions": train.impressions,
        "ids": ids,
        "read_s": seconds[False][-1],
        "lookup_s": max(seconds[True][-1] - seconds[False][-1], 0.0),
        "file_bytes": sum(shard.file_bytes for shard in train.shards),
    }


def use_table(dim: int, rows: int) -> dict[str, Any]:
    """Pull from a table in this process and push to it, as a training does: a ticket serves both."""
    from esmm_dist.embedding.config import EmbeddingConfig
    from esmm_dist.embedding.embedded_store import EmbeddedStore
    from esmm_dist.process.quiet import import_tfra

    import_tfra()
    before = resident_bytes(os.getpid())
    store = EmbeddedStore(("main",), EmbeddingConfig(embedding_dim=dim), seed=1)
    fill(store, rows, dim)
    index = (resident_bytes(os.getpid()) - before) / rows - (4 * 2 * dim + 8 + 8)
    found: dict[str, Any] = {"pull_s": [], "push_s": [], "index_bytes": max(index, 0.0)}
    step = 1000
    for size in SIZES:
        times = []
        for repeat in range(repeats(size)):
            ids, gradients = batch(rows, size, dim, repeat)
            clock = [time.process_time()]
            ticket = store.prepare("main", ids)
            store.pull(ticket)
            clock.append(time.process_time())
            step += 1
            store.push(ticket, gradients, impressions=1, step=step)
            clock.append(time.process_time())
            times.append(np.diff(clock))
        pull, push = np.median(times, axis=0)
        found["pull_s"].append(float(pull))
        found["push_s"].append(float(push))
    return found


def use_server(servers: str, server_pid: int, dim: int, rows: int) -> dict[str, Any]:
    """Pull from a server and push to it; save and restore."""
    from esmm_dist.embedding.config import EmbeddingConfig
    from esmm_dist.embedding.run_tables import RunTables
    from esmm_dist.parameter_server.config import ClientConfig
    from esmm_dist.parameter_server.generations import next_generation
    from esmm_dist.parameter_server.remote_store import RemoteStore
    from esmm_dist.parameter_server.run_identity import RunIdentity
    from esmm_dist.process.quiet import import_tfra
    from esmm_dist.storage.folder import Folder

    import_tfra()
    with tempfile.TemporaryDirectory() as run:
        config = ClientConfig(servers=servers)
        tables = RunTables(names=("main",), embedding=EmbeddingConfig(embedding_dim=dim), seed=1)
        identity = RunIdentity(location=run, generation=next_generation(config), rank=0, world_size=1)
        store = RemoteStore(config, tables, identity)
        ids, gradients = batch(rows, FIRST_PUSH, dim, 0)
        store.push(store.prepare("main", ids), gradients, impressions=1, step=1)
        found: dict[str, Any] = {"first_push_bytes": resident_bytes(server_pid)}
        ids, gradients = batch(rows, SIZES[-1], dim, 0)
        store.push(store.prepare("main", ids), gradients, impressions=1, step=2)
        row_bytes = 4 * 2 * dim + 8 + 8
        found["push_peak_bytes"] = peak_bytes(server_pid) - found["first_push_bytes"] - SIZES[-1] * row_bytes
        step = fill(store, rows, dim, first_step=2)
        for call in ("pull", "push"):
            for size in SIZES:
                ids, gradients = batch(rows, size, dim, size)
                ticket = store.prepare("main", ids)
                number = repeats(size)
                for counted in (False, True):
                    before = (time.monotonic(), time.process_time(), cpu_s_of(server_pid))
                    for _ in range(number if counted else 3):
                        if call == "pull":
                            store.pull(store.prepare("main", ids), step=step + 1)
                        else:
                            step += 1
                            store.push(ticket, gradients, impressions=1, step=step)
                    after = (time.monotonic(), time.process_time(), cpu_s_of(server_pid))
                took = [float(b - a) / number for a, b in zip(before, after, strict=True)]
                for name, value in zip(("wall", "client", "server"), took, strict=True):
                    found.setdefault(f"{call}_{name}", []).append(value)
        folder = Folder.open(Path(run)) / "checkpoints" / "step-00000001"
        folder.make()
        start = time.monotonic()
        files = store.save(folder, step=step)
        found["save_s"] = time.monotonic() - start
        found["checkpoint_bytes"] = sum(file.file_bytes for file in files)
        start = time.monotonic()
        store.restore(folder, files, step=step)
        found["restore_s"] = time.monotonic() - start
        store.close_run()
        store.close()
    return found


def add_up() -> dict[str, Any]:
    """Add up vectors of this rank and the others, as a step does."""
    from esmm_dist.process.quiet import import_tensorflow
    from esmm_dist.ranks.open_world import open_world

    tf = import_tensorflow()
    world = open_world()
    found: dict[str, Any] = {"bytes": [], "wall_s": [], "cpu_s": []}
    for size in (1_000, 2_000_000):
        flat = tf.ones([size])
        step = tf.function(lambda values: world.sum_in_step(values))
        for _ in range(5):
            step(flat)
        number = 40
        wall, cpu = time.monotonic(), time.process_time()
        for _ in range(number):
            step(flat)
        found["bytes"].append(4 * size)
        found["wall_s"].append((time.monotonic() - wall) / number)
        found["cpu_s"].append((time.process_time() - cpu) / number)
    return found


def train_steps(data: str, dim: int, hidden: Sequence[int], records: int) -> dict[str, float]:
    """Train embedded, and measure a step."""
    from esmm_dist.input.pipeline import BatchReader
    from esmm_dist.process.quiet import import_tfra
    from esmm_dist.progress import NoProgress
    from esmm_dist.schema.manifest import read_manifest
    from tests.benchmarks.reference_work import reference_config

    import_tfra()
    from esmm_dist.train.trainer import Trainer

    manifest = read_manifest(Path(data))
    with tempfile.TemporaryDirectory() as run:
        config = reference_config(Path(data), Path(run), epochs=3)
        config = replace(
            config,
            input=replace(config.input, global_batch_records=records),
            embedding=replace(config.embedding, embedding_dim=dim),
            model=replace(config.model, hidden_units=tuple(hidden)),
        )
        ids: list[tuple[int, int]] = []
        reader = BatchReader(Path(data), manifest, "train", config.input)
        for batch in reader.epoch(0, seed=config.seed):
            of_batch = np.concatenate([batch.user_ids, batch.impression_ids])
            ids.append((len(of_batch), len(np.unique(of_batch))))
            if len(ids) == 8:
                break
        trainer = Trainer(config, NoProgress())
        trainer.train_steps(min(reader.steps_per_epoch, 100))  # compiles, makes rows
        wall, cpu = time.monotonic(), time.process_time()
        steps = min(reader.steps_per_epoch, 100)
        impressions = trainer.train_steps(steps)
        wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    mean_ids, mean_unique = np.mean(ids, axis=0)
    return {
        "steps": steps,
        "wall_s": wall / steps,
        "cpu_s": cpu / steps,
        "impressions": impressions / steps,
        "group_size": manifest.splits["train"].impressions / manifest.splits["train"].records,
        "fields": len(manifest.schema.fields),
        "ids": float(mean_ids),
        "unique_ids": float(mean_unique),
        "resident": float(resident_bytes(os.getpid()) - trainer.store.num_rows("main") * (8 * dim + 50)),
    }


CHILDREN: dict[str, Callable[..., dict[str, Any]]] = {
    "read": read_data,
    "table": use_table,
    "client": use_server,
    "allreduce": add_up,
    "train": train_steps,
}


# ---- helpers


def child(name: str, **task: Any) -> dict[str, Any]:
    """Measure in a process of its own."""
    line = [sys.executable, "-m", "tests.benchmarks.plan_constants", "--child", json.dumps({"child": name, **task})]
    done = subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(found, dict)
    return found


def fitted(rows: Sequence[Sequence[float]], times: Sequence[float]) -> list[float]:
    """Return coefficients, none below 0, that fit times in relative terms: small sizes count as much as large ones."""
    from scipy.optimize import nnls

    matrix, wanted = np.array(rows, dtype=np.float64), np.array(times, dtype=np.float64)
    weights = 1 / np.maximum(wanted, 1e-9)
    scales = np.max(matrix * weights[:, None], axis=0)
    found, _ = nnls(matrix * weights[:, None] / scales, wanted * weights)
    return [float(value) for value in found / scales]


def data_sets(scale: Scale) -> Mapping[str, Path]:
    """Return data sets with full-length lists, in groups of 8 and of 64, and with short lists; made once."""
    from tests.benchmarks.reference_work import ESMM, data_set

    short, raw = scale.folder / "data-short", scale.folder / "raw-short"
    if not (short / "manifest.json").is_file():
        lists = ["--list-scale", "0.05", "--dimension-scale", "1"]
        groups = ["--schema", "aliccp-full", "--min-count", "1", "--group-size", "8"]
        for line in (
            ["synth", str(raw), "--impressions", "160000", *lists],
            ["preprocess", str(raw), str(short), *groups],
        ):
            subprocess.run([*ESMM, *line], check=True, stdout=sys.stderr)
    return {"full": data_set(scale, 8), "short": short, "large groups": data_set(scale, 64)}


def skew(data: Path) -> float:
    """Return the exponent whose power law has as many unique ids in a batch as a data set."""
    from scipy.optimize import brentq

    from esmm_dist.schema.manifest import read_manifest
    from launcher.plan.unique_ids import PowerLawIds, count_ids

    manifest = read_manifest(data)
    train = manifest.splits["train"]
    user_fields = frozenset(field.name for field in manifest.schema.user_fields)
    counted, user, own = count_ids(data / manifest.vocabulary_file, user_fields, train.impressions)
    wanted = counted.expected(512, 4096)

    def missing(exponent: float) -> float:
        law = PowerLawIds(ids=manifest.vocabulary_size, skew=exponent, ids_per_user=user, ids_per_impression=own)
        return law.expected(512, 4096) - wanted

    return float(brentq(missing, 0.1, 1.5))


class FixedUnique:
    """Unique ids that were counted."""

    def __init__(self, number: float) -> None:
        self._number = number

    def expected(self, records: float, impressions: float) -> float:
        """Return the number that was counted."""
        return self._number


def workload_of(seen: Mapping[str, float], dim: int, towers: Any) -> Any:
    """Return the work of a training that was measured."""
    from launcher.plan.workload import Workload

    records = seen["impressions"] / seen["group_size"]
    return Workload(
        impressions=10**6,
        epochs=1,
        batch_impressions=seen["impressions"],
        group_size=seen["group_size"],
        ids=10**6,
        ids_per_user=seen["ids"] / records,
        ids_per_impression=0.0,
        unique=FixedUnique(seen["unique_ids"]),
        dim=dim,
        slot_columns=dim,
        towers=towers,
    )


def fill(store: Any, rows: int, dim: int, first_step: int = 0) -> int:
    """Give a store its rows by pushes; return the last step."""
    ids = np.random.default_rng(0).permutation(rows).astype(np.int64)
    steps = first_step
    for start in range(0, rows, 200_000):
        part = np.sort(ids[start : start + 200_000])
        steps += 1
        store.push(store.prepare("main", part), np.ones((len(part), dim), np.float32), impressions=1, step=steps)
    return steps


def batch(rows: int, size: int, dim: int, seed: int) -> tuple[Any, Any]:
    """Return unique ids that have rows, and gradients."""
    random = np.random.default_rng(seed)
    ids = np.sort(random.choice(rows, size, replace=False)).astype(np.int64)
    return ids, random.normal(size=(size, dim)).astype(np.float32)


def repeats(size: int) -> int:
    """Return how often to measure a size: long enough for the clock of another process, which ticks every 10 ms."""
    return 60 if size < 10_000 else 20 if size < 100_000 else 7


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def peak_bytes(pid: int) -> int:
    """Return the most resident memory that a process has had."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def cpu_s_of(pid: int) -> float:
    """Return the CPU time that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
