"""The world of a rank that Horovod connects to the others, which stay the same."""

import contextlib
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from esmm_dist.arrays import U8
from esmm_dist.errors import EsmmError, StackError, WorkerLostError
from esmm_dist.process.quiet import horovod_library, import_horovod, import_tensorflow
from esmm_dist.ranks.gloo_device import listen_on_interface
from esmm_dist.ranks.rendezvous.client import RendezvousClient
from esmm_dist.ranks.rendezvous.relay import Relay
from esmm_dist.ranks.world import T

if TYPE_CHECKING:
    import tensorflow as tf


class HorovodWorld:
    """One of the ranks that Horovod connects."""

    elastic = False

    def __init__(self, rendezvous: RendezvousClient | None = None) -> None:
        """Connect to the other ranks, and take this rank's GPU if the machine has any. Blocks until all have come.

        Call it before TensorFlow has used a device.

        Args:
            rendezvous: where the ranks find each other; None: where Horovod's own variables say

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

    def gather(self, rows: U8) -> U8:
        """Return the rows of all ranks."""
        with self.watching(), self._tf.device("/CPU:0"):
            return np.asarray(self._hvd.allgather(self._tf.constant(rows), name="gather").numpy())

    def gather_values(self, value: T) -> list[T]:
        """Return the values of all ranks."""
        line = json.dumps(value).encode() + b"\n"  # JSON itself has no line ends
        lines = self.gather(np.frombuffer(line, dtype=np.uint8).reshape(-1, 1)).tobytes()
        return [json.loads(each) for each in lines.splitlines()]

    def barrier(self) -> None:
        """Return when all ranks have called it."""
        with self.watching(), self._tf.device("/CPU:0"):
            self._hvd.allreduce(self._tf.zeros([1]), op=self._hvd.Sum, name="barrier")

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
        """Turn the end of another rank within the block into ``WorkerLostError``."""
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


def own_gpu(gpus: Sequence[T], local_rank: int) -> T:
    """Return the GPU of a rank: one each.

    Raises:
        StackError: There are fewer GPUs than ranks on this machine.
    """
    if local_rank >= len(gpus):
        raise StackError(
            f"This machine has {len(gpus)} GPU{'s' * (len(gpus) != 1)}, but rank number {local_rank + 1} on it needs "
            "one too. Start at most one rank per GPU, or hide the GPUs from all ranks: CUDA_VISIBLE_DEVICES=-1."
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
