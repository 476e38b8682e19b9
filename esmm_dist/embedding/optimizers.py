"""Optimizers of embedding rows: their formulas, slot variables and numbers; the kernels that they name do the work.

A row and its slot variables are one stretch of memory, float32 ``[D + slots]``.
Only rows that were looked up are ever touched; decay and regularisation too ("lazy" in TensorFlow's terms).
Formulas are those of the Keras optimizers of the same names, so that a row moves as a Keras variable would.
``tests/support/reference/row_optimizers.py`` has them in NumPy, bit for bit.

Kernels are imported where they are used: whoever only reads settings does not wait half a second for Numba.
"""

from collections.abc import Callable
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from esmm_dist.arrays import F32, F64, Array, Ids

OptimizerName = Literal["adagrad", "rowwise_adagrad", "adam", "sgd", "ftrl"]


UpdateKernel = Callable[[F32, Array, Ids, F32, F64, F32], None]
"""A kernel of ``kernels/row_updates.py``."""


@runtime_checkable
class RowOptimizer(Protocol):
    """Updates rows from gradients."""

    @property
    def kernel(self) -> UpdateKernel:
        """Return the kernel that updates rows in place."""

    def slot_columns(self, embedding_dim: int) -> int:
        """Return the number of slot variables (float32 columns) of a row of ``embedding_dim`` columns."""

    def start_slots(self, embedding_dim: int) -> F32:
        """Return the slot variables of a new row, float32 [slot_columns(embedding_dim)]."""

    def constants(self, *, learning_rate: float, rate_factor: float, step: int) -> tuple[float, ...]:
        """Return what the kernel's settings end with.

        Args:
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
        self._start, self._epsilon = start_accumulator, epsilon

    @property
    def kernel(self) -> UpdateKernel:
        """Return the kernel of this optimizer."""
        from esmm_dist.kernels.row_updates import adagrad

        return adagrad

    def slot_columns(self, embedding_dim: int) -> int:
        """Return D: one accumulator a column."""
        return embedding_dim

    def start_slots(self, embedding_dim: int) -> F32:
        """Return the accumulators' start value."""
        return np.full(self.slot_columns(embedding_dim), self._start, dtype=np.float32)

    def constants(self, *, learning_rate: float, rate_factor: float, step: int) -> tuple[float, ...]:
        """Return eps, then the rate."""
        return self._epsilon, learning_rate * rate_factor


class RowwiseAdagrad:
    """a += mean_j(g_j²), one accumulator a row; w -= lr · g / sqrt(a + eps).

    Saves D - 1 floats a row. Source: Gupta et al., "Training Recommender Systems at Scale", arXiv 2010.05037,
    section 4 (and ``EXACT_ROWWISE_ADAGRAD`` of FBGEMM).
    """

    def __init__(self, *, start_accumulator: float, epsilon: float = 1e-7) -> None:
        """Set the accumulator's start value and eps."""
        self._start, self._epsilon = start_accumulator, epsilon

    @property
    def kernel(self) -> UpdateKernel:
        """Return the kernel of this optimizer."""
        from esmm_dist.kernels.row_updates import rowwise_adagrad

        return rowwise_adagrad

    def slot_columns(self, embedding_dim: int) -> int:
        """Return 1."""
        return 1

    def start_slots(self, embedding_dim: int) -> F32:
        """Return the accumulators' start value."""
        return np.full(self.slot_columns(embedding_dim), self._start, dtype=np.float32)

    def constants(self, *, learning_rate: float, rate_factor: float, step: int) -> tuple[float, ...]:
        """Return eps, then the rate."""
        return self._epsilon, learning_rate * rate_factor


class Adam:
    """m += (1-b1)(g-m); v += (1-b2)(g²-v); w -= lr · sqrt(1-b2^t)/(1-b1^t) · m / (sqrt(v) + eps).

    t is the global step, not the row's: a row seen for the first time late gets no extra bias correction, as in
    ``LazyAdam`` of TensorFlow Addons. Source: Kingma, Ba, arXiv 1412.6980, section 2 (last paragraph).
    """

    def __init__(self, *, beta_1: float, beta_2: float, epsilon: float = 1e-7) -> None:
        """Set the decay rates of the two moments and eps."""
        self._beta_1, self._beta_2, self._epsilon = beta_1, beta_2, epsilon

    @property
    def kernel(self) -> UpdateKernel:
        """Return the kernel of this optimizer."""
        from esmm_dist.kernels.row_updates import adam

        return adam

    def slot_columns(self, embedding_dim: int) -> int:
        """Return 2 D: m, then v."""
        return 2 * embedding_dim

    def start_slots(self, embedding_dim: int) -> F32:
        """Return zeros."""
        return np.zeros(self.slot_columns(embedding_dim), dtype=np.float32)

    def constants(self, *, learning_rate: float, rate_factor: float, step: int) -> tuple[float, ...]:
        """Return 1 - beta_1, 1 - beta_2, eps, and the rate with its bias correction."""
        rate = learning_rate * rate_factor * np.sqrt(1 - self._beta_2**step) / (1 - self._beta_1**step)
        return 1 - self._beta_1, 1 - self._beta_2, self._epsilon, float(rate)


class Sgd:
    """w -= lr · g; with momentum: u = momentum · u - lr · g, w += u (as ``keras.optimizers.SGD``)."""

    def __init__(self, *, momentum: float = 0.0) -> None:
        """Set the momentum; 0 keeps no slot variable."""
        self._momentum = momentum

    @property
    def kernel(self) -> UpdateKernel:
        """Return the kernel of this optimizer."""
        from esmm_dist.kernels.row_updates import sgd

        return sgd

    def slot_columns(self, embedding_dim: int) -> int:
        """Return 0, or D with momentum."""
        return embedding_dim if self._momentum else 0

    def start_slots(self, embedding_dim: int) -> F32:
        """Return zeros."""
        return np.zeros(self.slot_columns(embedding_dim), dtype=np.float32)

    def constants(self, *, learning_rate: float, rate_factor: float, step: int) -> tuple[float, ...]:
        """Return the rate, negative, then the momentum."""
        return -learning_rate * rate_factor, self._momentum


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
        self._start, self._l1, self._l2 = start_accumulator, l1, l2

    @property
    def kernel(self) -> UpdateKernel:
        """Return the kernel of this optimizer."""
        from esmm_dist.kernels.row_updates import ftrl

        return ftrl

    def slot_columns(self, embedding_dim: int) -> int:
        """Return 2 D: z, then n."""
        return 2 * embedding_dim

    def start_slots(self, embedding_dim: int) -> F32:
        """Return z = 0 and the accumulators' start value."""
        zeros = np.zeros(embedding_dim, dtype=np.float32)
        return np.concatenate([zeros, zeros + np.float32(self._start)])

    def constants(self, *, learning_rate: float, rate_factor: float, step: int) -> tuple[float, ...]:
        """Return the rate, the factor, l1, and twice l2."""
        return learning_rate, rate_factor, self._l1, 2 * self._l2
