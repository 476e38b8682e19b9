"""Compare what ``esmm plan`` computes with trainings of 1 to 3 workers and 1 to 3 servers, also on slow networks.

    python -m tests.benchmarks.plan_check                       # as root: every case, 10 minutes on 2 idle cores
    python -m tests.benchmarks.plan_check --only 2-1,1-2:100    # workers-servers[:Mbit/s[:ms of a round trip]]

Each process has a network namespace of its own (``tests/support/network_namespaces.py``), which limits and delays what
it sends. All share the cores of this machine, which the plan is told. The figure of a case is the relative error of the
predicted time of a step. Measured is the first quartile of 36 steps: other work on the machine only slows them.
"""

import argparse
import contextlib
import itertools
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from launcher.plan.constants import PlanConstants, read_constants
from tests.benchmarks.figures import Figure, Scale, table
from tests.benchmarks.reference_work import BATCH_IMPRESSIONS, ESMM, data_set
from tests.support.network_namespaces import DEVICE, NetworkNamespace, network_namespaces, why_no_namespaces

WARM_UP, STEPS = 12, 36
TARGET = 0.25
START_S = 120.0


@dataclass(frozen=True, kw_only=True)
class Case:
    """A training."""

    workers: int
    servers: int
    rate_mbit: float | None = None
    round_trip_ms: float = 0.0

    @property
    def name(self) -> str:
        """What it is, in words."""
        rate = "" if self.rate_mbit is None else f", {self.rate_mbit:g} Mbit/s"
        delay = f", {self.round_trip_ms:g} ms" if self.round_trip_ms else ""
        return f"{self.workers} workers, {self.servers} servers{rate}{delay}"

    @classmethod
    def parsed(cls, text: str) -> "Case":
        """Return the case of ``workers-servers[:Mbit/s[:ms]]``."""
        numbers, *limits = text.split(":")
        workers, servers = map(int, numbers.split("-"))
        rate = float(limits[0]) if limits and limits[0] else None
        delay = float(limits[1]) if len(limits) > 1 else 0.0
        return cls(workers=workers, servers=servers, rate_mbit=rate, round_trip_ms=delay)


CASES = (
    "1-0,1-1,1-2,1-3,2-1,2-2,3-1,3-3,1-1:1000,1-1:100,1-2:100,2-1:100,2-2:100,3-2:100,1-1::5,2-1::1,2-2::5,1-2:1000:1"
)
"""The cases that are measured where nothing else is said."""


