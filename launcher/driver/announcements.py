"""What the driver announces to a worker: that other ranks are to meet. The worker asks for it at the rendezvous."""

import threading
from typing import Any


class Announcements:
    """Those to one worker, counted. Thread-safe. Stands where Horovod has a client of a service in each worker."""

    def __init__(self) -> None:
        """There is none yet."""
        self._changed = threading.Condition()
        self._number = 0

    def notify_hosts_updated(self, timestamp: int, update_res: Any) -> None:
        """Announce; Horovod's driver calls it. Waits for nobody."""
        with self._changed:
            self._number += 1
            self._changed.notify_all()

    def wait(self, after: int, timeout_s: float) -> int:
        """Return their number; blocks until it is more than ``after``, at most ``timeout_s``."""
        with self._changed:
            self._changed.wait_for(lambda: self._number > after, timeout_s)
            return self._number
