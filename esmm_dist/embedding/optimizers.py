"""Optimizers of embedding rows: each updates a block of rows and their slot variables in place.

A block is float32 ``[n, D + slots]``: the row, then its slot variables, so that one row is one stretch of memory.
Only rows that were looked up are ever touched; decay and regularisation too ("lazy" in TensorFlow's terms).
Formulas are those of the Keras optimizers of the same names, so that a row moves as a Keras variable would.
"""

from typing import Literal, Protocol

import numpy as np

from esmm_dist.arrays import F32

OptimizerName = Literal["adagrad", "rowwise_adagrad", "adam", "sgd", "ftrl"]


class RowOptimizer(Protocol):
    """Updates rows from gradients."""

    def slot_columns(self, embedding_dim: int) -> int:
        """Return the number of slot variables (float32 columns) of a row of ``embedding_dim`` columns."""

    def start_slots(self, embedding_dim: int) -> F32:
        """Return the slot variables of a new row, float32 [slot_columns(embedding_dim)]."""

    def update(self, block: F32, gradients: F32, *, learning_rate: float, rate_factor: float, step: int) -> None:
        """Update rows and their slot variables in place.

        Args:
            block: float32 [n, D + slots].
            gradients: float32 [n, D].
            learning_rate: learning rate of the settings, the same at every step
            rate_factor: factor of the schedule at this step, 0 or more
            step: the optimizer step, 1, 2, ...
        """


class Adagrad:
    """a += g²; w -= lr · g / sqrt(a + eps).

    Source: Duchi, Hazan, Singer, JMLR 12 (2011), figure 1; eps placed as in ``keras.optimizers.Adagrad``.
    """

    def __init__(self, *, start_accumulator: float, epsilon: float = 1e-7) -> None:
        """Set the accumulator's start value and eps."""
        self._start, self._epsilon = start_accumulator, np.float32(epsilon)

    def slot_columns(self, embedding_dim: int) -> int:
        """Return D: one accumulator a column."""
        return embedding_dim

    def start_slots(self, embedding_dim: int) -> F32:
        """Return the accumulators' start value."""
        return np.full(self.slot_columns(embedding_dim), self._start, dtype=np.float32)

    def update(self, block: F32, gradients: F32, *, learning_rate: float, rate_factor: float, step: int) -> None:
        """Update rows and accumulators in place."""
        dim = gradients.shape[1]
        # In one contiguous temporary: the block's columns are strided, which costs NumPy twice the time
        change = gradients * gradients
        change += block[:, dim:]
        block[:, dim:] = change
        change += self._epsilon
        np.sqrt(change, out=change)
        np.divide(gradients, change, out=change)
        change *= np.float32(learning_rate * rate_factor)
        block[:, :dim] -= change


class RowwiseAdagrad:
    """a += mean_j(g_j²), one accumulator a row; w -= lr · g / sqrt(a + eps).

    Saves D - 1 floats a row. Source: Gupta et al., "Training Recommender Systems at Scale", arXiv 2010.05037,
    section 4 (and ``EXACT_ROWWISE_ADAGRAD`` of FBGEMM).
    """

    def __init__(self, *, start_accumulator: float, epsilon: float = 1e-7) -> None:
        """Set the accumulator's start value and eps."""
        self._start, self._epsilon = start_accumulator, np.float32(epsilon)

    def slot_columns(self, embedding_dim: int) -> int:
        """Return 1."""
        return 1

    def start_slots(self, embedding_dim: int) -> F32:
        """Return the accumulators' start value."""
        return np.full(self.slot_columns(embedding_dim), self._start, dtype=np.float32)

    def update(self, block: F32, gradients: F32, *, learning_rate: float, rate_factor: float, step: int) -> None:
        """Update rows and accumulators in place."""
        dim = gradients.shape[1]
        accumulators = block[:, dim:]
        accumulators += np.mean(gradients * gradients, axis=1, keepdims=True)
        block[:, :dim] -= gradients / np.sqrt(accumulators + self._epsilon) * np.float32(learning_rate * rate_factor)


