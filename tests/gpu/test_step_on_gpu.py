"""One step on a GPU against the same step on the CPU: losses, gradients of rows, dense weights."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.lookup import LookupPlan
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.model.config import ModelConfig
from esmm_dist.model.esmm import Esmm
from esmm_dist.model.inputs import model_inputs
from esmm_dist.ranks.solo import SoloWorld
from esmm_dist.train.compiled_step import CompiledStep, StepResult
from tests.support.tiny_dataset import tiny_schema

GROUPS, PER_GROUP, DIM = 64, 8, 8


def batch_of_schema() -> GroupedBatch:
    """Return 64 groups of 8 impressions, lists of up to 5 ids."""
    random, schema = np.random.default_rng(0), tiny_schema()
    impressions = GROUPS * PER_GROUP
    user_lengths = random.integers(0, 6, GROUPS * len(schema.user_fields))
    impression_lengths = random.integers(0, 6, impressions * len(schema.impression_fields))
    clicks = random.random(impressions) < 0.3
    return GroupedBatch(
        user_ids=random.integers(0, 500, user_lengths.sum()),
        user_lengths=user_lengths,
        user_weights=None,
        impression_ids=random.integers(0, 500, impression_lengths.sum()),
        impression_lengths=impression_lengths,
        impression_weights=None,
        impressions_per_group=np.full(GROUPS, PER_GROUP),
        sample_ids=np.arange(impressions),
        labels=np.stack([clicks, clicks & (random.random(impressions) < 0.3)], axis=1).astype(np.int64),
    )


def step_on(device: str, settings: dict[str, Any]) -> tuple[StepResult, list[np.ndarray], str]:
    """Make two steps; return the second one's result, the weights after it, and where the weights are."""
    batch = batch_of_schema()
    lookups = LookupPlan(tiny_schema()).prepare(batch)
    rows = np.random.default_rng(1).normal(size=(len(lookups["main"].ids), DIM)).astype(np.float32)
    with tf.device(device):
        model = Esmm(
            tiny_schema(),
            EmbeddingConfig(embedding_dim=DIM),
            ModelConfig(**{"hidden_units": (32, 16), **settings}),
            seed=1,
        )
        optimizer = keras.optimizers.Adam(1e-3)
        step = CompiledStep(model, optimizer, task_weights=(1.0, 1.0), seed=1, world=SoloWorld())
        inputs = model_inputs(batch, lookups, {"main": rows}, with_norms=model.uses_norms)
        step(inputs, 1)
        result = step(inputs, 2)
    weights = [np.array(variable.numpy()) for variable in model.trainable_variables]
    return result, weights, model.trainable_variables[0].value.device


@pytest.mark.parametrize("settings", [{}, {"linear_scale": 3.0, "linear_lists": "unit"}, {"dropout": 0.2}])
def test_a_step_on_a_gpu_is_that_of_the_cpu(settings):
    found, found_weights, device = step_on("/GPU:0", settings)
    expected, expected_weights, other = step_on("/CPU:0", settings)
    assert ("GPU" in device, "GPU" in other) == (True, False)
    assert (found.finite, found.impressions) == (expected.finite, expected.impressions)
    np.testing.assert_allclose(found.loss_sums, expected.loss_sums, rtol=1e-5)
    np.testing.assert_allclose(found.gradient_sums["main"], expected.gradient_sums["main"], rtol=1e-4, atol=1e-5)
    for a, b in zip(found_weights, expected_weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_the_same_step_on_a_gpu_gives_the_same_bits():
    tf.config.experimental.enable_op_determinism()
    first, first_weights, _ = step_on("/GPU:0", {})
    second, second_weights, _ = step_on("/GPU:0", {})
    np.testing.assert_array_equal(first.gradient_sums["main"], second.gradient_sums["main"])
    for a, b in zip(first_weights, second_weights, strict=True):
        np.testing.assert_array_equal(a, b)
