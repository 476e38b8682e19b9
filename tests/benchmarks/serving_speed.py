"""Speed of ``esmm serve``: one user with about 600 ids and 200 candidates a request, from another process.

    python -m tests.benchmarks.serving_speed [--quick] [--folder FOLDER] [--json FILE]

The server has one core, and the load generator (``open_loop.py``) another where there is one. The model is that of
``served_work.py``: 4.5 M rows, D = 16, two towers of 256 and 128. Beside it, on the same core, the exported SavedModel
alone, without HTTP, that scores 200 joined rows, the user once a candidate: by the values of the log, as the server
gets them; as records; and as packed ids, for which nothing is left to parse.
"""

import contextlib
import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from esmm_dist.inference.export_folder import DESCRIPTION
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.schema.fields import Schema
from tests.benchmarks.figures import Figure, Scale, paired, show
from tests.benchmarks.open_loop import Load, Sent, read_load
from tests.benchmarks.reference_work import ESMM
from tests.benchmarks.served_work import CANDIDATES, ServedWork, joined_rows, records_of, served_work, values_of

RATE = 50
"""Requests a second"""
P99_MS = 15.0
LEAST_RATIO = 5.0
MOST_REFRESH = 2.0
STEPS_TO_MOST = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3)
"""Shares of the saturated rate that are tried for the highest rate with a p99 within the target"""
_CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, LOAD_CORE = _CORES[0], _CORES[-1]
_START_S = 120.0
_SIGNATURE_INPUTS = ("user_ids", "user_lengths", "impression_ids", "impression_lengths", "impressions_per_group")