class Adam:
    """m += (1-b1)(g-m); v += (1-b2)(g²-v); w -= lr · sqrt(1-b2^t)/(1-b1^t) · m / (sqrt(v) + eps).

    t is the global step, not the row's: a row seen for the first time late gets no extra bias correction, as in
    ``LazyAdam`` of TensorFlow Addons. Source: Kingma, Ba, arXiv 1412.6980, section 2 (last paragraph).
    """

    def __init__(self, *, beta_1: float, beta_2: float, epsilon: float = 1e-7) -> None:
        """Set the decay rates of the two moments and eps."""
        self._beta_1, self._beta_2, self._epsilon = beta_1, beta_2, np.float32(epsilon)

    def slot_columns(self, embedding_dim: int) -> int:
        """Return 2 D: m, then v."""
        return 2 * embedding_dim

    def start_slots(self, embedding_dim: int) -> F32:
        """Return zeros."""
        return np.zeros(self.slot_columns(embedding_dim), dtype=np.float32)

    def update(self, block: F32, gradients: F32, *, learning_rate: float, rate_factor: float, step: int) -> None:
        """Update rows and moments in place."""
        dim = gradients.shape[1]
        m, v = block[:, dim : 2 * dim], block[:, 2 * dim :]
        m += np.float32(1 - self._beta_1) * (gradients - m)
        v += np.float32(1 - self._beta_2) * (gradients * gradients - v)
        rate = learning_rate * rate_factor * np.sqrt(1 - self._beta_2**step) / (1 - self._beta_1**step)
        block[:, :dim] -= np.float32(rate) * m / (np.sqrt(v) + self._epsilon)


class Sgd:
    """w -= lr · g; with momentum: u = momentum · u - lr · g, w += u (as ``keras.optimizers.SGD``)."""

    def __init__(self, *, momentum: float = 0.0) -> None:
        """Set the momentum; 0 keeps no slot variable."""
        self._momentum = momentum

    def slot_columns(self, embedding_dim: int) -> int:
        """Return 0, or D with momentum."""
        return embedding_dim if self._momentum else 0

    def start_slots(self, embedding_dim: int) -> F32:
        """Return zeros."""
        return np.zeros(self.slot_columns(embedding_dim), dtype=np.float32)

    def update(self, block: F32, gradients: F32, *, learning_rate: float, rate_factor: float, step: int) -> None:
        """Update rows (and velocities) in place."""
        dim = gradients.shape[1]
        change = np.float32(-learning_rate * rate_factor) * gradients
        if self._momentum:
            velocity = block[:, dim:]
            velocity *= np.float32(self._momentum)
            velocity += change
            change = velocity
        block[:, :dim] += change


class Ftrl:
    """n' = n + g²; z += f · g - (sqrt(n') - sqrt(n)) / lr · w; w = (clip(z, -l1, l1) - z) / (sqrt(n') / lr + 2 · l2).

    With l1 > 0 a column whose |z| stays below l1 is exactly 0. Source: McMahan et al., "Ad Click Prediction: a View
    from the Trenches", KDD 2013, equation 1 and algorithm 1; parameters as in ``keras.optimizers.Ftrl`` with its power
    of -1/2.

    A schedule (f, the factor of a step) scales the step's loss, not lr. Equation 1 is a minimum over the losses of all
    steps, and between them stand the learning rates of theirs: σ_s = 1/η_s - 1/η_{s-1}. A new lr put into the formulas
    above would count for all steps before too: without penalties z = -w · sqrt(n) / lr_before, hence
    w' = lr / lr_before · w - ..., and a rate that falls to 0 takes the row with it. With the factor at the gradient and
    η_s = lr / sqrt(n_s), which never grows, as the theorem wants it, w' = w - f · lr · g / sqrt(n') without penalties:
    Adagrad's step at the rate f · lr. The σ of rates that follow the schedule give that same step, but need each row's
    last rate as one more slot variable, and are negative in a warm-up.
    """

    def __init__(self, *, start_accumulator: float, l1: float = 0.0, l2: float = 0.0) -> None:
        """Set the accumulator's start value and the two penalties."""
        self._start, self._l1, self._l2 = start_accumulator, np.float32(l1), np.float32(l2)

    def slot_columns(self, embedding_dim: int) -> int:
        """Return 2 D: z, then n."""
        return 2 * embedding_dim

    def start_slots(self, embedding_dim: int) -> F32:
        """Return z = 0 and the accumulators' start value."""
        zeros = np.zeros(embedding_dim, dtype=np.float32)
        return np.concatenate([zeros, zeros + np.float32(self._start)])

    def update(self, block: F32, gradients: F32, *, learning_rate: float, rate_factor: float, step: int) -> None:
        """Update rows, z and n in place."""
        dim = gradients.shape[1]
        rows, z, n = block[:, :dim], block[:, dim : 2 * dim], block[:, 2 * dim :]
        rate = np.float32(learning_rate)
        grown = n + gradients * gradients
        root = np.sqrt(grown)  # a square root, not a power: it is rounded the same in every block
        z += np.float32(rate_factor) * gradients - (root - np.sqrt(n)) / rate * rows
        n[:] = grown
        rows[:] = (np.clip(z, -self._l1, self._l1) - z) / (root / rate + 2 * self._l2)
