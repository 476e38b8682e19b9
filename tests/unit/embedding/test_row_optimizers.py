"""Rows move as a Keras variable would; only those that were looked up."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.table import EmbeddingTable

DIM, RATE = 3, 0.1
IDS = np.array([2, 3, 5, 8])


def gradients(step: int, rows: int = len(IDS), dim: int = DIM) -> np.ndarray:
    return np.random.default_rng(step).normal(size=(rows, dim)).astype(np.float32)


def table_with(**settings) -> EmbeddingTable:
    config = EmbeddingConfig(**{"embedding_dim": DIM, "embedding_learning_rate": RATE, "start_scale": 0.5, **settings})
    return EmbeddingTable("t", config, seed=4)


@pytest.mark.parametrize(
    ("settings", "keras_optimizer"),
    [
        (
            {"embedding_optimizer": "adagrad", "start_accumulator": 0.3},
            lambda: keras.optimizers.Adagrad(RATE, initial_accumulator_value=0.3),
        ),
        (
            {"embedding_optimizer": "adam", "adam_beta_1": 0.8, "adam_beta_2": 0.95},
            lambda: keras.optimizers.Adam(RATE, beta_1=0.8, beta_2=0.95),
        ),
        ({"embedding_optimizer": "sgd"}, lambda: keras.optimizers.SGD(RATE)),
        (
            {"embedding_optimizer": "sgd", "embedding_momentum": 0.7},
            lambda: keras.optimizers.SGD(RATE, momentum=0.7),
        ),
        (
            {"embedding_optimizer": "ftrl", "start_accumulator": 0.2},
            lambda: keras.optimizers.Ftrl(RATE, initial_accumulator_value=0.2),
        ),
        (
            {"embedding_optimizer": "ftrl", "start_accumulator": 0.2, "ftrl_l1": 0.3, "ftrl_l2": 0.7},
            lambda: keras.optimizers.Ftrl(
                RATE, initial_accumulator_value=0.2, l1_regularization_strength=0.3, l2_regularization_strength=0.7
            ),
        ),
    ],
    ids=["adagrad", "adam", "sgd", "sgd with momentum", "ftrl", "ftrl with penalties"],
)
def test_rows_equal_a_keras_variable_after_five_steps(settings, keras_optimizer):
    table = table_with(**settings)
    variable = keras.Variable(table.pull(table.prepare(IDS)))
    optimizer = keras_optimizer()
    optimizer.build([variable])
    for step in range(1, 6):
        table.push(table.prepare(IDS), gradients(step), impressions=1, step=step)
        optimizer.apply([tf.constant(gradients(step))], [variable])
        # float32 throughout; the two may round sums in another order
        np.testing.assert_allclose(table.pull(table.prepare(IDS)), variable.numpy(), rtol=2e-6, atol=2e-7)


def test_rowwise_adagrad_keeps_the_mean_square_of_a_row():
    table = table_with(embedding_optimizer="rowwise_adagrad", start_accumulator=0.2)
    expected = table.pull(table.prepare(IDS)).astype(np.float64)
    accumulators = np.full(len(IDS), 0.2)
    for step in range(1, 4):
        g = gradients(step).astype(np.float64)
        accumulators += (g * g).sum(axis=1) / DIM
        expected -= RATE * g / np.sqrt(accumulators + 1e-7)[:, None]
        table.push(table.prepare(IDS), gradients(step), impressions=1, step=step)
    np.testing.assert_allclose(table.pull(table.prepare(IDS)), expected, rtol=1e-5)
    np.testing.assert_allclose(table.export(0, 4096).slots[:, 0], accumulators, rtol=1e-6)


def test_ftrl_holds_columns_of_weak_gradients_at_exactly_zero():
    table = table_with(embedding_optimizer="ftrl", ftrl_l1=100.0)
    table.push(table.prepare(IDS), gradients(1), impressions=1, step=1)  # |z| < 100 whatever the start value
    np.testing.assert_array_equal(table.pull(table.prepare(IDS)), np.zeros((len(IDS), DIM)))


def ftrl_at_a_constant_rate(rows: np.ndarray, gradients: list[np.ndarray], l1: float, l2: float) -> np.ndarray:
    """Algorithm 1 in float32, operation by operation as it has always been computed here."""
    z, n = np.zeros_like(rows), np.full_like(rows, 0.1)
    rate, bound, penalty = np.float32(RATE), np.float32(l1), np.float32(l2)
    for g in gradients:
        grown = n + g * g
        root = np.sqrt(grown)
        z += g - (root - np.sqrt(n)) / rate * rows
        n = grown
        rows = (np.clip(z, -bound, bound) - z) / (root / rate + 2 * penalty)
    return rows


@pytest.mark.parametrize(("l1", "l2"), [(0.0, 0.0), (0.3, 0.7)])
def test_ftrl_at_a_constant_rate_is_the_published_algorithm_to_the_last_bit(l1, l2):
    table = table_with(embedding_optimizer="ftrl", ftrl_l1=l1, ftrl_l2=l2)
    expected = ftrl_at_a_constant_rate(
        table.pull(table.prepare(IDS)), [gradients(step) for step in range(1, 9)], l1, l2
    )
    for step in range(1, 9):
        table.push(table.prepare(IDS), gradients(step), impressions=1, step=step)
    np.testing.assert_array_equal(table.pull(table.prepare(IDS)), expected)


@pytest.mark.parametrize("course", [[1.0, 0.5, 0.1, 0.0, 0.0], [0.01, 0.5, 1.0, 0.3, 1e-9], [0.2] * 5])
def test_ftrl_without_penalties_is_adagrad_at_every_course_of_the_rate(course):
    """w' = w - f lr g / sqrt(n'), see ``Ftrl``; both begin from 0, where FTRL's z stands for the row."""
    tables = [table_with(embedding_optimizer=name, start_scale=0.0) for name in ("ftrl", "adagrad")]
    for step, factor in enumerate(course, start=1):
        for table in tables:
            table.push(table.prepare(IDS), gradients(step), impressions=1, step=step, rate_factor=factor)
    # Adagrad adds 1e-7 below its root, which FTRL does not
    np.testing.assert_allclose(
        tables[0].pull(tables[0].prepare(IDS)), tables[1].pull(tables[1].prepare(IDS)), rtol=1e-5, atol=1e-7
    )


