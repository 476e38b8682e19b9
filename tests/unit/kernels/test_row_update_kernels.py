"""The kernels that read and move rows give the bits of their references in NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esmm_dist.arrays import F32
from esmm_dist.embedding.optimizers import Adagrad, Adam, Ftrl, RowOptimizer, RowwiseAdagrad, Sgd
from esmm_dist.kernels.row_updates import pairwise_sum, read_rows
from tests.support.reference import row_optimizers as reference
from tests.support.reference.row_optimizers import ReferenceStep, mean_gradients

OPTIMIZERS = {
    "adagrad": (Adagrad(start_accumulator=0.1), ReferenceStep(), reference.adagrad),
    "rowwise adagrad": (RowwiseAdagrad(start_accumulator=0.1), ReferenceStep(), reference.rowwise_adagrad),
    "adam": (Adam(beta_1=0.8, beta_2=0.97), ReferenceStep(beta_1=0.8, beta_2=0.97), reference.adam),
    "sgd": (Sgd(), ReferenceStep(), reference.sgd),
    "momentum": (Sgd(momentum=0.7), ReferenceStep(momentum=0.7), reference.sgd),
    "ftrl": (Ftrl(start_accumulator=0.1), ReferenceStep(), reference.ftrl),
    "ftrl with penalties": (
        Ftrl(start_accumulator=0.1, l1=0.03, l2=0.7), ReferenceStep(l1=0.03, l2=0.7), reference.ftrl
    ),
}  # fmt: skip
# around a vector's length, and 8 and 128, at which NumPy's pairwise sum changes its ways
DIMS = st.sampled_from([1, 2, 3, 7, 8, 9, 15, 16, 17, 18, 31, 32, 40, 127, 128, 129, 200, 300])


def a_slab(random: np.random.Generator, dim: int, slots: int) -> F32:
    values = random.normal(size=(60, dim + slots + 2)).astype(np.float32)
    values[random.random(values.shape) < 0.1] = 0.0
    values[:, dim : dim + slots] = np.abs(values[:, dim : dim + slots]) * 0.1 + 0.001
    values.view(np.int32)[:, dim + slots :] = random.integers(0, 50, (60, 2))
    return values


@pytest.mark.parametrize("name", OPTIMIZERS)
@settings(deadline=None, max_examples=60)
@given(st.data())
def test_a_kernel_moves_rows_to_the_bits_of_its_reference(name, data):
    optimizer, of_optimizer, update = OPTIMIZERS[name]
    assert isinstance(optimizer, RowOptimizer)
    dim, random = data.draw(DIMS), np.random.default_rng(data.draw(st.integers(0, 2**32)))
    slots = optimizer.slot_columns(dim)
    values = a_slab(random, dim, slots)
    numbers = random.permutation(60)[: data.draw(st.integers(0, 60))]
    numbers[random.random(len(numbers)) < 0.1] = -random.integers(1, 9)
    sums = (random.normal(size=(len(numbers), dim)) * 10.0 ** data.draw(st.integers(-6, 3))).astype(np.float32)
    sums[random.random(sums.shape) < 0.1] = -0.0
    penalty, impressions = data.draw(st.sampled_from([0.0, 0.1])), data.draw(st.sampled_from([1, 7, 4096]))
    moment = {
        "learning_rate": 0.07,
        "rate_factor": data.draw(st.sampled_from([0.0, 0.3, 1.0])),
        "step": data.draw(st.sampled_from([1, 7, 20_000_003])),  # the last is no float32
    }

    expected, rows = values.copy(), numbers[numbers >= 0]
    block = expected[rows][:, : dim + slots]
    gradients = mean_gradients(block[:, :dim], sums[numbers >= 0], impressions=impressions, penalty=penalty)
    update(block, gradients, ReferenceStep(**{**vars(of_optimizer), **moment}))
    expected[rows, : dim + slots] = block
    meta = expected.view(np.int32)[:, dim + slots :]
    meta[rows, 0] = moment["step"]
    meta[rows, 1] += 1

    before = np.zeros((len(numbers) * data.draw(st.integers(0, 1)), values.shape[1]), dtype=np.float32)
    kept = before.copy()
    if len(kept):
        kept[numbers >= 0] = values[rows]
    constants = optimizer.constants(**moment)
    of_step = np.array([moment["step"], 1.0 / impressions, penalty, *constants], dtype=np.float64)
    optimizer.kernel(values, values.view(np.int32), numbers, sums, of_step, before)
    np.testing.assert_array_equal(values.view(np.int32), expected.view(np.int32))
    np.testing.assert_array_equal(before.view(np.int32), kept.view(np.int32))


@given(st.integers(0, 40), st.integers(1, 40), st.integers(0, 2**32))
def test_rows_are_read_to_the_last_bit_and_missing_ones_left_alone(count, dim, seed):
    random = np.random.default_rng(seed)
    values = a_slab(random, dim, 3)
    numbers = random.integers(-5, 60, count)
    rows = np.full((count, dim), 7.0, dtype=np.float32)
    expected = rows.copy()
    expected[numbers >= 0] = values[numbers[numbers >= 0], :dim]
    read_rows(values, numbers, rows)
    np.testing.assert_array_equal(rows, expected)


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 16, 127, 128, 129, 200, 300, 1000])
def test_numbers_are_added_in_numpys_order(count):
    values = np.random.default_rng(count).random((200, count)).astype(np.float32)
    np.testing.assert_array_equal([pairwise_sum(row, 0, count) for row in values], values.sum(axis=1))
