"""What the driver announces to a worker: that the ranks change. The worker asks for it at the rendezvous."""

import threading
from typing import Any


class Announcements:
    """Counts the announcements to one worker. Thread-safe. Takes the place of Horovod's client of each worker."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._number = 0

    def notify_hosts_updated(self, timestamp: int, update_res: Any) -> None:
        """Announce a change; Horovod's driver calls it. Returns at once."""
        with self._changed:
            self._number += 1
            self._changed.notify_all()

    def wait(self, after: int, timeout_s: float) -> int:
        """Return their number; blocks until it is more than ``after``, at most ``timeout_s``."""
        with self._changed:
            self._changed.wait_for(lambda: self._number > after, timeout_s)
            return self._number
