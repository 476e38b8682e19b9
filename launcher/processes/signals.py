"""Signals as something to wait for, beside the pipes of the processes."""

import signal
import socket
import threading
from types import FrameType, TracebackType
from typing import Any

from esmm_dist.process.interrupts import stop_signals


class SignalInbox:
    """Within the ``with`` block the signals that ask to stop (SIGINT, SIGTERM, SIGHUP) are noted.

    Its descriptor becomes readable with each of them, and with the end of a child. Outside the main thread, where
    Python cannot handle signals, it notes nothing.
    """

    def __init__(self) -> None:
        self._read, self._write = socket.socketpair()
        self._read.setblocking(False)
        self._write.setblocking(False)
        self._noted: list[signal.Signals] = []
        self._previous: dict[int, Any] = {}
        self._previous_wakeup = -1

    def __enter__(self) -> "SignalInbox":
        """Install the handlers."""
        if threading.current_thread() is threading.main_thread():
            self._previous_wakeup = signal.set_wakeup_fd(self._write.fileno(), warn_on_full_buffer=False)
            for number in (*stop_signals(), signal.SIGCHLD):
                self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Put the handlers back that were there before."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        if self._previous:
            signal.set_wakeup_fd(self._previous_wakeup)
        self._previous.clear()
        self._read.close()
        self._write.close()

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self._read.fileno()

    def take(self) -> list[signal.Signals]:
        """Return the stop signals since the last call, and let the descriptor rest."""
        try:
            while self._read.recv(4096):
                pass
        except BlockingIOError:
            pass
        noted, self._noted = self._noted, []
        return noted

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number != signal.SIGCHLD:
            self._noted.append(signal.Signals(number))
