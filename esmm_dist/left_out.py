"""Packages that a library imports if they are there, and that nothing here uses it with."""

import importlib.abc
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType


@contextmanager
def left_out(*packages: str) -> Iterator[None]:
    """Have this thread's imports in the ``with`` block find none of some packages; one that is imported already stays.

    TensorFlow and Keras then do without pandas and SciPy, and Numba without SciPy: 0.5 CPU-seconds of each start. After
    the block whoever uses those packages imports them as ever.

    Args:
        packages: names of top-level packages, which the libraries treat as optional
    """
    finder = _NotThere(frozenset(packages), threading.get_ident())
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _NotThere(importlib.abc.MetaPathFinder):
    """Says that some packages are not there."""

    def __init__(self, packages: frozenset[str], thread: int) -> None:
        self._packages, self._thread = packages, thread

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] in self._packages and threading.get_ident() == self._thread:
            raise ModuleNotFoundError(f"{fullname} is left out here", name=fullname)
        return None
