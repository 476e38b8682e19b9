"""Threads whose work waits while others have work."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

NICENESS = 10
"""19 is the most: with 10 the thread still gets a share of a busy core."""

SWITCH_S = 0.0005
"""How long a thread that computes in Python keeps the interpreter while another waits for it."""


def lower_priority_of_this_thread() -> None:
    """Let the other threads of the machine go first, for good: an ordinary user cannot raise a priority again."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


@contextmanager
def interpreter_shared_in_small_pieces() -> Iterator[None]:
    """Have threads hand over the interpreter after half a millisecond in place of Python's 5 ms, for the block.

    A thread that answers a request lets go of the interpreter several times, and waits that long to get it back
    whenever another thread computes in Python.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
