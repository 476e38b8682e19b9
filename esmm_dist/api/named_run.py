"""Which run an argument of a call names."""

import os
from typing import Any

from esmm_dist.errors import ConfigError


def named_run(run: Any) -> str:
    """Return the folder or URI of a run.

    Args:
        run: a text, a path, or what has a ``run``: the result of a training, a model

    Raises:
        ConfigError: It is none of these.
    """
    found = getattr(run, "run", run)
    if isinstance(found, (str, os.PathLike)):
        return os.fspath(found)
    raise ConfigError(f"run is a {type(run).__name__}. Give the folder or URI of a run, or what train() returned.")
