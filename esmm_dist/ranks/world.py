"""What code above knows of the ranks of a run: who am I, what do all agree on, what do all add up.

::

    World ── SoloWorld        solo.py       one process alone
          └─ HorovodWorld     horovod.py    one rank of those that horovodrun or esmm local starts
             └─ ElasticWorld  elastic.py    one rank of those that come and go

``open_world`` returns the one that this process was started into; code above asks it and never Horovod itself. Nothing
is pickled: values travel as JSON.

Every method is a collective: all ranks call it together, in the same order, from the main thread. Attributes are not.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from esmm_dist.arrays import U8

if TYPE_CHECKING:
    import tensorflow as tf

T = TypeVar("T")


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
        """Whether the driver has announced other ranks than these; rank 0 learns it first."""

    def share(self, value: T) -> T:
        """Return the value of rank 0, as JSON would hold it: tuples become lists, keys become text."""

    def on_root(self, work: Callable[[], T]) -> T:
        """Do ``work`` on rank 0 while the others wait; return its result everywhere, as ``share`` would.

        Raises:
            EsmmError: ``work`` failed on rank 0; the other ranks raise one of the same class that says so.
        """

    def gather(self, rows: U8) -> U8:
        """Return the rows uint8 [n, W] of all ranks, rank 0's first: uint8 [N, W]. n may differ, and be 0."""

    def gather_values(self, value: T) -> list[T]:
        """Return the values of all ranks, rank 0's first, as JSON would hold them."""

    def barrier(self) -> None:
        """Return when all ranks have called it."""

    def broadcast_variables(self, variables: Sequence[Any], *, root_rank: int = 0) -> None:
        """Set Keras or TensorFlow variables to their values on rank ``root_rank``."""

    def sum_in_step(self, flat: "tf.Tensor") -> "tf.Tensor":
        """Return the sum over ranks of float32 [n], the same bits on all of them.

        For use inside ``tf.function``, once a step: Horovod knows the sum by its name.
        """

    def watching(self) -> AbstractContextManager[None]:
        """Turn the end of another rank within the ``with`` block into ``WorkerLostError``."""
