"""Run a program as real Horovod ranks on this machine, started by ``horovodrun``."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class RanksResult:
    """How the ranks ended."""

    status: int
    """0 if all ended with 0."""
    out: list[str]
    """For each rank, what it wrote on stdout."""
    err: list[str]


@contextmanager
def started_ranks(
    number: int, *command: str | Path, folder: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Start a command on ``number`` ranks for the ``with`` block, by ``horovodrun``.

    It needs nothing but its path and this tree on PYTHONPATH; ranks on this machine are started without ssh.

    Args:
        number: number of ranks
        command: A program and its arguments.
        folder: Gets the ranks' output; must not exist.
        environment: Laid over this process's.
    """
    horovodrun = (sys.executable, "-P", "-m", "tests.parallel.told_horovodrun")
    line = [*horovodrun, "-np", str(number), "--output-filename", folder, *command]
    given = {**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})}
    with subprocess.Popen(
        [str(word) for word in line], env=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()  # it ends its ranks


def finished_ranks(
    process: "subprocess.Popen[str]", number: int, folder: Path, *, timeout_s: float = 200
) -> RanksResult:
    """Wait for ranks that ``started_ranks`` started.

    Args:
        process: the process of horovodrun
        number: number of ranks
        folder: As given to ``started_ranks``.
        timeout_s: Until the test fails.
    """
    try:
        output, _ = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.terminate()
        output, _ = process.communicate(timeout=60)
        raise AssertionError(f"{number} ranks did not end within {timeout_s} s:\n{output}") from None
    width = len(str(number - 1))
    ranks = [folder / f"rank.{rank:0{width}d}" for rank in range(number)]
    assert all(rank.is_dir() for rank in ranks), output
    return RanksResult(
        status=process.returncode,
        out=[_written(rank / "stdout") for rank in ranks],
        err=[_written(rank / "stderr") for rank in ranks],
    )


def run_ranks(
    number: int,
    *command: str | Path,
    folder: Path,
    timeout_s: float = 200,
    environment: Mapping[str, str] | None = None,
) -> RanksResult:
    """Run a command on ``number`` ranks and wait for all of them; see ``started_ranks``."""
    with started_ranks(number, *command, folder=folder, environment=environment) as process:
        return finished_ranks(process, number, folder, timeout_s=timeout_s)


def process_of_rank(horovodrun: int, rank: int) -> int:
    """Return the process id of a rank's own process, not of one of the shells around it.

    Args:
        horovodrun: Process id.
        rank: The rank.
    """
    found, parents = [], [horovodrun]
    for parent in parents:  # grows while it is walked
        with suppress(FileNotFoundError, ProcessLookupError):  # a process that has ended meanwhile
            children = _children(parent)
            parents += children
            environment = Path(f"/proc/{parent}/environ").read_bytes().split(b"\0")
            if not children and f"HOROVOD_RANK={rank}".encode() in environment:
                found.append(parent)
    (process,) = found
    return process


def _children(process: int) -> list[int]:
    tasks = Path(f"/proc/{process}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def _written(path: Path) -> str:
    """Return a rank's output without the ``[0]<stdout>:`` that horovodrun puts before each line."""
    return re.sub(r"^\[\d+\]<std(out|err)>:", "", path.read_text(), flags=re.MULTILINE)
