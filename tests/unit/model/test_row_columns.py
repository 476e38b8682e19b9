"""Which columns of a row go where, and that networks which share no embeddings share nothing."""

import numpy as np
import pytest
import tensorflow as tf

from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.errors import ConfigError
from esmm_dist.model.config import ModelConfig
from esmm_dist.model.esmm import Esmm
from esmm_dist.model.row_columns import RowColumns
from tests.support.tiny_dataset import tiny_schema

ROW = tf.reshape(tf.range(12.0), [1, 2, 6])
"""Two fields of six columns."""


@pytest.mark.parametrize(
    ("columns", "linear", "seen"),
    [
        (RowColumns(heads=2, slices=1, linear=False), [[], []], [[*range(12)]]),
        (RowColumns(heads=2, slices=1, linear=True), [[0, 1], [6, 7]], [[2, 3, 4, 5, 8, 9, 10, 11]]),
        (RowColumns(heads=2, slices=2, linear=False), [[], []], [[0, 1, 2, 6, 7, 8], [3, 4, 5, 9, 10, 11]]),
        (RowColumns(heads=2, slices=2, linear=True), [[0, 3], [6, 9]], [[1, 2, 7, 8], [4, 5, 10, 11]]),
        (RowColumns(heads=3, slices=3, linear=True), [[0, 2, 4], [6, 8, 10]], [[1, 7], [3, 9], [5, 11]]),
    ],
    ids=lambda value: str(value) if isinstance(value, RowColumns) else "",
)
def test_the_columns_of_a_row(columns, linear, seen):
    found, parts = columns.split(ROW)
    np.testing.assert_array_equal(found[0], np.reshape(linear, [2, -1]))
    assert [part.numpy().tolist() for part in parts] == [[each] for each in seen]


def outputs_and_tape(slices: int, **settings):
    schema = tiny_schema()
    config = ModelConfig(hidden_units=(4,), **settings)
    model = Esmm(schema, EmbeddingConfig(embedding_dim=3, row_slices=slices), config, seed=1)
    pooled = tf.random.stateless_uniform([2 * 2 + 3 * 2, 3 * slices], [1, 2], -1.0, 1.0)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(pooled)
        outputs = tf.unstack(
            model({"main": pooled}, tf.constant([0, 1, 1], tf.int64), tf.constant(2, tf.int64)), axis=1
        )
    return model, outputs, [tape.gradient(output, pooled).numpy() for output in outputs]


@pytest.mark.parametrize("linear_scale", [0.0, 2.0])
@pytest.mark.parametrize(("objective", "heads"), [("base", 2), ("escm2-dr", 3), ("dcmt", 3)])
def test_each_output_depends_on_its_own_slice_of_each_row_alone(objective, heads, linear_scale):
    _, outputs, gradients = outputs_and_tape(
        heads, objective=objective, share_embeddings=False, linear_scale=linear_scale
    )
    assert len(outputs) == heads
    for head, gradient in enumerate(gradients):
        by_slice = gradient.reshape(-1, heads, 3)
        assert by_slice[:, head].any(axis=0).all()
        by_slice[:, head] = 0
        assert not by_slice.any()


def test_a_sliced_model_has_the_networks_of_one_that_shares():
    sliced, _, _ = outputs_and_tape(2, objective="esmm", share_embeddings=False)
    shared, _, _ = outputs_and_tape(1, objective="esmm")
    for mine, its in zip(sliced.trainable_variables, shared.trainable_variables, strict=True):
        np.testing.assert_array_equal(mine.numpy(), its.numpy())


def test_the_linear_term_is_the_first_column_of_each_slice():
    model, (first, second), _ = outputs_and_tape(2, objective="base", linear_scale=2.0)
    for variable in model.trainable_variables:
        variable.assign(np.zeros(variable.shape))  # silences the networks
    pooled = tf.random.stateless_uniform([10, 6], [1, 2], -1.0, 1.0)
    outputs = model({"main": pooled}, tf.constant([0, 1, 1], tf.int64), tf.constant(2, tf.int64)).numpy()
    sums = pooled.numpy()[:4].reshape(2, 2, 6).sum(axis=1)[[0, 1, 1]] + pooled.numpy()[4:].reshape(3, 2, 6).sum(axis=1)
    np.testing.assert_allclose(outputs, 2.0 * sums[:, [0, 3]], rtol=1e-5)
    assert first.shape == second.shape == (3,)


def test_a_slice_needs_a_column_beside_the_linear_term():
    config = ModelConfig(objective="base", linear_scale=1.0)
    with pytest.raises(
        ConfigError, match="embedding_dim is 1, but with linear_scale 1.0 the first column is the linear"
    ):
        Esmm(tiny_schema(), EmbeddingConfig(embedding_dim=1, row_slices=2), config, seed=1)
    Esmm(tiny_schema(), EmbeddingConfig(embedding_dim=2, row_slices=2), config, seed=1)


def test_one_network_for_all_labels_needs_shared_embeddings():
    with pytest.raises(
        ConfigError, match="share_network is true, but with objective base .* Set share_embeddings to true"
    ):
        ModelConfig(objective="base", share_network=True)
    assert ModelConfig(objective="base", share_network=True, share_embeddings=True).share_network
    always = ("tests.unit.model.own_networks:Shared",)
    with pytest.raises(ConfigError, match="is one network for all labels, but with objective amt"):
        Esmm(tiny_schema(), EmbeddingConfig(row_slices=2), ModelConfig(objective="amt", network=always), seed=1)
