"""Dense weights and optimizer state as named arrays."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from esmm_dist.errors import CheckpointMismatchError
from esmm_dist.model.esmm import Esmm

Arrays = dict[str, npt.NDArray[Any]]


def dense_state(model: Esmm, optimizer: keras.optimizers.Optimizer) -> Arrays:
    """Return copies of all dense weights and optimizer variables, by name.

    The states of seed generators are none: no step changes them.
    """
    named = {**_named("model", model.weights), **_named("optimizer", optimizer.variables)}
    return {name: np.array(variable.numpy()) for name, variable in named.items()}


def load_dense(model: Esmm, optimizer: keras.optimizers.Optimizer | None, arrays: Mapping[str, Any]) -> None:
    """Set dense weights, and optimizer variables unless ``optimizer`` is None.

    Raises:
        CheckpointMismatchError: A variable is missing among the arrays, or has another shape.
    """
    named = _named("model", model.weights)
    if optimizer is not None:
        named |= _named("optimizer", optimizer.variables)
    for name, variable in named.items():
        if name not in arrays:
            raise CheckpointMismatchError(
                f"The checkpoint has no dense variable '{name}'. It was made with other model settings."
            )
        if tuple(arrays[name].shape) != tuple(variable.shape):
            raise CheckpointMismatchError(
                f"Dense variable '{name}' has shape {list(arrays[name].shape)} in the checkpoint and "
                f"{list(variable.shape)} in the model. Use the settings that the run was started with."
            )
    for name, variable in named.items():
        variable.assign(arrays[name])


def _named(group: str, variables: list[Any]) -> dict[str, Any]:
    # Keras names repeat between towers; the position makes them unique and is fixed by the settings
    return {f"{group}/{position:03d}/{_own_name(group, v)}": v for position, v in enumerate(variables)}


def _own_name(group: str, variable: Any) -> str:
    """Return a name that does not depend on how many layers the process has made before.

    Keras calls the optimizer's variables after the layer's number within the process (``mlp_3_kernel_0_momentum``); of
    those the last word stays.
    """
    name = str(variable.name)
    return name.rpartition("_")[2] if group == "optimizer" else name
