"""The cores that processes side by side get."""

import sys
from collections.abc import Sequence

# Runs in the new process, before its program. TensorFlow, BLAS and the kernels make as many threads as there are cores
# that a process may use, so this bounds them all
_ON_CORES = """
import os, sys
os.sched_setaffinity(0, map(int, sys.argv[1].split(",")))
os.execv(sys.argv[2], sys.argv[2:])
"""


def cores_of_jobs(cores: Sequence[int], jobs: int) -> list[list[int] | None]:
    """Return the cores of each job: shares of the same size, shared ones if there are too few; None: all."""
    if jobs == 1:
        return [None]
    each = max(1, len(cores) // jobs)
    return [[cores[(job * each + i) % len(cores)] for i in range(each)] for job in range(jobs)]


def on_cores(cores: Sequence[int] | None, command: Sequence[str]) -> tuple[str, ...]:
    """Return the words that run a command on some of the cores; None: on all."""
    if cores is None:
        return tuple(command)
    return (sys.executable, "-I", "-S", "-c", _ON_CORES, ",".join(map(str, cores)), *command)
