"""A signal at the worst moment: with locks taken that an executor's threads need, and nothing yet to give them back."""

import signal
from concurrent.futures import _base
from typing import Any


def interrupt_in_locks(number: int) -> None:
    """Have each wait for futures send this process a signal when it has just taken their locks."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts what it runs in the background without
    futures_kind: Any = vars(_base)["_AcquireFutures"]
    acquire = futures_kind.__enter__

    def acquire_and_be_interrupted(futures: object) -> None:
        acquire(futures)
        print("interrupted", flush=True)
        signal.raise_signal(number)

    futures_kind.__enter__ = acquire_and_be_interrupted
