"""What ranks write at the rendezvous for each other: on which ports each of them listens."""

import threading
from collections.abc import Sequence
from typing import Any


class RendezvousStore:
    """Keeps the values of ranks by scope and key. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, dict[str, bytes]] = {}
        self._sizes: dict[str, int] = {}
        self._finished: dict[str, set[str]] = {}

    def begin(self, slots: Sequence[Any]) -> None:
        """Forget all values, and set the scopes of these ranks, of which Horovod makes three.

        Args:
            slots: Horovod's ``SlotInfo`` of each rank
        """
        with self._lock:
            self._values.clear()
            self._finished.clear()
            self._sizes.clear()
            for slot in slots:
                self._sizes["global"] = slot.size
                self._sizes[f"local_{slot.hostname}"] = slot.local_size
                self._sizes[f"cross_{slot.local_rank}"] = slot.cross_size

    def get(self, scope: str, key: str) -> bytes | None:
        """Return a value; None if there is none."""
        with self._lock:
            return self._values.get(scope, {}).get(key)

    def put(self, scope: str, key: str, value: bytes) -> None:
        """Keep a value."""
        with self._lock:
            self._values.setdefault(scope, {})[key] = value

    def finish(self, scope: str, key: str) -> None:
        """Note that a rank is connected to the others of a scope; with the last of them the scope's values go.

        In a scope of no ranks, the value of the key goes.
        """
        with self._lock:
            size = self._sizes.get(scope)
            if size is None:
                self._values.get(scope, {}).pop(key, None)
                return
            finished = self._finished.setdefault(scope, set())
            finished.add(key)
            if len(finished) == size:
                self._values.pop(scope, None)
                del self._finished[scope]
