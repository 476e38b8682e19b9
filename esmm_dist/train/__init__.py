"""Training: the compiled step, the loop around it, evaluation during and after.

Here belongs what happens over time: steps, epochs, signals, logs. What is computed in a step belongs to
``esmm_dist.model``, how state reaches disk to ``esmm_dist.checkpoint``.

The package can be called: ``esmm_dist.train(data, run, ...)`` is ``esmm_dist.api.training.train``. A function of this
name in ``esmm_dist`` would be gone with the first import of a module of this package, which Python puts in its place.
"""

import importlib
import inspect
import sys
from types import ModuleType
from typing import Any


class _CallablePackage(ModuleType):
    """The package, which is a function too."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return _function()(*args, **kwargs)

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(_function())


def _function() -> Any:
    # By name: what stands above this package cannot be imported by it
    return importlib.import_module("esmm_dist.api.training").train


sys.modules[__name__].__class__ = _CallablePackage
