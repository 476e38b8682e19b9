"""The world of one process alone: every collective returns at once."""

import contextlib
import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from esmm_dist.arrays import U8
from esmm_dist.ranks.world import T

if TYPE_CHECKING:
    import tensorflow as tf


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

    def gather(self, rows: U8) -> U8:
        """Return the rows."""
        return rows

    def gather_values(self, value: T) -> list[T]:
        """Return the one value."""
        return [self.share(value)]

    def barrier(self) -> None:
        """Return at once."""

    def broadcast_variables(self, variables: Sequence[Any], *, root_rank: int = 0) -> None:
        """Do nothing."""

    def sum_in_step(self, flat: "tf.Tensor") -> "tf.Tensor":
        """Return the tensor itself."""
        return flat

    def watching(self) -> AbstractContextManager[None]:
        """Do nothing."""
        return contextlib.nullcontext()