def main() -> None:
    """Measure, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=CASES, help="cases: %(default)s")
    parser.add_argument("--folder", type=Path, default=Path("build/bench"), help="where the data is made and kept")
    parser.add_argument("--constants", type=Path, help="as of esmm plan")
    parser.add_argument(
        "--measured", type=Path, help="file that keeps the measured steps: those in it are not made again"
    )
    parser.add_argument("--program", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.program:
        name, *words = arguments.program
        (be_worker if name == "worker" else be_rendezvous)(*words)
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # namespaces and processes go too
    if reason := why_no_namespaces():
        print(f"skipped: {reason}")
        return
    constants, scale = read_constants(arguments.constants), Scale(folder=arguments.folder)
    known = read_measured(arguments.measured)
    figures = []
    for text in arguments.only.split(","):
        case = Case.parsed(text)
        if text not in known:
            known[text] = measure(case, data_set(scale, 8))
            if arguments.measured:
                arguments.measured.write_text(json.dumps(known, indent=1))
        figures.append(compared(case, known[text], data_set(scale, 8), constants))
        print(f"{figures[-1].name}: {figures[-1].note}", flush=True)
    print(table(figures))


def read_measured(path: Path | None) -> dict[str, dict[str, float]]:
    """Return the steps that were measured before, by case."""
    if path is None or not path.is_file():
        return {}
    found: dict[str, dict[str, float]] = json.loads(path.read_text())
    return found


def compared(case: Case, measured: dict[str, float], data: Path, constants: PlanConstants) -> Figure:
    """Return the error of a prediction."""
    predicted = predict(case, data, constants)
    error = abs(predicted.seconds / measured["step_s"] - 1)
    limit = max(predicted.bounds, key=lambda each: predicted.bounds[each])
    note = (
        f"{1000 * predicted.seconds:.0f} ms predicted, {1000 * measured['step_s']:.0f} measured; "
        f"CPU of all processes {1000 * cpu_s(case, predicted, constants):.0f} predicted, "
        f"{1000 * measured['cpu_s']:.0f} measured; limit: {limit}"
    )
    return Figure(name=case.name, value=error, unit="", target=TARGET, less_is_better=True, note=note)


def cpu_s(case: Case, step: Any, constants: PlanConstants) -> float:
    """Return the predicted CPU time of all processes in a step."""
    worker, server = step.cpu_s
    asking = constants.allreduce_busy_cores * step.seconds if case.workers > 1 else 0.0
    return float(case.workers * (worker + asking) + case.servers * server)


def predict(case: Case, data: Path, constants: PlanConstants) -> Any:
    """Return the step that ``esmm plan`` computes for a case on this machine."""
    from launcher.plan.config import PlanConfig
    from launcher.plan.run import make_cluster, make_workload
    from launcher.plan.step_time import step_time

    cores = float(os.cpu_count() or 1)
    settings = PlanConfig(
        data=data,
        workers=case.workers,
        servers=case.servers,
        shared_cores=cores,
        worker_cores=cores,
        server_cores=cores,
        network_gbps=LOCAL_GBPS if case.rate_mbit is None else case.rate_mbit / 1000,
        network_ms=max(case.round_trip_ms, LOCAL_MS),
        batch_impressions=batch_impressions(data),
    )
    return step_time(make_workload(settings, constants), make_cluster(settings), constants)


LOCAL_GBPS, LOCAL_MS = 15.0, 0.05
"""The network between namespaces without a limit, as a socket measures it."""


def batch_impressions(data: Path) -> float:
    """Return the impressions of a batch of the reference work."""
    from esmm_dist.schema.manifest import read_manifest
    from tests.benchmarks.reference_work import batch_records

    manifest = read_manifest(data)
    train = manifest.splits["train"]
    return batch_records(manifest) * train.impressions / train.records or BATCH_IMPRESSIONS


def measure(case: Case, data: Path) -> dict[str, float]:
    """Train in namespaces; return the time of a step (first quartile, median) and its CPU time over all processes."""
    with tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as stack:
        folder = Path(temporary)
        token = folder / "token"
        token.write_text("plan-check-" + os.urandom(16).hex())
        token.chmod(0o600)
        machines = stack.enter_context(
            network_namespaces(case.workers + case.servers, rate_mbit=case.rate_mbit, round_trip_ms=case.round_trip_ms)
        )
        of_workers, of_servers = machines[: case.workers], machines[case.workers :]
        servers = start_servers(of_servers, folder, token, stack)
        addresses = [read_when_there(folder / f"address-{index}") for index in range(case.servers)]
        place = start_rendezvous(of_workers, token, stack)
        words = [str(data), str(folder / "run"), ",".join(addresses) or "embedded", str(token)]
        workers = [
            started(of_workers[rank], "worker", words, stack, environment=ranks_environment(of_workers, rank, place))
            for rank in range(case.workers)
        ]
        for worker in workers:
            read_line(worker, "ready")
        before = [cpu_s_of(server.pid) for server in servers]
        for worker in workers:
            say_go(worker)
        seen = [json.loads(read_line(worker, "{")) for worker in workers]
        of_all_servers = sum(cpu_s_of(server.pid) for server in servers) - sum(before)
        for worker in workers:  # they close together
            say_go(worker)
        assert [worker.wait(timeout=60) for worker in workers] == [0] * case.workers
    cpu = sum(each["cpu_s"] for each in seen) + of_all_servers / STEPS
    return {"step_s": float(seen[0]["step_s"]), "cpu_s": cpu, "median_s": float(seen[0]["median_s"])}


def start_servers(
    machines: Sequence[NetworkNamespace], folder: Path, token: Path, stack: contextlib.ExitStack
) -> list[subprocess.Popen[str]]:
    """Start a server on each machine."""
    servers = []
    for index, machine in enumerate(machines):
        numbers = ["--index", str(index), "--count", str(len(machines)), "--bind", f"{machine.address}:0"]
        files = ["--token-file", str(token), "--address-file", str(folder / f"address-{index}")]
        line = machine.line(*ESMM, "server", *numbers, *files)
        log = stack.enter_context((folder / f"server-{index}.log").open("w"))
        servers.append(ended_with(stack, subprocess.Popen(line, stdout=log, stderr=log, text=True)))
    return servers


def start_rendezvous(machines: Sequence[NetworkNamespace], token: Path, stack: contextlib.ExitStack) -> str:
    """Start the rendezvous of the ranks on rank 0's machine; return its place; empty for one rank, which needs none."""
    if len(machines) == 1:
        return ""
    process = started(machines[0], "rendezvous", [machines[0].address, str(len(machines)), str(token)], stack)
    return read_line(process, "place ").removeprefix("place ")


