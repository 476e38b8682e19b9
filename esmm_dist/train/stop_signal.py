"""Turn SIGTERM, SIGHUP and SIGINT into a request to stop after the running step.

Where ranks come and go, SIGTERM means that this process must leave (its machine is taken away), and the others that the
training stops. Elsewhere all stop it.
"""

import contextlib
import signal
from types import FrameType

from esmm_dist.process.signals import handling


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
        self._installed = contextlib.ExitStack()

    def __enter__(self) -> "StopSignal":
        """Install the handlers."""
        self._installed.enter_context(handling(self._note))
        return self

    def __exit__(self, *error: object) -> None:
        """Restore the handlers that were there before."""
        self._installed.close()

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
