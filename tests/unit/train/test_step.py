"""One compiled step: its gradients, which weights they reach, and what it does when they are not finite."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.lookup import LookupPlan
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.model.config import ModelConfig
from esmm_dist.model.esmm import Esmm
from esmm_dist.model.inputs import ModelInputs, model_inputs
from esmm_dist.train.step import CompiledStep
from tests.tiny_dataset import tiny_schema

BATCH = GroupedBatch(
    user_ids=np.array([1, 50, 51, 2]),
    user_lengths=np.array([1, 2, 1, 0]),
    user_weights=np.array([1.0, 2.0, 0.5, 1.0], dtype=np.float32),
    impression_ids=np.array([7, 90, 91, 8, 7, 90]),
    impression_lengths=np.array([1, 2, 1, 0, 1, 1]),
    impression_weights=None,
    impressions_per_group=np.array([1, 2]),
    sample_ids=np.array([1, 2, 3]),
    labels=np.array([[1, 1], [1, 0], [0, 0]]),
)
DIM = 3


def inputs(scale: float = 1.0) -> ModelInputs:
    lookups = LookupPlan(tiny_schema()).prepare(BATCH)
    rows = np.random.default_rng(0).normal(size=(len(lookups["main"].ids), DIM)).astype(np.float32)
    return model_inputs(BATCH, lookups, {"main": rows * np.float32(scale)})


def make(*, weights=(1.0, 1.0), dropout: float = 0.0, optimizer=None, seed: int = 1) -> tuple[Esmm, CompiledStep]:
    model = Esmm(
        tiny_schema(), EmbeddingConfig(embedding_dim=DIM), ModelConfig(hidden_units=(6,), dropout=dropout), seed=seed
    )
    step = CompiledStep(
        model, optimizer or keras.optimizers.SGD(1.0), task_weights=weights, seed=seed, dim_by_table={"main": DIM}
    )
    return model, step


def weights_of(tower) -> list[np.ndarray]:
    return [np.array(variable.numpy()) for variable in tower.trainable_variables]


def loss_of(model: Esmm, rows: tf.Tensor, weights) -> tf.Tensor:
    """The weighted loss sum, from gather, segment sum and probabilities, without the code under test."""
    given = inputs()
    pooled = tf.math.unsorted_segment_sum(
        tf.gather(rows, given.indices["main"][:, 1]) * given.weights["main"][:, None], given.indices["main"][:, 0], 10
    )
    logits = model({"main": pooled}, tf.constant([0, 1, 1], tf.int64), tf.constant(2, tf.int64))
    p = tf.math.cumprod(tf.sigmoid(tf.cast(logits, tf.float64)), axis=1)
    y = tf.constant(BATCH.labels, tf.float64)
    sums = -tf.reduce_sum(y * tf.math.log(p) + (1 - y) * tf.math.log(1 - p), axis=0)
    return tf.reduce_sum(sums * tf.constant(weights, tf.float64))


@pytest.mark.parametrize("weights", [(1.0, 1.0), (0.5, 3.0)])
def test_row_and_dense_gradients_equal_automatic_differentiation_of_the_plain_formula(weights):
    model, step = make(weights=weights)
    rows = inputs().rows["main"]
    variables = [v.value for v in model.trainable_variables]
    with tf.GradientTape() as tape:
        tape.watch(rows)
        loss = loss_of(model, rows, weights)
    row_gradient, dense_gradients = tape.gradient(loss, (rows, variables))
    before = weights_of(model)
    result = step(inputs(), 1)
    assert result.finite
    expected = tf.convert_to_tensor(row_gradient).numpy()
    np.testing.assert_allclose(result.gradient_sums["main"], expected, rtol=1e-4, atol=1e-6)
    # SGD with rate 1 moves by the mean gradient over the three impressions
    for old, new, gradient in zip(before, weights_of(model), dense_gradients, strict=True):
        np.testing.assert_allclose(old - new, gradient.numpy() / 3, rtol=1e-3, atol=1e-6)


def test_loss_sums_are_without_task_weights():
    _, plain = make()
    _, weighted = make(weights=(2.0, 0.0))
    np.testing.assert_array_equal(plain(inputs(), 1).loss_sums, weighted(inputs(), 1).loss_sums)


def test_with_the_ctcvr_loss_off_nothing_reaches_the_cvr_tower():
    model, step = make(weights=(1.0, 0.0))
    ctr, cvr = (weights_of(tower) for tower in model.towers)
    step(inputs(), 1)
    assert any(np.any(old != new) for old, new in zip(ctr, weights_of(model.towers[0]), strict=True))
    for old, new in zip(cvr, weights_of(model.towers[1]), strict=True):
        np.testing.assert_array_equal(old, new)


def test_with_the_ctr_loss_off_the_ctcvr_loss_still_reaches_both_towers():
    model, step = make(weights=(0.0, 1.0))
    before = [weights_of(tower) for tower in model.towers]
    step(inputs(), 1)
    for old, tower in zip(before, model.towers, strict=True):
        assert any(np.any(a != b) for a, b in zip(old, weights_of(tower), strict=True))


def test_dropout_follows_seed_and_step_alone():
    _, compiled = make(dropout=0.5, optimizer=keras.optimizers.SGD(0.0))

    def losses(step: int) -> list[float]:
        return [float(loss) for loss in compiled(inputs(), step).loss_sums]

    assert losses(5) == losses(5)
    assert losses(5) != losses(6)


@pytest.mark.parametrize(
    ("optimizer", "scale"),
    [
        (keras.optimizers.SGD, np.inf),
        (keras.optimizers.Adagrad, np.nan),
        (keras.optimizers.Adam, np.nan),
        (keras.optimizers.Adam, 1e25),  # finite gradients whose squares are not
    ],
)
def test_a_step_that_is_not_finite_changes_no_dense_weight_and_no_optimizer_state(optimizer, scale):
    made = optimizer(0.1)
    model, step = make(optimizer=made)
    before = [np.array(v.numpy()) for v in (*model.variables, *made.variables)]
    assert not step(inputs(scale), 1).finite
    for old, variable in zip(before, (*model.variables, *made.variables), strict=True):
        np.testing.assert_array_equal(old, variable.numpy())
    assert step(inputs(), 2).finite
