"""Processes that end with the one that started them, whatever ends it."""

import os
import sys
from collections.abc import Sequence

# Runs in the new process, before its program: asks the kernel to kill it (9) when the process that started it ends
# (PR_SET_PDEATHSIG is 1), and leaves at once if that has happened already. It is a program of its own rather than a
# preexec_fn, whose Python code between fork and exec may block on a lock that another thread held.
_TIED_TO_PARENT = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)
if os.getppid() != int(sys.argv[1]):
    os._exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""


def tied_to_this_process(command: Sequence[str]) -> tuple[str, ...]:
    """Return the words that run a command which the kernel kills (-9) when this process ends.

    Start it from the main thread: the kernel kills it when the thread that started it ends.
    """
    return (sys.executable, "-I", "-S", "-c", _TIED_TO_PARENT, str(os.getpid()), *command)
