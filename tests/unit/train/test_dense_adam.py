"""Adam of the dense weights: Keras' formula, and an eps below the gradients of rare labels."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from esmm_dist.errors import ConfigError
from esmm_dist.train.config import DenseOptimizerConfig
from esmm_dist.train.dense_adam import DenseAdam


def weights_after(optimizer: keras.optimizers.Optimizer, steps: int, scale: float) -> list[np.ndarray]:
    weights = [keras.Variable(np.linspace(-1, 1, n, dtype=np.float32)) for n in (1, 7, 3000)]
    optimizer.build(weights)
    rng = np.random.default_rng(1)

    @tf.function
    def apply(*gradients: tf.Tensor) -> None:
        optimizer.apply(gradients, weights)

    for _ in range(steps):
        apply(*(tf.constant((rng.normal(size=w.shape) * scale).astype(np.float32)) for w in weights))
    return [w.numpy() for w in (*weights, *optimizer.variables)]


@pytest.mark.parametrize("scale", [1.0, 1e-7])
def test_it_moves_weights_and_slot_variables_as_keras_does(scale):
    ours = weights_after(DenseAdam(learning_rate=0.01, epsilon=1e-8), 20, scale)
    keras_s = weights_after(keras.optimizers.Adam(learning_rate=0.01, epsilon=1e-8), 20, scale)
    for own, expected in zip(ours, keras_s, strict=True):
        np.testing.assert_allclose(own, expected, rtol=2e-5, atol=2e-6 * np.abs(expected).max())


def test_names_of_variables_are_those_of_checkpoints_before():
    names = []
    for optimizer in (DenseAdam(learning_rate=0.01, epsilon=1e-8), keras.optimizers.Adam()):
        optimizer.build([keras.Variable(np.zeros(2, np.float32), name="kernel")])
        names.append([variable.path for variable in optimizer.variables])
    assert names[0] == names[1]


def test_small_gradients_move_weights_by_the_learning_rate():
    """Gradients of 1e-6: with Keras' eps of 1e-7 the first step would be a quarter of what it should be."""
    weight = keras.Variable(np.zeros(1, np.float32))
    optimizer = DenseAdam(learning_rate=0.01, epsilon=DenseOptimizerConfig().dense_adam_epsilon)
    optimizer.build([weight])
    optimizer.apply([tf.constant([1e-6])], [weight])
    assert weight.numpy()[0] == pytest.approx(-0.01, rel=0.25)


@pytest.mark.parametrize("epsilon", [0.0, -1e-8])
def test_an_eps_that_would_divide_by_nothing_is_refused(epsilon):
    with pytest.raises(ConfigError, match="dense_adam_epsilon is .* Set a positive number"):
        DenseOptimizerConfig(dense_adam_epsilon=epsilon)


def test_an_eps_for_another_optimizer_is_refused():
    with pytest.raises(ConfigError, match="which adam alone uses, and dense_optimizer is sgd"):
        DenseOptimizerConfig(dense_optimizer="sgd", dense_adam_epsilon=1e-7)
    DenseOptimizerConfig(dense_optimizer="sgd")