def figures(scale: Scale) -> Iterator[Figure]:
    """Yield each figure as soon as it is known."""
    work = served_work(scale)
    with tempfile.TemporaryDirectory(dir=scale.folder) as temporary:
        bench = Bench(work, Path(temporary), seconds=scale.of(30, 3))
        yield from bench.at_rate()
        yield from bench.beside_the_saved_model(rounds=scale.of(3, 1))
        yield from bench.refreshed(rounds=scale.of(3, 1))
        yield from bench.other_settings()


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server that answers."""

    address: str
    process: psutil.Process

    def cpu_s(self) -> float:
        """Return the CPU time of all of its processes so far."""
        processes = [self.process, *self.process.children(recursive=True)]
        return float(sum(sum(each.cpu_times()[:2]) for each in processes))

    def memory_mb(self) -> float:
        """Return the memory that its processes have for themselves, without the pages of files that they share."""
        processes = [self.process, *self.process.children(recursive=True)]
        return float(sum(each.memory_full_info().uss for each in processes)) / 2**20


class Bench:
    """Measures one model."""

    def __init__(self, work: ServedWork, folder: Path, *, seconds: float) -> None:
        """Write the requests.

        Args:
            work: what is served and asked
            folder: folder for models and results
            seconds: length of the longest measurement
        """
        self._work, self._folder, self._seconds = work, folder, seconds
        self._bodies = folder / "bodies"
        bodies = work.bodies()
        self._bodies.write_bytes(b"\n".join(bodies))
        size = np.mean([len(body) for body in bodies]) / 1000
        self._asked = f"{work.ids_of_user:.0f} ids, {CANDIDATES} candidates, {size:.0f} kB a request"

    def at_rate(self) -> Iterator[Figure]:
        """Yield latency and CPU time at the target's rate, the most requests, and the rate that keeps the target."""
        with self.server(self.models()) as server:
            before = server.cpu_s()
            load = self.load(server, rate=RATE)
            cpu_s = (server.cpu_s() - before) / len(load.sent)
            yield self._p99(f"p99 at {RATE} requests/s", load, target=P99_MS, note=self._asked)
            yield _ms("... p50", load.latency_s(0.5))
            yield Figure(name="... failed", value=load.failed, unit="requests", target=0, less_is_better=True)
            yield Figure(name="... CPU a request", value=1000 * cpu_s, unit="CPU-ms", less_is_better=True)
            yield Figure(name="... memory of its own", value=server.memory_mb(), unit="MiB", less_is_better=True)
            most = self.closed(server).rate
            yield Figure(name="most requests, 8 connections", value=most, unit="requests/s")
            for share in STEPS_TO_MOST:
                load = self.load(server, rate=share * most, seconds=self._seconds / 3)
                if 1000 * load.latency_s(0.99) < P99_MS or share == STEPS_TO_MOST[-1]:
                    break
            name = f"highest rate tried with a p99 below {P99_MS:g} ms"
            met = 1000 * load.latency_s(0.99) < P99_MS
            yield Figure(
                name=name, value=share * most if met else 0.0, unit="requests/s", note=f"{share:.0%} of the most"
            )

    def beside_the_saved_model(self, *, rounds: int) -> Iterator[Figure]:
        """Yield how many requests the SavedModel alone scores, and the server in its place."""
        seconds = max(self._seconds / 6, 1.0)
        with self.server(self.models()) as server:
            sides: dict[str, Callable[[], float]] = {
                "server": lambda: self.closed(server, seconds=seconds).rate,
                "values": lambda: self.saved_model("values", seconds),
                "records": lambda: self.saved_model("records", seconds),
                "packed": lambda: self.saved_model("packed", seconds),
                "user once": lambda: self.saved_model("user once", seconds),
            }
            found = paired(sides, rounds=rounds)
        yield Figure(
            name="requests/s / plain SavedModel on 200 joined rows, values of the log",
            value=found.ratio("server", "values"),
            unit="",
            target=LEAST_RATIO,
            note=f"{found.median('server'):.0f} from JSON over HTTP, {found.median('values'):.1f} in its own process",
        )
        yield Figure(
            name="requests/s / plain SavedModel on 200 joined rows, records",
            value=found.ratio("server", "records"),
            unit="",
            target=LEAST_RATIO,
            note=f"{found.median('records'):.1f} in its own process",
        )
        for form, text in (("packed", "200 joined rows, packed ids"), ("user once", "the user once, packed ids")):
            yield Figure(
                name=f"requests/s / plain SavedModel on {text}",
                value=found.ratio("server", form),
                unit="",
                note=f"{found.median(form):.0f} a second in its own process, without HTTP and JSON",
            )

    def refreshed(self, *, rounds: int) -> Iterator[Figure]:
        """Yield the p99 while deltas are taken, in that of the rest of the same load."""
        during: list[Sent] = []
        rest: list[Sent] = []
        waits_s: list[float] = []
        taken = failed = 0
        for _ in range(rounds):
            load, published = self._with_deltas()
            windows = [(begin, taken_at(load, begin) + 1.0) for begin in published]
            for each in load.sent:
                within = any(begin <= each.due_s < end for begin, end in windows)
                (during if within else rest).append(each)
            waits_s += [end - begin - 1.0 for begin, end in windows]
            taken += len({each.version for each in load.answered}) - 1
            failed += load.failed
        p99_during, p99_rest = (Load(sent=tuple(each), cpu_s=0.0).latency_s(0.99) for each in (during, rest))
        yield Figure(
            name="p99 while a delta is taken / p99 before and after",
            value=p99_during / p99_rest,
            unit="",
            target=MOST_REFRESH,
            less_is_better=True,
            note=f"{1000 * p99_during:.1f} and {1000 * p99_rest:.1f} ms; {taken} deltas, {len(during)} requests",
        )
        yield Figure(name="... failed", value=failed, unit="requests", target=0, less_is_better=True)
        wait_s = float(np.mean(waits_s))
        yield Figure(name="... until it answers", value=wait_s, unit="s after the delta is there", less_is_better=True)

    def _with_deltas(self) -> tuple[Load, list[float]]:
        """Send requests while all deltas come one by one; return what came of them, and when each delta was there."""
        models = self.models()
        published: list[float] = []
        with self.server(models) as server:
            pause_s = max(self._seconds / (len(self._work.deltas) + 1), 5.0)
            sending = self.start_load(server, rate=RATE, seconds=pause_s * (len(self._work.deltas) + 1))
            for delta in self._work.deltas:
                time.sleep(pause_s)
                hidden = models / f".{delta.name}"
                shutil.copytree(delta, hidden, copy_function=os.link)
                hidden.rename(models / delta.name)
                published.append(time.monotonic())
            return self.finish_load(sending), published

    def other_settings(self) -> Iterator[Figure]:
        """Yield what request batching and a second worker do to the most requests."""
        models, seconds = self.models(), self._seconds / 3
        sides = {"as it is": [], "without": ["--max-batch-impressions", "1"]}
        with contextlib.ExitStack() as stack:
            servers = {name: stack.enter_context(self.server(models, *flags)) for name, flags in sides.items()}
            found = paired({name: _rate_of(self, each, seconds) for name, each in servers.items()}, rounds=2)
        yield Figure(name="most requests with batching / without", value=found.ratio("as it is", "without"), unit="")
        if len(_CORES) == 1:
            return
        with contextlib.ExitStack() as stack:
            # Both have all cores, and share them with the load
            counts = {n: stack.enter_context(self.server(models, cores=_CORES, workers=n)) for n in (1, 2)}
            found = paired({str(n): _rate_of(self, each, seconds) for n, each in counts.items()}, rounds=2)
        note = f"{len(_CORES)} cores, the load on them too"
        yield Figure(name="most requests of 2 workers / of 1", value=found.ratio("2", "1"), unit="", note=note)

    def models(self) -> Path:
        """Return a new folder that holds the whole version."""
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        shutil.copytree(self._work.whole, folder / "1", copy_function=os.link)
        return folder

    @contextlib.contextmanager
    def server(self, models: Path, *flags: str, cores: list[int] | None = None, workers: int = 1) -> Iterator[Server]:
        """Start a server on some cores; end it by SIGTERM."""
        given = set(cores or [SERVER_CORE])
        address = Path(tempfile.mkdtemp(dir=self._folder)) / "address"
        line = [*ESMM, "serve", str(models), "--port", "0", "--address-file", str(address), "--drain-s", "0", *flags]
        line += ["--workers", str(workers)]
        process = subprocess.Popen(line, stdout=sys.stderr, preexec_fn=lambda: os.sched_setaffinity(0, given))
        try:
            give_up = time.monotonic() + _START_S
            while not (address.exists() and is_ready(address.read_text().strip())):
                if process.poll() is not None or time.monotonic() > give_up:
                    raise SystemExit("the server did not start; see above")
                time.sleep(0.05)
            server = Server(address=address.read_text().strip(), process=psutil.Process(process.pid))
            if not self.load(server, rate=20, seconds=2).answered:  # and each kind of work has been done once
                raise SystemExit("the server answers no request")
            yield server
        finally:
            process.terminate()
            process.wait(60)

    def start_load(self, server: Server, *, rate: float, seconds: float, flags: tuple[str, ...] = ()) -> Any:
        """Start a load generator."""
        out = Path(tempfile.mkdtemp(dir=self._folder)) / "load.json"
        line = [sys.executable, "-m", "tests.benchmarks.open_loop", "--address", server.address, "--out", str(out)]
        line += ["--bodies", str(self._bodies), "--rate", str(rate), "--seconds", str(seconds)]
        return subprocess.Popen([*line, "--core", str(LOAD_CORE), *flags], stdout=sys.stderr), out

    def finish_load(self, started: Any) -> Load:
        """Wait for a load generator; return what it has measured."""
        process, out = started
        if process.wait() != 0:
            raise SystemExit("the load generator failed; see above")
        return read_load(out)

    def load(self, server: Server, *, rate: float, seconds: float | None = None) -> Load:
        """Send requests at a rate."""
        return self.finish_load(self.start_load(server, rate=rate, seconds=seconds or self._seconds))

    def closed(self, server: Server, *, seconds: float | None = None) -> Load:
        """Send requests as fast as they are answered, by 8 connections."""
        flags = ("--closed", "--connections", "8")
        return self.finish_load(self.start_load(server, rate=1, seconds=seconds or self._seconds / 3, flags=flags))

    def saved_model(self, form: str, seconds: float) -> float:
        """Return how many requests a second the SavedModel scores in a process of its own, on the server's core."""
        tensors = self._folder / f"{form}.npz"
        if not tensors.exists():
            inputs = json.loads((self._work.whole / DESCRIPTION).read_text(encoding="utf-8"))["values"]
            requests = [_saved_model_inputs(user, form, self._work.schema, inputs) for user in self._work.users[:8]]
            np.savez(
                tensors, **{f"{n}_{name}": each for n, found in enumerate(requests) for name, each in found.items()}
            )
        line = [sys.executable, "-m", "tests.benchmarks.serving_speed", "--score", str(self._work.whole), str(tensors)]
        done = subprocess.run(
            [*line, str(seconds)],
            check=True,
            capture_output=True,
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {SERVER_CORE}),
        )
        return float(done.stdout.split()[-1])

    def _p99(self, name: str, load: Load, *, target: float, note: str) -> Figure:
        value = 1000 * load.latency_s(0.99)
        return Figure(name=name, value=value, unit="ms", target=target, less_is_better=True, note=note)


