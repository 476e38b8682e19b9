"""Ctrl-C and SIGTERM end the work, but never in the middle of code that holds locks other threads wait for."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Interrupts:
    """Raises KeyboardInterrupt at SIGINT and SIGTERM: at once, or at the end of a ``held`` block.

    Within the block of ``installed``, in the main thread: Python sets and handles signals there only. SIGINT stays
    ignored where it is (a shell starts what it runs in the background so).
    """

    def __init__(self) -> None:
        self._holding = self._came = False

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Handle the signals for the block."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = [signal.SIGTERM]
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            numbers.append(signal.SIGINT)
        before = {number: signal.signal(number, self._interrupt) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let a signal that comes within the block raise at its end. Blocks must be short, or end by themselves soon.

        What threads share is locked by Python code, in which a KeyboardInterrupt can come just after a lock was taken
        and before anything is there to release it.
        """
        self._holding = True
        try:
            yield
        finally:
            self._holding = False
            if self._came:
                self._came = False
                raise KeyboardInterrupt

    def _interrupt(self, _signal: int, _frame: object) -> None:
        if self._holding:
            self._came = True
        else:
            raise KeyboardInterrupt
