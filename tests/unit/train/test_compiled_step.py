"""One compiled step: its gradients, which weights they reach, and what it does when they are not finite."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.lookup import LookupPlan
from esmm_dist.input.batch import GroupedBatch, empty_batch
from esmm_dist.model.config import ModelConfig
from esmm_dist.model.esmm import Esmm
from esmm_dist.model.inputs import ModelInputs, model_inputs
from esmm_dist.ranks.solo import SoloWorld
from esmm_dist.train.compiled_step import CompiledStep, StepRequests, dropout_seed
from tests.support.tiny_dataset import tiny_schema

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
    return model_inputs(BATCH, LookupPlan(tiny_schema()).prepare(BATCH), {"main": rows_of_batch() * np.float32(scale)})


def rows_of_batch() -> np.ndarray:
    ids = LookupPlan(tiny_schema()).prepare(BATCH)["main"].ids
    return np.random.default_rng(0).normal(size=(len(ids), DIM)).astype(np.float32)


def make(
    *,
    weights=(1.0, 1.0),
    optimizer=None,
    seed: int = 1,
    world=None,
    has_sample_weights=False,
    **settings: Any,
) -> tuple[Esmm, CompiledStep]:
    config = ModelConfig(**{"hidden_units": (6,), **settings})
    model = Esmm(tiny_schema(), EmbeddingConfig(embedding_dim=DIM), config, seed=seed)
    step = CompiledStep(
        model,
        optimizer or keras.optimizers.SGD(1.0),
        task_weights=weights,
        seed=seed,
        world=world or SoloWorld(),
        has_sample_weights=has_sample_weights,
    )
    return model, step


def with_sample_weights(weights: list[float]) -> ModelInputs:
    given = inputs()
    return given._replace(tensors=given.tensors._replace(sample_weights=tf.constant(weights, tf.float32)))


def weights_of(tower) -> list[np.ndarray]:
    return [np.array(variable.numpy()) for variable in tower.trainable_variables]


def loss_of(model: Esmm, rows: tf.Tensor, weights) -> tf.Tensor:
    """The weighted loss sum, from gather, segment sum and probabilities, without the code under test."""
    lookup = LookupPlan(tiny_schema()).prepare(BATCH)["main"]
    pooled = tf.math.unsorted_segment_sum(tf.gather(rows, lookup.places) * lookup.weights[:, None], lookup.segments, 10)
    logits = model({"main": pooled}, tf.constant([0, 1, 1], tf.int64), tf.constant(2, tf.int64))
    p = tf.math.cumprod(tf.sigmoid(tf.cast(logits, tf.float64)), axis=1)
    y = tf.constant(BATCH.labels, tf.float64)
    sums = -tf.reduce_sum(y * tf.math.log(p) + (1 - y) * tf.math.log(1 - p), axis=0)
    return tf.reduce_sum(sums * tf.constant(weights, tf.float64))


@pytest.mark.parametrize("weights", [(1.0, 1.0), (0.5, 3.0)])
def test_row_and_dense_gradients_equal_automatic_differentiation_of_the_plain_formula(weights):
    model, step = make(weights=weights)
    rows = tf.constant(rows_of_batch())
    variables = [v.value for v in model.trainable_variables]
    with tf.GradientTape() as tape:
        tape.watch(rows)
        loss = loss_of(model, rows, weights)
    row_gradient, dense_gradients = tape.gradient(loss, (rows, variables))
    before = weights_of(model)
    result = step(inputs(), 1)
    assert (result.finite, result.at_fault, int(result.requests.sum()), result.impressions) == (True, False, 0, 3)
    expected = tf.convert_to_tensor(row_gradient).numpy()
    np.testing.assert_allclose(result.gradient_sums["main"], expected, rtol=1e-4, atol=1e-6)
    # SGD with rate 1 moves by the mean gradient over the three impressions
    for old, new, gradient in zip(before, weights_of(model), dense_gradients, strict=True):
        np.testing.assert_allclose(old - new, gradient.numpy() / 3, rtol=1e-3, atol=1e-6)


def stepped(given: ModelInputs, *, has_sample_weights: bool = True):
    """Return a step's result, and the dense weights after it: SGD with rate 1 shows the mean gradient."""
    model, step = make(has_sample_weights=has_sample_weights)
    result = step(given, 1)
    return result, weights_of(model)