def is_ready(address: str) -> bool:
    """Tell whether a server has a version to answer with."""
    with contextlib.closing(http.client.HTTPConnection(address, timeout=1)) as connection:
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            return False


def taken_at(load: Load, published_s: float) -> float:
    """Return the time of the first answer by another version than was there at a time."""
    before = [each.version for each in load.answered if each.due_s < published_s][-1]
    later = [each for each in load.answered if each.due_s >= published_s and each.version != before]
    if not later:
        raise SystemExit("a delta was not taken while the load lasted")
    return later[0].due_s + later[0].latency_s


def _saved_model_inputs(user: GroupedBatch, form: str, schema: Schema, inputs: dict[str, Any]) -> dict[str, Any]:
    """Return the inputs of a signature; of records their bytes, and how many each has."""
    if form == "values":
        return values_of(joined_rows(user), schema, inputs)
    if form == "records":
        records = records_of(joined_rows(user), schema)
        return {
            "bytes": np.frombuffer(b"".join(records), np.uint8),
            "lengths": np.array([len(each) for each in records]),
        }
    rows = user if form == "user once" else joined_rows(user)
    names = [*_SIGNATURE_INPUTS, "user_weights", "impression_weights"]
    return {name: getattr(rows, name) for name in names if getattr(rows, name) is not None}


