"""Measure parameter servers: pulls and pushes, saving and restoring, and a whole run against the embedded store.

    python tests/benchmarks/server_speed.py                 # pulls, pushes, save and restore at 4.5 M rows
    python tests/benchmarks/server_speed.py --undo          # a push that can be undone against one that cannot
    python tests/benchmarks/server_speed.py --run           # CPU-seconds of a whole training, embedded, and on a server

Servers are processes of their own, and so is every client. The figures are ids a core-second: the CPU time of all
processes together, so that work elsewhere on the machine counts little; and the ratio to the embedded store.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from esmm_dist.arrays import F32, Ids
from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.run_tables import RunTables
from esmm_dist.parameter_server.config import ClientConfig
from esmm_dist.process.quiet import import_tfra
from tests.support.server_processes import ESMM, ServerProcesses, server_processes

ROWS = 4_519_540
DIM = 16
BATCHES = (10_000, 50_000, 200_000)
REPEATS = 6
RANKS = 64
CONFIG = EmbeddingConfig(embedding_dim=DIM, embedding_optimizer="adagrad")
TABLES = RunTables(names=("main",), embedding=CONFIG, seed=1)


def main() -> None:
    """Measure what the flags say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", action="store_true", help="a whole training in place of pulls and pushes")
    parser.add_argument("--undo", action="store_true", help="what it costs that a push can be undone")
    parser.add_argument("--wire", default="float32", help="form of the values on the wire")
    parser.add_argument("--client", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    import_tfra()
    if arguments.client:
        be_client(json.loads(arguments.client))
    elif arguments.undo:
        cost_of_undo()
    elif arguments.run:
        whole_run()
    else:
        pulls_and_pushes(arguments.wire)


def pulls_and_pushes(wire: str) -> None:
    """Measure the embedded store, one server and two, with one client and four."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        print(f"{ROWS:,} rows, D = {DIM}, Adagrad, {wire} on the wire; thousand ids a core-second")
        print(f"{'store':12s} {'clients':>7s} {'unique ids':>10s} {'pull':>8s} {'push':>8s}")
        embedded = embedded_speed()
        for size in BATCHES:
            print(f"{'embedded':12s} {1:7d} {size:10,} {embedded[size][0]:8.0f} {embedded[size][1]:8.0f}", flush=True)
        for count in (1, 2):
            name = f"{count} server{'s' if count > 1 else ''}"
            with server_processes(count) as servers:
                bench = Bench(servers, run / str(count), wire)
                bench.fill()
                for clients in (1, 4):
                    for size in BATCHES:
                        pull, push = bench.speed(clients, size)
                        print(f"{name:12s} {clients:7d} {size:10,} {pull:8.0f} {push:8.0f}", flush=True)
                bench.save_and_restore(name)


def embedded_speed() -> dict[int, tuple[float, float]]:
    """Return thousands of ids a core-second of pull and push, by batch size."""
    from esmm_dist.embedding.embedded_store import EmbeddedStore

    store, found = EmbeddedStore(("main",), CONFIG, seed=1), {}
    for ids in all_ids():
        store.push(store.prepare("main", ids), np.ones((len(ids), DIM), np.float32), impressions=1, step=1)
    for size in BATCHES:
        seconds, total = np.zeros(2), 0
        for repeat in range(REPEATS):
            ids, gradients = batch(size, repeat)
            times = [time.process_time()]
            store.pull(store.prepare("main", ids))
            times.append(time.process_time())
            store.push(store.prepare("main", ids), gradients, impressions=1, step=2)  # a new ticket has read nothing
            times.append(time.process_time())
            if repeat:  # the first one warms up
                seconds, total = seconds + np.diff(times), total + len(ids)
        found[size] = tuple(total / seconds / 1000)
    return found


def cost_of_undo() -> None:
    """Measure a push with its read, as a server makes it, where it can be undone and where it cannot; and an undo."""
    from esmm_dist.embedding.table import EmbeddingTable

    tables = {keep: EmbeddingTable("main", CONFIG, seed=1, keep_undo=keep) for keep in (False, True)}
    for table in tables.values():
        for ids in all_ids():
            table.push(table.prepare(ids), np.ones((len(ids), DIM), np.float32), impressions=1, step=1)
    print(f"{'unique ids':>10s} {'push':>9s} {'undoable':>9s} {'ratio':>6s} {'undo':>9s}   CPU-ms")
    for size in BATCHES:
        cpu_ms: dict[str, list[float]] = {"push": [], "undoable": [], "undo": []}
        for repeat in range(1, 4 * REPEATS):
            ids, gradients = batch(size, repeat)
            order = [("push", False), ("undoable", True)]
            for name, keep in order if repeat % 2 else reversed(order):  # the second finds the gradients in the cache
                start = time.process_time()
                tables[keep].push(tables[keep].prepare(ids), gradients, impressions=1, step=repeat + 1)
                cpu_ms[name].append(1000 * (time.process_time() - start))
            start = time.process_time()
            tables[True].undo_push()
            cpu_ms["undo"].append(1000 * (time.process_time() - start))
        push, undoable, undo = (float(np.median(cpu_ms[name])) for name in ("push", "undoable", "undo"))
        print(f"{size:10,} {push:9.2f} {undoable:9.2f} {undoable / push:6.2f} {undo:9.2f}", flush=True)


class Bench:
    """A table of 4.5 M rows on servers, and clients that are ranks of its run."""

    def __init__(self, servers: ServerProcesses, run: Path, wire: str) -> None:
        """Open the run, for many ranks: each client is a new one, since a rank's steps follow each other."""
        from esmm_dist.parameter_server.generations import next_generation
        from esmm_dist.parameter_server.remote_store import RemoteStore
        from esmm_dist.parameter_server.run_identity import RunIdentity

        self._servers, self._wire = servers, wire
        config = ClientConfig(servers=servers.servers, update_mode="async")
        self._task: dict[str, Any] = {
            "servers": servers.servers,
            "run": str(run),
            "generation": next_generation(config),
        }
        identity = RunIdentity(location=str(run), generation=self._task["generation"], rank=0, world_size=RANKS)
        self._store = RemoteStore(config, TABLES, identity)
        self._run, self._rank = run, 0

    def fill(self) -> None:
        """Create the rows."""
        for step, ids in enumerate(all_ids(), start=1):
            self._store.push(
                self._store.prepare("main", ids), np.ones((len(ids), DIM), np.float32), impressions=1, step=step
            )

    def speed(self, clients: int, size: int) -> tuple[float, float]:
        """Return thousands of ids a core-second of pull and push, over the processes of all clients and servers."""
        found = []
        for call in ("pull", "push"):
            processes = []
            for _ in range(clients):
                self._rank += 1
                task = {**self._task, "rank": self._rank, "size": size, "call": call, "wire": self._wire}
                line = [sys.executable, __file__, "--client", json.dumps(task)]
                processes.append(subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
            for process in processes:
                assert process.stdout is not None
                process.stdout.readline()  # it is ready
            before = self._server_cpu_s()
            outputs = [json.loads(out) for out in at_once(processes)]
            cpu_s = sum(out["cpu_s"] for out in outputs) + self._server_cpu_s() - before
            found.append(sum(out["ids"] for out in outputs) / cpu_s / 1000)
        return found[0], found[1]

    def save_and_restore(self, name: str) -> None:
        """Measure both, as one rank does it: a run of one rank takes the rows over."""
        from esmm_dist.parameter_server.generations import next_generation
        from esmm_dist.parameter_server.remote_store import RemoteStore
        from esmm_dist.parameter_server.run_identity import RunIdentity
        from esmm_dist.storage.folder import Folder

        config = ClientConfig(servers=self._servers.servers)
        generation = next_generation(config)
        self._store.close_run()
        identity = RunIdentity(location=str(self._run), generation=generation, rank=0, world_size=1)
        store = RemoteStore(config, TABLES, identity)
        for step, ids in enumerate(all_ids(), start=1):
            store.push(store.prepare("main", ids), np.ones((len(ids), DIM), np.float32), impressions=1, step=step)
        folder = Folder.open(self._run) / "checkpoints" / "step-00000001"
        folder.make()
        for what in ("save", "restore"):
            start, before = time.monotonic(), self._server_cpu_s()
            if what == "save":
                files = store.save(folder, step=step)
                megabytes = sum(file.file_bytes for file in files) / 1e6
            else:
                store.restore(folder, files, step=step)
            took, cpu_s = time.monotonic() - start, self._server_cpu_s() - before
            print(f"{name:12s} {what} of {megabytes:.0f} MB: {took:.1f} s, {cpu_s:.1f} CPU-s", flush=True)
        store.close_run()

    def _server_cpu_s(self) -> float:
        return sum(cpu_seconds(process.pid) for process in self._servers.processes)


def be_client(task: dict[str, Any]) -> None:
    """Pull or push as one of several clients; print the CPU-seconds that it took, without the start."""
    from esmm_dist.parameter_server.remote_store import RemoteStore
    from esmm_dist.parameter_server.run_identity import RunIdentity

    identity = RunIdentity(location=task["run"], generation=task["generation"], rank=task["rank"], world_size=RANKS)
    config = ClientConfig(servers=task["servers"], update_mode="async", wire=task["wire"])
    store = RemoteStore(config, TABLES, identity)
    batches = [batch(task["size"], repeat + 100 * task["rank"]) for repeat in range(REPEATS)]
    store.pull(store.prepare("main", batches[0][0]))
    print("ready", flush=True)
    sys.stdin.readline()
    start = time.process_time()
    for step, (ids, gradients) in enumerate(batches, start=1):
        if task["call"] == "pull":
            store.pull(store.prepare("main", ids))
        else:
            store.push(store.prepare("main", ids), gradients, impressions=1, step=step)
    cpu_s = time.process_time() - start
    store.close()
    print(json.dumps({"cpu_s": cpu_s, "ids": sum(len(ids) for ids, _ in batches)}))


def at_once(processes: list[subprocess.Popen[str]]) -> list[str]:
    """Let waiting clients go at the same time; return what each prints."""
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return [process.communicate()[0] for process in processes]


def whole_run() -> None:
    """Train one pass over full-length lists, embedded and on one server."""
    from tests.benchmarks.figures import Scale
    from tests.benchmarks.reference_work import data_set

    with tempfile.TemporaryDirectory() as folder, server_processes(1) as servers:
        data = data_set(Scale(folder=Path(folder)), 8)
        server = servers.processes[0].pid
        for name, flags in {"embedded": [], "one server": ["--servers", servers.servers]}.items():
            run = Path(folder) / name.replace(" ", "-")
            line = ["train", "--data", str(data), "--run", str(run), "--epochs", "1", "--eval-split", "none"]
            line += ["--global-batch-records", "512", "--checkpoint-every-steps", "0", "--json", *flags]
            before = cpu_seconds(server) + children_cpu_seconds()
            done = subprocess.run([str(ESMM), *line], check=True, stdout=subprocess.PIPE, text=True)
            cpu_s = cpu_seconds(server) + children_cpu_seconds() - before
            result = json.loads(done.stdout.splitlines()[-1])
            million = cpu_s / result["impressions"] * 1e6
            rate = result["impressions"] / result["seconds"]
            print(f"{name:12s} {million:8.1f} CPU-s a million impressions, start included; {rate:,.0f} impressions/s")


def all_ids() -> Iterator[Ids]:
    """Yield all ids of the table in sorted parts, in no order among each other."""
    ids = np.random.default_rng(0).permutation(ROWS).astype(np.int64)
    for start in range(0, ROWS, 200_000):
        yield np.sort(ids[start : start + 200_000])


def batch(size: int, seed: int) -> tuple[Ids, F32]:
    """Return ``size`` unique ids that exist, and gradients."""
    random = np.random.default_rng(seed)
    ids = np.sort(random.choice(ROWS, size, replace=False, shuffle=False)).astype(np.int64)
    return ids, random.normal(size=(size, DIM)).astype(np.float32)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def children_cpu_seconds() -> float:
    """Return the CPU time of all ended children of this process."""
    times = os.times()
    return times.children_user + times.children_system


if __name__ == "__main__":
    main()