def test_weight_of_two_is_the_impression_twice():
    """The second impression, of the second group, stands twice in one batch and has weight 2 in the other."""
    twice = GroupedBatch(
        user_ids=BATCH.user_ids,
        user_lengths=BATCH.user_lengths,
        user_weights=BATCH.user_weights,
        impression_ids=np.array([7, 90, 91, 8, 8, 7, 90]),
        impression_lengths=np.array([1, 2, 1, 0, 1, 0, 1, 1]),
        impression_weights=None,
        impressions_per_group=np.array([1, 3]),
        sample_ids=np.array([1, 2, 2, 3]),
        labels=np.array([[1, 1], [1, 0], [1, 0], [0, 0]]),
    )
    lookups = LookupPlan(tiny_schema()).prepare(twice)
    repeated, expected = stepped(model_inputs(twice, lookups, {"main": rows_of_batch()}))
    weighted, found = stepped(with_sample_weights([1.0, 2.0, 1.0]))
    assert (weighted.impressions, weighted.weight, repeated.weight) == (3, 4.0, 4.0)
    np.testing.assert_allclose(weighted.loss_sums, repeated.loss_sums, rtol=1e-6)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    # The store divides by the impressions of the step
    np.testing.assert_allclose(
        weighted.gradient_sums["main"] / weighted.impressions,
        repeated.gradient_sums["main"] / repeated.impressions,
        rtol=1e-5,
        atol=1e-7,
    )


@pytest.mark.parametrize("weight", [1.0, 4.0])  # a power of two scales without rounding
def test_equal_weights_are_no_weights_to_the_last_bit(weight):
    plain, expected = stepped(inputs(), has_sample_weights=False)
    weighted, found = stepped(with_sample_weights([weight] * 3))
    np.testing.assert_array_equal(weighted.loss_sums, weight * plain.loss_sums)
    np.testing.assert_array_equal(weighted.gradient_sums["main"], plain.gradient_sums["main"])
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_batch_without_weight_changes_nothing():
    model, step = make(has_sample_weights=True, optimizer=keras.optimizers.Adam(1.0))
    step(inputs(), 1)
    before = weights_of(model)
    result = step(with_sample_weights([0.0, 0.0, 0.0]), 2)
    assert (result.finite, result.impressions, result.weight) == (True, 3, 0.0)
    np.testing.assert_array_equal(result.gradient_sums["main"], 0.0)
    for a, b in zip(before, weights_of(model), strict=True):
        np.testing.assert_array_equal(a, b)


def test_weights_below_one_are_a_mean_too():
    small, found = stepped(with_sample_weights([0.125, 0.25, 0.125]))
    large, expected = stepped(with_sample_weights([1.0, 2.0, 1.0]))
    assert small.weight == 0.5
    np.testing.assert_allclose(small.gradient_sums["main"], large.gradient_sums["main"], rtol=1e-6)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


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
    _, compiled = make(dropout=(0.5,), optimizer=keras.optimizers.SGD(0.0))

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
    result = step(inputs(scale), 1)
    assert (result.finite, result.at_fault) == (False, True)
    for old, variable in zip(before, (*model.variables, *made.variables), strict=True):
        np.testing.assert_array_equal(old, variable.numpy())
    assert step(inputs(), 2).finite


class Elastic(SoloWorld):
    """Ranks that may come and go: a step can be undone."""

    elastic = True


def empty_inputs() -> ModelInputs:
    batch = empty_batch(tiny_schema())
    lookups = LookupPlan(tiny_schema()).prepare(batch)
    return model_inputs(batch, lookups, {"main": np.empty((0, DIM), np.float32)})


@pytest.mark.parametrize("before", ["nothing", "a step", "an empty step"])
@pytest.mark.parametrize("last", [inputs, empty_inputs])
@pytest.mark.parametrize("then", ["undo", "a step that fails, undo"])
def test_undo_takes_back_the_last_step_whether_it_had_impressions_or_not(before, last, then):
    made = keras.optimizers.Adam(0.1)
    model, step = make(optimizer=made, world=Elastic())
    variables = [*model.variables, *made.variables]
    for variable in variables:  # as a checkpoint does, once the step is there
        variable.assign(variable + tf.cast(1, variable.dtype))
    if before != "nothing":
        assert step(inputs() if before == "a step" else empty_inputs(), 1).finite
    expected = [np.array(variable.numpy()) for variable in variables]
    assert step(last(), 2).finite
    if then != "undo":
        assert not step(inputs(np.nan), 3).finite
    step.undo()
    for variable, value in zip(variables, expected, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value, err_msg=variable.path)