def _rate_of(bench: Bench, server: Server, seconds: float) -> Callable[[], float]:
    return lambda: bench.closed(server, seconds=seconds).rate


def _ms(name: str, seconds: float) -> Figure:
    return Figure(name=name, value=1000 * seconds, unit="ms", less_is_better=True)


def _score(model: str, tensors: str, seconds: float) -> None:
    """Print how many requests a second a SavedModel scores: in this process, TensorFlow alone."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    loaded = tf.saved_model.load(model)
    requests: dict[str, dict[str, Any]] = {}
    with np.load(tensors) as file:
        for name in file.files:
            number, _, input_name = name.partition("_")
            requests.setdefault(number, {})[input_name] = file[name]
    signature = "serving_default" if "bytes" in requests["0"] else "features"
    score = loaded.signatures[signature if signature != "features" or "user_ids" in requests["0"] else "values"]
    for number, inputs in requests.items():
        if "bytes" in inputs:
            ends = np.cumsum(inputs["lengths"])
            data = inputs["bytes"].tobytes()
            records = [data[end - size : end] for end, size in zip(ends, inputs["lengths"], strict=True)]
            requests[number] = {"examples": tf.constant(records)}
        else:
            requests[number] = {name: tf.constant(value) for name, value in inputs.items()}
    for request in requests.values():
        score(**request)
    done, start = 0, time.monotonic()
    while time.monotonic() < start + seconds:
        for request in requests.values():
            score(**request)["pctcvr"].numpy()
            done += 1
    print(done / (time.monotonic() - start))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--score"]:
        _score(sys.argv[2], sys.argv[3], float(sys.argv[4]))
    else:
        show(__doc__, figures)
