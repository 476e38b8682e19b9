"""How the cost of an impression grows with the log: synth, preprocess, train and evaluate at several sizes.

    python -m tests.benchmarks.growth --folder /disk --sizes 1000000:0.5 10000000:4.5

A size is impressions, and millions of ids that the fields of the log have together. Lists are a fifth of Ali-CCP's. For
each command: CPU-seconds a million impressions, without what the same command takes on a log of 20,000 (its start);
memory of its largest process; disk that it leaves. Each size's files are deleted when it is done.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.reference_work import ESMM

START_IMPRESSIONS = 20_000
ALL_IDS_MILLIONS = 7.8
"""Ids of all fields at ``--dimension-scale 1``"""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a command has taken."""

    command: str
    cpu_s: float
    wall_s: float
    memory_gb: float
    """Peak memory of its largest process"""
    disk_gb: float
    """Size of what it has written"""
    result: dict[str, Any]


def main() -> None:
    """Measure the sizes of the command line, after a log that shows what a start costs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where all is made and deleted again; None: a temporary folder")
    parser.add_argument("--sizes", nargs="+", default=["1000000:0.5", "10000000:4.5"], metavar="IMPRESSIONS:MILLIONS")
    parser.add_argument("--list-scale", type=float, default=0.2)
    arguments = parser.parse_args()
    sizes = [
        (int(impressions), float(ids)) for impressions, _, ids in (size.partition(":") for size in arguments.sizes)
    ]
    for _ in range(2):  # the first one may compile kernels
        start = measure(arguments.folder, START_IMPRESSIONS, sizes[0][1], arguments.list_scale)
    print("| impressions | ids kept | command | CPU-s a million | wall s | memory, GB | disk, GB |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for impressions, ids in sizes:
        costs = measure(arguments.folder, impressions, ids, arguments.list_scale)
        kept = costs[2].result["rows"]
        for cost, of_start in zip(costs, start, strict=True):
            million = cpu_s_a_million(cost.cpu_s, impressions, of_start.cpu_s)
            print(
                f"| {impressions:,} | {kept:,} | {cost.command} | {million:.2f} | {cost.wall_s:.0f} | "
                f"{cost.memory_gb:.2f} | {cost.disk_gb:.2f} |",
                flush=True,
            )


def cpu_s_a_million(cpu_s: float, impressions: int, start_cpu_s: float) -> float:
    """Return the CPU-seconds a million impressions beyond those of the log that shows what a start costs."""
    return (cpu_s - start_cpu_s) / (impressions - START_IMPRESSIONS) * 1e6


def measure(folder: Path | None, impressions: int, million_ids: float, list_scale: float) -> list[Cost]:
    """Make a log, train one pass of it and evaluate; return each command's cost."""
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        raw, data, run = (Path(temporary) / name for name in ("raw", "data", "run"))
        lists = ["--list-scale", str(list_scale), "--dimension-scale", str(million_ids / ALL_IDS_MILLIONS)]
        costs = [
            cost_of(["synth", str(raw), "--impressions", str(impressions), *lists], raw),
            cost_of(["preprocess", str(raw), str(data), *_PREPROCESS], data),
        ]
        shutil.rmtree(raw)
        costs.append(cost_of(["train", "--data", str(data), "--run", str(run), *_TRAIN], run))
        costs.append(cost_of(["evaluate", "--run", str(run), "--data", str(data), "--no-baseline"], run))
        return costs


_PREPROCESS = ("--schema", "aliccp-full", "--min-count", "1", "--group-size", "8", "--lanes", "64")
_LARGE_LOG = ("--embedding-learning-rate", "0.05", "--hidden-units", "256", "128", "--linear-scale", "0")
_TRAIN = ("--epochs", "1", "--global-batch-records", "512", "--eval-split", "none", *_LARGE_LOG)


def cost_of(arguments: list[str], written: Path) -> Cost:
    """Run a command of the product, its report to stderr."""
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen([*ESMM, *arguments, "--json"], stdout=out)
        began = os.times().elapsed
        _, status, used = os.wait4(process.pid, 0)
        wall_s = os.times().elapsed - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            sys.exit(f"esmm {' '.join(arguments)} ended with status {process.returncode}")
        out.seek(0)
        result = json.loads(out.read().splitlines()[-1])
    size = sum(path.stat().st_size for path in written.rglob("*") if path.is_file())
    return Cost(
        command=arguments[0],
        cpu_s=used.ru_utime + used.ru_stime,
        wall_s=wall_s,
        memory_gb=used.ru_maxrss * 1024 / 1e9,
        disk_gb=size / 1e9,
        result=result,
    )


if __name__ == "__main__":
    main()