@pytest.mark.parametrize("hidden_units", [(6,), ()])
def test_an_empty_share_gives_no_losses_no_gradients_and_changes_nothing_by_itself(hidden_units):
    model, step = make(hidden_units=hidden_units)
    before = [weights_of(tower) for tower in model.towers]
    assert empty_inputs().tensors.pooled["main"].shape == (0, DIM)
    result = step(empty_inputs(), 1)
    assert (result.finite, result.impressions) == (True, 0)
    np.testing.assert_array_equal(result.loss_sums, [0, 0])
    assert result.gradient_sums["main"].shape == (0, DIM)
    for old, tower in zip(before, model.towers, strict=True):
        for a, b in zip(old, weights_of(tower), strict=True):
            np.testing.assert_array_equal(a, b)


def test_the_wish_to_stop_comes_back():
    _, step = make()
    assert step(inputs(), 1, StepRequests(stop=True)).requests.tolist() == [1, 0, 0]
    assert step(inputs(), 2, StepRequests(leave=True, change=True)).requests.tolist() == [0, 1, 1]


def test_rank_0_draws_the_dropout_masks_of_one_process_and_each_other_rank_its_own():
    seeds = [dropout_seed(5, rank) for rank in range(4)]
    assert seeds[0] == 5
    assert len(set(seeds)) == 4
    assert seeds == [dropout_seed(5, rank) for rank in range(4)]
    assert all(0 <= seed < 2**31 for seed in seeds)


class BesideAnother(SoloWorld):
    """A rank beside one whose sums are known.

    What comes after the loss sums is [impressions, weight, not finite, 3 requests].
    """

    def __init__(self, flags: list[float], *, dense: float = 0.0) -> None:
        self._flags, self._dense = flags, dense

    def sum_in_step(self, flat: tf.Tensor) -> tf.Tensor:
        other = tf.concat([tf.fill([flat.shape[0] - 8], self._dense), tf.constant([1.0, 2.0, *self._flags])], 0)
        return flat + other


def test_losses_and_impressions_are_summed_and_dense_gradients_averaged_over_all_ranks():
    alone, alone_step = make()
    model, step = make(world=BesideAnother([5.0, 5.0, 0.0, 0.0, 0.0, 0.0]))
    before = weights_of(model)
    expected, result = alone_step(inputs(), 1), step(inputs(), 1)
    assert (result.impressions, result.finite, int(result.requests.sum())) == (3 + 5, True, 0)
    np.testing.assert_allclose(result.loss_sums - expected.loss_sums, [1, 2], rtol=1e-5)
    np.testing.assert_array_equal(result.gradient_sums["main"], expected.gradient_sums["main"])
    for old, new, own in zip(before, weights_of(model), weights_of(alone), strict=True):
        np.testing.assert_allclose(old - new, (old - own) * 3 / 8, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("world", "at_fault"),
    [
        (BesideAnother([5.0, 5.0, 1.0, 0.0, 0.0, 0.0]), False),  # the other says that it is not finite
        (
            BesideAnother([5.0, 5.0, 0.0, 0.0, 0.0, 0.0], dense=1e30),
            True,
        ),  # each is finite, the square of the sum is not
    ],
)
def test_a_step_that_is_not_finite_over_all_ranks_changes_nothing_here_either(world, at_fault):
    model, step = make(world=world)
    before = weights_of(model)
    result = step(inputs(), 1)
    assert (result.finite, result.at_fault) == (False, at_fault)
    for old, new in zip(before, weights_of(model), strict=True):
        np.testing.assert_array_equal(old, new)


def test_another_ranks_wish_to_stop_is_heard():
    _, step = make(world=BesideAnother([5.0, 5.0, 0.0, 1.0, 0.0, 0.0]))
    assert step(inputs(), 1).requests.tolist() == [1, 0, 0]