def ranks_environment(machines: Sequence[NetworkNamespace], rank: int, place: str) -> dict[str, str]:
    """Return what tells a rank who it is: each is alone on its machine."""
    if not place:
        return {}
    from launcher.local.process_plans import GLOO_TIMEOUT, horovod_environment

    return horovod_environment(rank, len(machines), place) | {
        "HOROVOD_HOSTNAME": machines[rank].address,
        "HOROVOD_LOCAL_RANK": "0",
        "HOROVOD_LOCAL_SIZE": "1",
        "HOROVOD_CROSS_RANK": str(rank),
        "HOROVOD_CROSS_SIZE": str(len(machines)),
        "HOROVOD_GLOO_IFACE": DEVICE,
        GLOO_TIMEOUT: "120",
    }


def started(
    machine: NetworkNamespace,
    program: str,
    words: Sequence[str],
    stack: contextlib.ExitStack,
    environment: dict[str, str] | None = None,
) -> "subprocess.Popen[str]":
    """Start a program of this module on a machine."""
    line = machine.line(sys.executable, "-m", "tests.benchmarks.plan_check", "--program", program, *words)
    process = subprocess.Popen(
        line, env={**os.environ, **(environment or {})}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    return ended_with(stack, process)


def ended_with(stack: contextlib.ExitStack, process: "subprocess.Popen[str]") -> "subprocess.Popen[str]":
    """Have a process end with the block."""

    def end() -> None:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()

    stack.callback(end)
    return process


def read_line(process: "subprocess.Popen[str]", begin: str) -> str:
    """Return the next line that begins so."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(begin):
            return line.strip()
    raise AssertionError(f"{process.args!r} ended without a line that begins with {begin!r}")


def say_go(process: "subprocess.Popen[str]") -> None:
    """Let a process go on that waits for a line."""
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def read_when_there(path: Path) -> str:
    """Wait for a file, and return its text."""
    give_up = time.monotonic() + START_S
    while not path.exists() or not path.read_text().strip():
        assert time.monotonic() < give_up, (
            f"{path} did not come; {[log.read_text() for log in path.parent.glob('*.log')]}"
        )
        time.sleep(0.05)
    return path.read_text().strip()


def cpu_s_of(pid: int) -> float:
    """Return the CPU time that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# ---- the processes in the namespaces


def be_rendezvous(host: str, size: str, token: str) -> None:
    """Serve the rendezvous of ranks, each on a machine of its own, until the input ends."""
    from horovod.runner.common.util.hosts import HostInfo, get_host_assignments

    from launcher.driver.rendezvous_server import RendezvousServer

    server = RendezvousServer(Path(token).read_text(), host)
    place = server.start()
    machines = [HostInfo(f"machine-{rank}", 1) for rank in range(int(size))]
    server.init(get_host_assignments(machines, int(size)))
    print(f"place {place}", flush=True)
    sys.stdin.read()


def be_worker(data: str, run: str, servers: str, token: str) -> None:
    """Train; print the time of a step (first quartile, median), and the CPU time of one."""
    from esmm_dist.process.quiet import import_tfra
    from esmm_dist.progress import NoProgress
    from esmm_dist.ranks.open_world import open_world
    from esmm_dist.reporter import NO_REPORTER
    from tests.benchmarks.reference_work import reference_config

    config = reference_config(Path(data), Path(run), epochs=50)
    if servers != "embedded":
        config = replace(config, store=replace(config.store, servers=servers, token_file=Path(token)))
    world = open_world(Path(token))
    import_tfra()
    from esmm_dist.train.open_trainer import open_trainer

    with open_trainer(config, NoProgress(), world, NO_REPORTER) as trainer:
        trainer.train_steps(WARM_UP)
        print("ready", flush=True)
        sys.stdin.readline()
        with step_ends(trainer.store) as ends:
            cpu = time.process_time()
            trainer.train_steps(STEPS)
            cpu = time.process_time() - cpu
        steps = [b - a for a, b in itertools.pairwise(ends)]
        quartile = statistics.quantiles(steps, n=4)[0]
        seen = {"step_s": quartile, "median_s": statistics.median(steps), "cpu_s": cpu / STEPS}
        print(json.dumps(seen), flush=True)
        sys.stdin.readline()


@contextlib.contextmanager
def step_ends(store: Any) -> Iterator[list[float]]:
    """Note the times at which pushes end."""
    ends: list[float] = []
    push = store.push

    def noting(*args: Any, **kwargs: Any) -> None:
        push(*args, **kwargs)
        ends.append(time.monotonic())

    store.push = noting
    try:
        yield ends
    finally:
        del store.push


if __name__ == "__main__":
    main()
