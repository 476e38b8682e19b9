"""The ranks of a run as one: who am I, what do all agree on, what do all add up.

One process alone is ``SoloWorld``. Started by ``horovodrun`` or whoever sets Horovod's environment, a process is one
rank of a ``HorovodWorld``. Code above asks its ``World`` and never Horovod itself. Nothing is pickled: values travel as
JSON.

Every method but the attributes is a meeting of all ranks: all must call it, in the same order, from the main thread.

The ranks of an ``ElasticWorld`` come and go: a driver (Horovod's ``ElasticDriver``) says who they are. When one of them
ends, or the driver announces a change, all others leave the world and meet again, with those that have just come::

    rank 0 ──┐                           ┌── rank 0
    rank 1 ──┤ step ... step   rejoin    ├── rank 1     step ...
    rank 2 ──┘ (kill -9)                 └── rank 2 (a new process)
"""

import contextlib
import json
import os
import re
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from esmm_dist.errors import ConfigError, EsmmError, StackError, WorkerLostError
from esmm_dist.process.quiet import horovod_library, import_horovod, import_tensorflow
from esmm_dist.ranks.gloo_device import listen_on_interface
from esmm_dist.ranks.local_rank import agents_local_rank
from esmm_dist.ranks.rendezvous.client import RendezvousClient
from esmm_dist.ranks.rendezvous.joining import join_ranks, own_rendezvous
from esmm_dist.ranks.rendezvous.relay import Relay
from esmm_dist.ranks.rendezvous.signing import PLACE

if TYPE_CHECKING:
    import tensorflow as tf

T = TypeVar("T")
Bytes = npt.NDArray[np.uint8]


class World(Protocol):
    """The ranks of a run."""

    @property
    def rank(self) -> int:
        """This process, 0 .. size - 1. Rank 0 writes files and talks to people."""

    @property
    def size(self) -> int:
        """Number of ranks."""

    @property
    def local_rank(self) -> int:
        """This process among those of its machine."""

    @property
    def elastic(self) -> bool:
        """Whether ranks may come and go: see ``ElasticWorld``."""

    @property
    def change_announced(self) -> bool:
        """Whether other ranks than these are to meet; rank 0 learns it first."""

    def share(self, value: T) -> T:
        """Return the value of rank 0, as JSON would hold it: tuples become lists, keys become text."""

    def on_root(self, work: Callable[[], T]) -> T:
        """Do ``work`` on rank 0 while the others wait; return its result everywhere, as ``share`` would.

        Raises:
            EsmmError: What ``work`` raised on rank 0; elsewhere one of the same class that says that rank 0 failed.
        """

    def gather(self, rows: Bytes) -> Bytes:
        """Return the rows uint8 [n, W] of all ranks, rank 0's first: uint8 [N, W]. n may differ, and be 0."""

    def gather_values(self, value: T) -> list[T]:
        """Return the values of all ranks, rank 0's first, as JSON would hold them."""

    def wait(self) -> None:
        """Return when all ranks are here."""

    def broadcast_variables(self, variables: Sequence[Any], *, root_rank: int = 0) -> None:
        """Set Keras or TensorFlow variables to their values on rank ``root_rank``."""

    def sum_in_step(self, flat: "tf.Tensor") -> "tf.Tensor":
        """Return the sum over ranks of float32 [n], the same bits on all of them.

        For use inside ``tf.function``, once a step: Horovod knows the sum by its name.
        """

    def watching(self) -> AbstractContextManager[None]:
        """Turn the end of another rank within the ``with`` block into ``WorkerLostError``."""


