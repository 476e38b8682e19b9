"""Turn SIGTERM, SIGHUP and SIGINT into a wish to stop after the running step.

Where ranks come and go, SIGTERM means that this process must leave (its machine is taken away), and the others that the
training stops. Elsewhere all stop it.
"""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from esmm_dist.process.interrupts import stop_signals


class StopSignal:
    """Within the ``with`` block the first SIGTERM, SIGHUP or SIGINT is only noted; a second SIGINT interrupts as usual.

    Outside the main thread, where Python cannot handle signals, it notes nothing.
    """

    def __init__(self, *, elastic: bool = False) -> None:
        """Note nothing yet.

        Args:
            elastic: Whether ranks come and go.
        """
        self._elastic = elastic
        self.name: str | None = None
        """Name of the first signal, such as ``SIGTERM``; None until one comes."""
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> "StopSignal":
        """Install the handlers."""
        if threading.current_thread() is threading.main_thread():
            for number in stop_signals():
                self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Put the handlers back that were there before."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()

    @property
    def leave(self) -> bool:
        """Whether this process alone must go."""
        return self._elastic and self.name == "SIGTERM"

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number != signal.SIGTERM and self.leave:
            self.name = None  # that the whole training stops weighs more
        if self.name is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.name = self.name or signal.Signals(number).name
