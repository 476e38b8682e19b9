"""The signals that ask a process to stop: installed and restored in one place, then noted, waited for, or raised.

=================  =============================================================================
``handling``       install any handler for a block
``SignalInbox``    note the signals, and wait for them beside pipes, sockets and children
``Interrupts``     raise at once, but never in code that holds locks other threads wait for
=================  =============================================================================

Python sets and runs handlers in the main thread only. In any other thread all three leave the signals alone.
"""

import contextlib
import select
import signal
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType

Handler = Callable[[int, FrameType | None], object]


def stop_signals() -> list[signal.Signals]:
    """Return the signals that ask this process to stop, with SIGINT last.

    SIGHUP (the terminal is gone) is left out where it was ignored from the start: that is what ``nohup`` asks for.
    """
    hang_up = [] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [signal.SIGHUP]
    return [signal.SIGTERM, *hang_up, signal.SIGINT]


@contextmanager
def handling(handler: Handler, numbers: Iterable[int] | None = None) -> Iterator[None]:
    """Install a handler for the block, and restore the handlers before it at the end, also on an exception.

    Args:
        handler: called in the main thread with the signal's number and the frame that it interrupts
        numbers: signals to handle; None: ``stop_signals()``
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (stop_signals() if numbers is None else numbers)}
    try:
        for number in before:
            signal.signal(number, handler)
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


class SignalInbox:
    """Notes the signals that ask to stop (SIGINT, SIGTERM, SIGHUP) within its ``with`` block.

    Its descriptor becomes readable with each of them, and with the end of a child, so a ``select`` on it never misses
    one. Make and leave it in the main thread.
    """

    def __init__(self) -> None:
        self._read, self._write = socket.socketpair()
        self._read.setblocking(False)
        self._write.setblocking(False)
        self._noted: list[signal.Signals] = []
        self._installed = contextlib.ExitStack()

    def __enter__(self) -> "SignalInbox":
        """Install the handlers."""
        if threading.current_thread() is threading.main_thread():
            previous = signal.set_wakeup_fd(self._write.fileno(), warn_on_full_buffer=False)
            self._installed.callback(signal.set_wakeup_fd, previous)
            self._installed.enter_context(handling(self._note, (*stop_signals(), signal.SIGCHLD)))
        return self

    def __exit__(self, *error: object) -> None:
        """Restore the handlers that were there before."""
        self._installed.close()
        self._read.close()
        self._write.close()

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self._read.fileno()

    def take(self) -> list[signal.Signals]:
        """Return the stop signals since the last call, and clear the descriptor."""
        with contextlib.suppress(BlockingIOError):
            while self._read.recv(4096):
                pass
        noted, self._noted = self._noted, []
        return noted

    def wait(self) -> signal.Signals:
        """Block until a stop signal comes, or return the first of those that came since the last call."""
        while True:
            if noted := self.take():
                return noted[0]
            select.select([self], [], [])

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if number != signal.SIGCHLD:
            self._noted.append(signal.Signals(number))


class StoppedBySignal(KeyboardInterrupt):
    """A signal stopped the work, as Ctrl-C does."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = signal.Signals(number)


class Interrupts:
    """Raises StoppedBySignal at SIGINT, SIGTERM and SIGHUP: at once, or at the end of a ``held`` block.

    A SIGINT that is ignored stays ignored: a shell starts background work so.
    """

    def __init__(self) -> None:
        self._holding = False
        self._came: int | None = None

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Handle the signals for the block."""
        numbers = stop_signals()
        if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            numbers.remove(signal.SIGINT)
        with handling(self._interrupt, numbers):
            yield

    @contextmanager
    def held(self) -> Iterator[None]:
        """Delay a signal that comes within the block until its end. Blocks must be short, or end by themselves soon.

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

    def _interrupt(self, number: int, _frame: FrameType | None) -> None:
        if self._holding:
            self._came = number
        else:
            raise StoppedBySignal(number)