@pytest.mark.parametrize(("l1", "l2"), [(0.0, 0.0), (0.3, 0.0), (0.3, 0.7)])
def test_a_rate_that_has_fallen_to_nothing_leaves_an_ftrl_row_as_it_is(l1, l2):
    table = table_with(embedding_optimizer="ftrl", ftrl_l1=l1, ftrl_l2=l2)
    for step in range(1, 6):
        table.push(table.prepare(IDS), gradients(1), impressions=1, step=step)
    before = table.pull(table.prepare(IDS))
    assert np.count_nonzero(before)
    for step in range(6, 12):
        table.push(table.prepare(IDS), gradients(step), impressions=1, step=step, rate_factor=0.0)
    np.testing.assert_allclose(table.pull(table.prepare(IDS)), before, rtol=1e-4, atol=1e-6)


def test_with_one_column_rowwise_adagrad_is_adagrad():
    tables = [table_with(embedding_optimizer=name, embedding_dim=1) for name in ("adagrad", "rowwise_adagrad")]
    for step in range(1, 5):
        for table in tables:
            table.push(table.prepare(IDS), gradients(step, dim=1), impressions=3, step=step)
    np.testing.assert_array_equal(tables[0].pull(tables[0].prepare(IDS)), tables[1].pull(tables[1].prepare(IDS)))


@pytest.mark.parametrize(
    ("settings", "start"),
    [
        ({"embedding_optimizer": "adagrad", "start_accumulator": 0.3}, 0.3),
        ({"embedding_optimizer": "rowwise_adagrad", "start_accumulator": 0.3}, 0.3),
        ({"embedding_optimizer": "adam"}, 0.0),
        ({"embedding_optimizer": "sgd", "embedding_momentum": 0.5}, 0.0),
    ],
)
def test_slot_variables_of_a_new_row_have_their_start_value(settings, start):
    table = table_with(**settings)
    table.push(table.prepare(IDS), np.zeros((len(IDS), DIM), np.float32), impressions=1, step=1)
    np.testing.assert_array_equal(table.export(0, 4096).slots, np.float32(start))


@pytest.mark.parametrize("name", ["adagrad", "rowwise_adagrad", "adam", "sgd", "ftrl"])
def test_only_rows_of_the_step_change_also_with_l2_and_momentum(name):
    momentum = {"embedding_momentum": 0.9} if name == "sgd" else {}
    table = table_with(embedding_optimizer=name, embedding_l2=0.1, **momentum)
    table.push(table.prepare(IDS), gradients(1), impressions=1, step=1)
    before = table.export(0, 4096)
    table.push(table.prepare(IDS[:2]), gradients(2, rows=2), impressions=1, step=2)
    after = table.export(0, 4096)
    for column in ("rows", "slots", "last_step", "count"):
        np.testing.assert_array_equal(getattr(after, column)[2:], getattr(before, column)[2:])
    assert np.all(after.rows[:2] != before.rows[:2])
    assert after.last_step.tolist() == [2, 2, 1, 1]
    assert after.count.tolist() == [2, 2, 1, 1]


def test_l2_adds_l_times_w_to_the_mean_gradient_of_rows_in_use():
    table = table_with(embedding_optimizer="sgd", embedding_l2=0.25)
    start = table.pull(table.prepare(IDS)).astype(np.float64)
    table.push(table.prepare(IDS), gradients(1), impressions=4, step=1)
    expected = start - RATE * (gradients(1) / 4 + 0.25 * start)
    np.testing.assert_allclose(table.pull(table.prepare(IDS)), expected, rtol=1e-6, atol=1e-8)


def test_adams_bias_correction_follows_the_global_step_for_a_row_that_comes_late():
    table = table_with(embedding_optimizer="adam", adam_beta_1=0.9, adam_beta_2=0.99)
    start = table.pull(table.prepare(IDS)).astype(np.float64)
    g = gradients(1).astype(np.float64)
    table.push(table.prepare(IDS), gradients(1), impressions=1, step=7)
    rate = RATE * np.sqrt(1 - 0.99**7) / (1 - 0.9**7)
    expected = start - rate * (0.1 * g) / (np.sqrt(0.01 * g * g) + 1e-7)
    np.testing.assert_allclose(table.pull(table.prepare(IDS)), expected, rtol=1e-5)
