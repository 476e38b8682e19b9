"""Pulls and pushes of one client on one server against the table in the process: ids a core-second, all processes.

    python -m tests.benchmarks.flight_speed [--quick]

``server_speed.py`` measures more sizes, clients and servers.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from esmm_dist.process.quiet import import_tfra
from tests.benchmarks.figures import Figure, Scale, show
from tests.benchmarks.server_speed import BATCHES, Bench, embedded_speed
from tests.support.server_processes import server_processes

TARGET = 0.6


def figures(scale: Scale) -> Iterator[Figure]:
    """Yield each figure as soon as it is known."""
    import_tfra()
    size = scale.of(BATCHES[-1], BATCHES[0])
    embedded = embedded_speed()[size]
    with tempfile.TemporaryDirectory() as folder, server_processes(1) as servers:
        bench = Bench(servers, Path(folder) / "run", "float32")
        bench.fill()
        served = bench.speed(1, size)
    for call, here, there in zip(("pull", "push"), embedded, served, strict=True):
        yield Figure(
            name=f"{call} through Flight / in process, a core-second",
            value=there / here,
            unit="",
            target=TARGET,
            note=f"{there / 1000:.1f} and {here / 1000:.1f} M ids; the wire alone takes 35 CPU-ns an id of D = 16",
        )


if __name__ == "__main__":
    show(__doc__, figures)
