"""The row optimizers in NumPy, a block of rows at a time: what their kernels are compared with, bit for bit."""

from dataclasses import dataclass

import numpy as np

from esmm_dist.arrays import F32


@dataclass(frozen=True, kw_only=True)
class ReferenceStep:
    """One push as a row optimizer sees it; of the settings, each optimizer reads its own."""

    learning_rate: float = 0.05
    rate_factor: float = 1.0
    step: int = 1
    epsilon: float = 1e-7
    momentum: float = 0.0
    beta_1: float = 0.9
    beta_2: float = 0.999
    l1: float = 0.0
    l2: float = 0.0


def mean_gradients(rows: F32, sums: F32, *, impressions: int, penalty: float) -> F32:
    """Return the mean gradients with their L2 penalty, float32 [n, D]."""
    gradients = sums * np.float32(1.0 / impressions)
    if np.float32(penalty):
        gradients += np.float32(penalty) * rows
    return gradients


def adagrad(block: F32, gradients: F32, at: ReferenceStep) -> None:
    """Update rows and accumulators of a block float32 [n, D + slots] in place, as all functions here do."""
    dim = gradients.shape[1]
    accumulators = block[:, dim:]
    accumulators += gradients * gradients
    rate = np.float32(at.learning_rate * at.rate_factor)
    block[:, :dim] -= gradients / np.sqrt(accumulators + np.float32(at.epsilon)) * rate


def rowwise_adagrad(block: F32, gradients: F32, at: ReferenceStep) -> None:
    """Update rows and their one accumulator."""
    dim = gradients.shape[1]
    accumulators = block[:, dim:]
    accumulators += np.mean(gradients * gradients, axis=1, keepdims=True)
    rate = np.float32(at.learning_rate * at.rate_factor)
    block[:, :dim] -= gradients / np.sqrt(accumulators + np.float32(at.epsilon)) * rate


def adam(block: F32, gradients: F32, at: ReferenceStep) -> None:
    """Update rows and moments."""
    dim = gradients.shape[1]
    m, v = block[:, dim : 2 * dim], block[:, 2 * dim :]
    m += np.float32(1 - at.beta_1) * (gradients - m)
    v += np.float32(1 - at.beta_2) * (gradients * gradients - v)
    rate = at.learning_rate * at.rate_factor * np.sqrt(1 - at.beta_2**at.step) / (1 - at.beta_1**at.step)
    block[:, :dim] -= np.float32(rate) * m / (np.sqrt(v) + np.float32(at.epsilon))


def sgd(block: F32, gradients: F32, at: ReferenceStep) -> None:
    """Update rows, and velocities where there is a momentum."""
    dim = gradients.shape[1]
    change = np.float32(-at.learning_rate * at.rate_factor) * gradients
    if at.momentum:
        velocity = block[:, dim:]
        velocity *= np.float32(at.momentum)
        velocity += change
        change = velocity
    block[:, :dim] += change


def ftrl(block: F32, gradients: F32, at: ReferenceStep) -> None:
    """Update rows, z and n."""
    dim = gradients.shape[1]
    rows, z, n = block[:, :dim], block[:, dim : 2 * dim], block[:, 2 * dim :]
    rate, l1, l2 = np.float32(at.learning_rate), np.float32(at.l1), np.float32(at.l2)
    grown = n + gradients * gradients
    root = np.sqrt(grown)
    z += np.float32(at.rate_factor) * gradients - (root - np.sqrt(n)) / rate * rows
    n[:] = grown
    rows[:] = (np.clip(z, -l1, l1) - z) / (root / rate + 2 * l2)
