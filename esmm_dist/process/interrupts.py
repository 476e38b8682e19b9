"""Ctrl-C, SIGTERM and SIGHUP end the work, but never in the middle of code that holds locks other threads wait for."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class StoppedBySignal(KeyboardInterrupt):
    """The work was stopped as by Ctrl-C, by a signal."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = signal.Signals(number)


def stop_signals() -> list[signal.Signals]:
    """Return the signals that ask this process to stop, with SIGINT last.

    SIGHUP (the terminal is gone) is none where it was ignored from the start: so ``nohup`` asks for it.
    """
    hang_up = [] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [signal.SIGHUP]
    return [signal.SIGTERM, *hang_up, signal.SIGINT]


class Interrupts:
    """Raises StoppedBySignal at SIGINT, SIGTERM and SIGHUP: at once, or at the end of a ``held`` block.

    Within the block of ``installed``, in the main thread: Python sets and handles signals there only. SIGINT stays
    ignored where it is (a shell starts what it runs in the background so).
    """

    def __init__(self) -> None:
        self._holding = False
        self._came: int | None = None

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Handle the signals for the block."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = stop_signals()
        if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            numbers.remove(signal.SIGINT)
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
            if self._came is not None:
                number, self._came = self._came, None
                raise StoppedBySignal(number)

    def _interrupt(self, number: int, _frame: object) -> None:
        if self._holding:
            self._came = number
        else:
            raise StoppedBySignal(number)
