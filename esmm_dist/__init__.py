"""The training system, and what ``import esmm_dist`` offers.

Schema, input, embeddings, model, training, checkpoints, prediction.

Here belongs what a training process needs. Turning raw logs into records belongs to ``preprocess``; command lines
and cluster jobs belong to ``launcher``. Imports go one way (checked by the contract in ``pyproject.toml``):
api > train > inference > model, checkpoint > parameter_server > embedding > input > schema > ranks, storage, process >
config > errors.

Importing this package imports neither TensorFlow nor anything else that is slow: the names in ``__all__`` are imported
when they are used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from esmm_dist.api.data_set import DataSet
    from esmm_dist.api.datasets import preprocess, preprocess_by_day
    from esmm_dist.api.inference import evaluate, export, predict
    from esmm_dist.api.looking import stats
    from esmm_dist.api.model import Model, load_model
    from esmm_dist.api.training import train
    from esmm_dist.errors import EsmmError
    from esmm_dist.schema.fields import Schema

__version__ = "0.1.0"

__all__ = [
    "Schema",
    "preprocess",
    "preprocess_by_day",
    "train",
    "evaluate",
    "predict",
    "export",
    "stats",
    "load_model",
    "Model",
    "DataSet",
    "EsmmError",
    "__version__",
]

_MODULES = {
    "Schema": "esmm_dist.schema.fields",
    "preprocess": "esmm_dist.api.datasets",
    "preprocess_by_day": "esmm_dist.api.datasets",
    "evaluate": "esmm_dist.api.inference",
    "predict": "esmm_dist.api.inference",
    "export": "esmm_dist.api.inference",
    "stats": "esmm_dist.api.looking",
    "load_model": "esmm_dist.api.model",
    "Model": "esmm_dist.api.model",
    "DataSet": "esmm_dist.api.data_set",
    "EsmmError": "esmm_dist.errors",
}


def __getattr__(name: str) -> Any:
    if name == "train":  # the package of this name is what is called: its import sets the attribute in any case
        return importlib.import_module("esmm_dist.train")
    if name not in _MODULES:
        raise AttributeError(f"module 'esmm_dist' has no attribute '{name}'")
    found = globals()[name] = getattr(importlib.import_module(_MODULES[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
