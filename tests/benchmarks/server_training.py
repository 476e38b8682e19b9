"""Training with the rows on one parameter server of the same machine, in sync, against rows in the training process.

    python -m tests.benchmarks.server_training [--quick]

The reference work in groups of 8, from disk. Both trainers live in this process and take turns; a table has the rows of
the log's own ids, which the first pass makes. The CPU time is that of this process and of the server together.
"""

import dataclasses
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from esmm_dist.parameter_server.config import ClientConfig
from esmm_dist.process.quiet import import_tfra
from esmm_dist.progress import NoProgress
from tests.benchmarks.figures import Figure, Paired, Scale, show
from tests.benchmarks.reference_work import data_set, reference_config
from tests.support.server_processes import server_processes

_SIDES = ("embedded", "one server")


def figures(scale: Scale) -> Iterator[Figure]:
    """Yield each figure as soon as it is known."""
    import_tfra()
    cpu, wall = _turns(data_set(scale, 8), rounds=scale.of(6, 2), steps=scale.of(20, 4))
    embedded, server = _SIDES
    yield Figure(
        name="CPU time an impression, rows on one server over embedded",
        value=cpu.ratio(server, embedded),
        unit="",
        target=1.25,
        less_is_better=True,
        note="the wire alone takes 5 to 7 CPU-ms of each of a step's three calls",
    )
    yield Figure(
        name="wall time, rows on one server over embedded",
        value=wall.ratio(server, embedded),
        unit="",
        target=1.4,
        less_is_better=True,
    )
    for side in _SIDES:
        name = f"CPU time an impression, {side}"
        yield Figure(name=name, value=cpu.median(side), unit="µs", less_is_better=True)
        yield Figure(name=f"impressions a second, {side}", value=1e6 / wall.median(side), unit="impressions/s")


def _turns(data: Path, *, rounds: int, steps: int) -> tuple[Paired, Paired]:
    """Return microseconds an impression, of CPU and of wall time, by side."""
    from esmm_dist.train.trainer import Trainer

    cpu_us: dict[str, list[float]] = {side: [] for side in _SIDES}
    wall_us: dict[str, list[float]] = {side: [] for side in _SIDES}
    with ExitStack() as stack:
        servers = stack.enter_context(server_processes(1))
        server = servers.processes[0].pid
        trainers = {}
        for side in _SIDES:
            run = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            config = reference_config(data, run, epochs=1 + rounds)
            if side != "embedded":
                config = dataclasses.replace(config, store=ClientConfig(servers=servers.servers))
            trainers[side] = stack.enter_context(Trainer(config, NoProgress()))
            trainers[side].train_steps(2 * steps)  # compiles, and makes the rows
        for turn in range(rounds):
            for side in _SIDES if turn % 2 == 0 else _SIDES[::-1]:
                cpu, wall = time.process_time() + _cpu_s(server), time.monotonic()
                impressions = trainers[side].train_steps(steps)
                wall_us[side].append(1e6 * (time.monotonic() - wall) / impressions)
                cpu_us[side].append(1e6 * (time.process_time() + _cpu_s(server) - cpu) / impressions)
    return Paired(cpu_us), Paired(wall_us)


def _cpu_s(pid: int) -> float:
    """Return the CPU time that a process has taken, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    show(__doc__, figures)
