"""Gradients against the slopes of what they are gradients of."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from esmm_dist.arrays import F32


def check_slopes(
    loss_at: Callable[..., float], inputs: Sequence[F32], gradients: Sequence[F32], *, step: float, tolerance: float
) -> None:
    """Check that gradients are central differences of a loss, number by number.

    Args:
        loss_at: takes the inputs
        inputs: where the gradients are
        gradients: one of the shape of each input
        step: distance of the differences
        tolerance: relative and absolute
    """
    for place, gradient in enumerate(gradients):
        for at in np.ndindex(inputs[place].shape):
            above, below = ([each.copy() for each in inputs] for _ in range(2))
            above[place][at] += step
            below[place][at] -= step
            slope = (loss_at(*above) - loss_at(*below)) / (2 * step)
            assert gradient[at] == pytest.approx(slope, rel=tolerance, abs=tolerance)
