"""The world of a rank that a driver assigns, among ranks that come and go.

A driver (Horovod's ``ElasticDriver``) says who the ranks are. When one of them ends, or the driver announces a change,
all others leave, and the next rendezvous connects them with those that have just come::

    rank 0 ──┐                           ┌── rank 0
    rank 1 ──┤ step ... step   rejoin    ├── rank 1     step ...
    rank 2 ──┘ (kill -9)                 └── rank 2 (a new process)
"""

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Any

from esmm_dist.ranks.environment import agents_local_rank
from esmm_dist.ranks.horovod import HorovodWorld
from esmm_dist.ranks.rendezvous.client import RendezvousClient
from esmm_dist.ranks.rendezvous.joining import join_ranks


class ElasticWorld(HorovodWorld):
    """One of the ranks that a driver assigns.

    ``on_lost`` reaches other threads as soon as a rank is lost: a rank that waits for something else than Horovod (a
    server that waits for the lost rank's gradients) would not notice for long.
    """

    elastic = True

    def __init__(self, rendezvous: RendezvousClient, on_lost: Callable[[], None] = lambda: None) -> None:
        """Connect to the other ranks. Blocks until all that the driver has assigned have come.

        Args:
            rendezvous: where the ranks find each other
            on_lost: called from another thread, once a rendezvous, when a rank is lost or has left

        Raises:
            StackError: As ``HorovodWorld``.
            RetryError: The driver is gone.
        """
        # An operation that one rank alone starts is how the loss of the others is noticed, see _watch; Horovod would
        # complain of it each minute
        os.environ.setdefault("HOROVOD_STALL_CHECK_DISABLE", "1")
        self.on_lost = on_lost
        self._change_announced = threading.Event()
        self._num_rendezvous = 0
        before = _open_sockets()
        super().__init__(rendezvous)
        self._begin_watching(before)
        name = f"{os.environ['HOROVOD_HOSTNAME']}:{os.environ['HOROVOD_LOCAL_RANK']}"
        join_ranks(rendezvous, name, self._change_announced.set)

    @property
    def change_announced(self) -> bool:
        """Whether the driver has announced other ranks since the last rendezvous."""
        return self._change_announced.is_set()

    def _place_on_machine(self) -> int:
        return agents_local_rank(os.environ)

    def rejoin(self) -> None:
        """Leave these ranks and connect to those that the driver assigns now; the process keeps all its state.

        The ranks that are left behind get ``WorkerLostError``. Blocks until all have come. Horovod ends a process that
        the driver has no place for (SIGABRT).
        """
        self._hvd.shutdown()
        self._change_announced.clear()
        before = _open_sockets()
        self._hvd.init()
        self.rank, self.size = self._hvd.rank(), self._hvd.size()
        self._begin_watching(before)

    def leave(self) -> None:
        """Leave these ranks for good."""
        self.on_lost = lambda: None
        self._hvd.shutdown()

    def _begin_watching(self, sockets_before: Mapping[int, str]) -> None:
        """Watch the ranks over the connections that the rendezvous has made to them."""
        self._num_rendezvous += 1
        connections = dict(_open_sockets().items() - sockets_before.items())
        # For others that read the environment, such as the command line's messages
        os.environ["HOROVOD_RANK"], os.environ["HOROVOD_SIZE"] = str(self.rank), str(self.size)
        name = f"watch.{self._num_rendezvous}.{self.rank}"
        threading.Thread(target=self._watch, args=(name, connections), name="world-watch", daemon=True).start()

    def _watch(self, name: str, connections: Mapping[int, str]) -> None:
        """Start an operation that no other rank joins: it ends when Horovod does, with an error, on a lost rank too.

        Then hang up: a third rank that waits for this one would wait for gloo's timeout, since Horovod keeps the
        connections of ranks that have ended until the next rendezvous.
        """
        tf, hvd = self._tf, self._hvd

        @tf.function  # Horovod knows the operation by its name, which only a graph keeps
        def never_complete(value: Any) -> Any:
            return hvd.allreduce(value, op=hvd.Sum, name=name)

        this = self._num_rendezvous
        try:
            with tf.device("/CPU:0"):
                never_complete(tf.zeros([1]))
        except tf.errors.OpError:
            _hang_up(connections)
            if this == self._num_rendezvous:
                self.on_lost()


def _open_sockets() -> dict[int, str]:
    """Return the sockets of this process by descriptor, each with the kernel's name for it (``socket:[INODE]``)."""
    found = {}
    for entry in os.scandir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the descriptor of this very listing is gone by now
            if (name := os.readlink(entry.path)).startswith("socket:"):
                found[int(entry.name)] = name
    return found


def _hang_up(connections: Mapping[int, str]) -> None:
    """Tell the other ends that nothing more comes. The descriptors stay open, and stay their owner's."""
    still_open = _open_sockets()
    for descriptor, name in connections.items():
        if still_open.get(descriptor) == name:
            with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as connection:
                connection.shutdown(socket.SHUT_WR)
