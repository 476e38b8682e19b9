"""Refuse to use TensorFlow in a process that was forked from one that has loaded it."""

import os
import sys

from esmm_dist.errors import StackError

_forked_with_tensorflow = False


def check_not_forked() -> None:
    """Check that this process may run TensorFlow.

    A fork copies none of the threads that TensorFlow has started in the parent, and the child would wait for them
    without end.

    Raises:
        StackError: The process was forked after TensorFlow had been loaded.
    """
    if _forked_with_tensorflow:
        raise StackError(
            f"Process {os.getpid()} was forked from one that had loaded TensorFlow, whose threads a fork does not "
            "copy: it would wait for them without end. Start it with multiprocessing.get_context('spawn'), or fork "
            "before anything is trained or loaded."
        )


def _note() -> None:
    global _forked_with_tensorflow
    _forked_with_tensorflow = _forked_with_tensorflow or "tensorflow" in sys.modules


os.register_at_fork(after_in_child=_note)
