"""Run a program as real Horovod ranks on this machine, started by ``horovodrun``."""

import os
import re
import subprocess
import sys
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


def run_ranks(
    number: int, *command: str | Path, folder: Path, timeout_s: float = 200, environment: dict[str, str] | None = None
) -> RanksResult:
    """Start ``python COMMAND`` on ``number`` ranks and wait for all of them.

    ``horovodrun`` needs nothing but the environment's ``bin`` in front of its name and this tree on PYTHONPATH; ranks
    on this machine are started without ssh. It is in a session of its own, so that a time-out ends the ranks too.

    Args:
        number: Of ranks.
        command: A script and its arguments, or ``-m`` and a module.
        folder: Gets the ranks' output; must not exist.
        timeout_s: Until all are killed and the test fails.
        environment: Laid over this process's.
    """
    horovodrun = Path(sys.executable).with_name("horovodrun")
    line = [horovodrun, "-np", str(number), "--output-filename", folder, sys.executable, *command]
    given = {**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})}
    with subprocess.Popen(
        [str(word) for word in line], env=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            output, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            process.terminate()  # it ends its ranks
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


def _written(path: Path) -> str:
    """Return a rank's output without the ``[0]<stdout>:`` that horovodrun puts before each line."""
    return re.sub(r"^\[\d+\]<std(out|err)>:", "", path.read_text(), flags=re.MULTILINE)