class SoloWorld:
    """One process alone."""

    rank = 0
    size = 1
    local_rank = 0
    elastic = False
    change_announced = False

    def share(self, value: T) -> T:
        """Return the value as JSON would hold it."""
        shared: T = json.loads(json.dumps(value))
        return shared

    def on_root(self, work: Callable[[], T]) -> T:
        """Do the work."""
        return self.share(work())

    def gather(self, rows: Bytes) -> Bytes:
        """Return the rows."""
        return rows

    def gather_values(self, value: T) -> list[T]:
        """Return the one value."""
        return [self.share(value)]

    def wait(self) -> None:
        """Return at once."""

    def broadcast_variables(self, variables: Sequence[Any], *, root_rank: int = 0) -> None:
        """Do nothing."""

    def sum_in_step(self, flat: "tf.Tensor") -> "tf.Tensor":
        """Return the tensor itself."""
        return flat

    def watching(self) -> AbstractContextManager[None]:
        """Do nothing."""
        return contextlib.nullcontext()


class HorovodWorld:
    """One of the ranks that Horovod connects."""

    elastic = False

    def __init__(self, rendezvous: RendezvousClient | None = None) -> None:
        """Meet the other ranks, and take this rank's GPU if the machine has any. Blocks until all ranks are there.

        Call it before TensorFlow has used a device.

        Args:
            rendezvous: Where they meet; None: where Horovod's own variables say.

        Raises:
            StackError: The machine has fewer GPUs than ranks, or no address to listen at.
        """
        # What it writes when a rank ends (some lines on every other rank), and its warning when rank 0 saves for a
        # minute while the others wait, tell a user nothing to do. It is read when Horovod starts.
        os.environ.setdefault("HOROVOD_LOG_LEVEL", "fatal")
        if rendezvous is not None:
            self._relay = Relay(rendezvous)  # for the life of the process
            os.environ.update(self._relay.environment)
        self._tf = import_tensorflow()
        self._hvd = import_horovod()
        listen_on_interface(horovod_library())
        self._hvd.init()
        self.rank, self.size = self._hvd.rank(), self._hvd.size()
        self.local_rank = self._place_on_machine()
        gpus = self._tf.config.list_physical_devices("GPU")
        if gpus:
            own = own_gpu(gpus, self.local_rank)
            self._tf.config.set_visible_devices(own, "GPU")
            # Else TensorFlow takes all of its memory at once, and leaves none to whatever else runs there
            self._tf.config.experimental.set_memory_growth(own, True)

    def _place_on_machine(self) -> int:
        local_rank: int = self._hvd.local_rank()
        return local_rank

    @property
    def change_announced(self) -> bool:
        """Never: these ranks stay."""
        return False

    def share(self, value: T) -> T:
        """Return the value of rank 0."""
        shared: T = json.loads(self._broadcast_bytes(json.dumps(value).encode() if self.rank == 0 else b""))
        return shared

    def on_root(self, work: Callable[[], T]) -> T:
        """Do the work on rank 0."""
        outcome: dict[str, Any] = {}
        if self.rank == 0:
            try:
                outcome = {"value": work()}
            except EsmmError as e:
                self.share({"error": type(e).__name__, "text": str(e)})
                raise
        outcome = self.share(outcome)
        if "error" in outcome:
            raise _error_class(outcome["error"])(f"rank 0 failed: {outcome['text']}")
        value: T = outcome["value"]
        return value

    def gather(self, rows: Bytes) -> Bytes:
        """Return the rows of all ranks."""
        with self.watching(), self._tf.device("/CPU:0"):
            return np.asarray(self._hvd.allgather(self._tf.constant(rows), name="gather").numpy())

    def gather_values(self, value: T) -> list[T]:
        """Return the values of all ranks."""
        line = json.dumps(value).encode() + b"\n"  # JSON itself has no line ends
        lines = self.gather(np.frombuffer(line, dtype=np.uint8).reshape(-1, 1)).tobytes()
        return [json.loads(each) for each in lines.splitlines()]

    def wait(self) -> None:
        """Return when all ranks are here."""
        with self.watching(), self._tf.device("/CPU:0"):
            self._hvd.allreduce(self._tf.zeros([1]), op=self._hvd.Sum, name="wait")

    def broadcast_variables(self, variables: Sequence[Any], *, root_rank: int = 0) -> None:
        """Set variables to their values on one rank."""
        with self.watching():
            for number, variable in enumerate(variables):
                value = self._tf.convert_to_tensor(variable)
                variable.assign(self._hvd.broadcast(value, root_rank=root_rank, name=f"variable.{number}"))

    def sum_in_step(self, flat: "tf.Tensor") -> "tf.Tensor":
        """Return the sum over ranks."""
        return self._hvd.allreduce(flat, op=self._hvd.Sum, name="step")

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Turn the end of another rank into ``WorkerLostError``."""
        errors = self._tf.errors
        try:
            yield
        except (errors.UnknownError, errors.InternalError) as e:
            if not is_lost_peer(e.message):
                raise
            # 'from None': the cause is a page of Horovod's, and says the same
            raise WorkerLostError(
                f"rank {self.rank} of {self.size}: another rank ended; its own message says why."
            ) from None

    def _broadcast_bytes(self, data: bytes) -> bytes:
        with self.watching(), self._tf.device("/CPU:0"):
            length = self._tf.constant([len(data)], dtype=self._tf.int64)
            length = self._hvd.broadcast(length, root_rank=0, name="share.length").numpy()[0]
            own = np.frombuffer(data, dtype=np.uint8) if self.rank == 0 else np.zeros(length, dtype=np.uint8)
            shared = self._hvd.broadcast(self._tf.constant(own), root_rank=0, name="share.bytes")
            return bytes(shared.numpy().tobytes())


class ElasticWorld(HorovodWorld):
    """One of the ranks that a driver assigns.

    Other threads may be told at once when a rank is lost: a rank that waits for something else than Horovod (a server
    that waits for the lost rank's gradients) would not notice for long.
    """

    elastic = True

    def __init__(self, rendezvous: RendezvousClient, on_lost: Callable[[], None] = lambda: None) -> None:
        """Meet the other ranks. Blocks until all that the driver has assigned are there.

        Args:
            rendezvous: Where they meet.
            on_lost: Called from another thread, once a world, when a rank is lost or has left it.

        Raises:
            StackError: As ``HorovodWorld``.
            RetryError: The driver is gone.
        """
        # An operation that one rank alone starts is how the loss of the others is noticed, see _watch; Horovod would
        # complain of it each minute
        os.environ.setdefault("HOROVOD_STALL_CHECK_DISABLE", "1")
        self.on_lost = on_lost
        self._change_announced = threading.Event()
        self._meetings = 0
        before = _open_sockets()
        super().__init__(rendezvous)
        self._met(before)
        name = f"{os.environ['HOROVOD_HOSTNAME']}:{os.environ['HOROVOD_LOCAL_RANK']}"
        join_ranks(rendezvous, name, self._change_announced.set)

    @property
    def change_announced(self) -> bool:
        """Whether the driver has announced other ranks than these since they met."""
        return self._change_announced.is_set()

    def _place_on_machine(self) -> int:
        return agents_local_rank(os.environ)

    def rejoin(self) -> None:
        """Leave these ranks, and meet those that the driver assigns now; the process keeps all that it has.

        The ranks that are left behind get ``WorkerLostError``. Blocks until all are there. A process that the driver
        has no place for is ended by Horovod (SIGABRT).
        """
        self._hvd.shutdown()
        self._change_announced.clear()
        before = _open_sockets()
        self._hvd.init()
        self.rank, self.size = self._hvd.rank(), self._hvd.size()
        self._met(before)

    def leave(self) -> None:
        """Leave these ranks for good."""
        self.on_lost = lambda: None
        self._hvd.shutdown()

    def _met(self, sockets_before: Mapping[int, str]) -> None:
        """Begin to watch the ranks, over the connections that have been made to them."""
        self._meetings += 1
        connections = dict(_open_sockets().items() - sockets_before.items())
        # What else looks into the environment (the command line's messages) finds the rank of now
        os.environ["HOROVOD_RANK"], os.environ["HOROVOD_SIZE"] = str(self.rank), str(self.size)
        name = f"watch.{self._meetings}.{self.rank}"
        threading.Thread(target=self._watch, args=(name, connections), name="world-watch", daemon=True).start()

    def _watch(self, name: str, connections: Mapping[int, str]) -> None:
        """Start an operation that no other rank joins: it ends when Horovod does, with an error, on a lost rank too.

        Then hang up: a third rank that waits for this one would wait for gloo's timeout, since Horovod keeps the
        connections of a world that has ended until the next one is met.
        """
        tf, hvd = self._tf, self._hvd

        @tf.function  # Horovod knows the operation by its name, which only a graph keeps
        def never_complete(value: Any) -> Any:
            return hvd.allreduce(value, op=hvd.Sum, name=name)

        meeting = self._meetings
        try:
            with tf.device("/CPU:0"):
                never_complete(tf.zeros([1]))
        except tf.errors.OpError:
            _hang_up(connections)
            if meeting == self._meetings:
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


def open_world(token_file: Path | None = None) -> World:
    """Return the world that this process was started into: Horovod's if there is more than one rank, or may be.

    Args:
        token_file: Holds the job's secret, which the ranks must show where they meet; None: there is none.

    Raises:
        ConfigError: The variables in the environment are malformed or do not fit each other, or the token is missing.
        RetryError: The ranks' rendezvous does not answer.
        StackError: As ``HorovodWorld``.
    """
    rank, size = process_rank()
    elastic = os.environ.get("HOROVOD_ELASTIC") == "1"
    if not elastic and size == 1:
        return SoloWorld()
    rendezvous = own_rendezvous(token_file)
    if not elastic:
        if rendezvous is None and not os.environ.get("HOROVOD_GLOO_RENDEZVOUS_ADDR"):
            raise ConfigError(
                f"The environment makes this process rank {rank} of {size}, and does not say where the ranks meet. "
                "horovodrun and esmm local set all of it; of what is left over from another job, unset HOROVOD_RANK "
                "and HOROVOD_SIZE."
            )
        return HorovodWorld(rendezvous)
    if rendezvous is None:
        raise ConfigError(
            f"The environment's HOROVOD_ELASTIC is 1, but {PLACE} is not set: Horovod's own elastic launcher started "
            "this process. Start workers that come and go with esmm local --min-workers 1, or unset it."
        )
    return ElasticWorld(rendezvous)


def process_rank() -> tuple[int, int]:
    """Return this process's rank and the number of ranks, from the environment alone: (0, 1) without Horovod.

    Raises:
        ConfigError: Horovod's variables are not numbers.
    """
    numbers = []
    for name, without in (("HOROVOD_RANK", "0"), ("HOROVOD_SIZE", "1")):
        text = os.environ.get(name, without)
        if not text.isdigit():
            raise ConfigError(
                f"The environment's {name} is '{text}'. horovodrun and esmm local set it to a number; unset it to run "
                "one process."
            )
        numbers.append(int(text))
    return numbers[0], numbers[1]


def own_gpu(gpus: Sequence[T], local_rank: int) -> T:
    """Return the GPU of a rank: one each.

    Raises:
        StackError: There are fewer GPUs than ranks on this machine.
    """
    if local_rank >= len(gpus):
        raise StackError(
            f"This machine has {len(gpus)} GPU{'s' * (len(gpus) != 1)}, and rank number {local_rank + 1} on it finds "
            "none left. Start at most one rank a GPU, or hide the GPUs from all ranks: CUDA_VISIBLE_DEVICES=-1."
        )
    return gpus[local_rank]


def is_lost_peer(message: str) -> bool:
    """Return whether TensorFlow's message about a Horovod operation says that another rank is gone.

    Horovod's are ``Horovod has been shut down. This was caused by ...``, and while data is on its way those of gloo:
    ``[.../gloo/transport/tcp/pair.cc:589] Read error [127.0.0.1]:38583: Connection reset by peer``.
    """
    return re.search(r"Horovod has been shut down|gloo/(transport|common|rendezvous)", message) is not None


def _error_class(name: str) -> type[EsmmError]:
    """Return the class of this name in the tree of ``esmm_dist.errors``; the base if there is none."""
    classes: list[type[EsmmError]] = [EsmmError]
    for cls in classes:  # grows while it is walked
        if cls.__name__ == name:
            return cls
        classes += cls.__subclasses__()
    return EsmmError
