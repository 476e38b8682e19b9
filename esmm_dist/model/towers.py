"""The towers of a model: BASE networks with start values from the run's seed, and calls that depend on nothing else.

A BASE network may be made of ordinary Keras layers. Two of their habits do not fit a training whose result depends on
neither the number of ranks nor an interruption, and are dealt with here: initialisers and layers draw seeds from
Python's global generator, and calls change variables (the state of a dropout's generator, moving statistics).
"""

import importlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from esmm_dist.errors import ConfigError
from esmm_dist.model.base_network import BaseNetwork, PooledFields
from esmm_dist.model.config import ModelConfig
from esmm_dist.model.mlp import Mlp

_GOLDEN_RATIO = 0x9E3779B1
"""Odd, so that multiplying by it modulo 2^32 keeps steps apart; the seeds of two steps are then no neighbours, which
a generator that is used twice in a step would go through."""


def make_towers(
    config: ModelConfig, *, number: int, user_columns: int, impression_columns: int, seed: int
) -> list[BaseNetwork]:
    """Make, build and check the towers of a model.

    Args:
        config: settings of the towers, with the BASE network's name
        number: K, one tower a label.
        user_columns: P_u.
        impression_columns: P_i.
        seed: seed of the run; whatever initialisers and layers draw without a seed of their own follows from it

    Raises:
        ConfigError: The BASE network cannot be loaded, fails, or does what training cannot keep track of.
    """
    with _seeded(seed * 1000):  # a module may make initialisers when it is imported
        tower_class = base_network_class(config.base_network)
    towers = []
    for place in range(number):
        with _seeded(seed * 1000 + place):
            towers.append(_made(tower_class, user_columns, impression_columns, config, seed * 1000 + place))
    return towers


def base_network_class(name: str) -> type[BaseNetwork]:
    """Return the BASE network class of a setting: ``mlp`` or ``package.module:Class``.

    Raises:
        ConfigError: There is no such module or class, or it is not a BaseNetwork.
    """
    if name == "mlp":
        return Mlp
    module_name, colon, class_name = name.partition(":")
    if not colon:
        raise ConfigError(f"base_network is '{name}'. Set mlp, or package.module:Class of your own network.")
    try:
        found: Any = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError) as e:
        raise ConfigError(f"base_network '{name}' cannot be loaded: {e}. Check PYTHONPATH and spelling.") from e
    if not (isinstance(found, type) and issubclass(found, BaseNetwork)):
        raise ConfigError(f"base_network '{name}' is not a subclass of esmm_dist.model.base_network.BaseNetwork.")
    return found


def logits_of(tower: BaseNetwork, fields: PooledFields, dropout_seed: tf.Tensor | None) -> tf.Tensor:
    """Return a tower's logits float32 [B]; the call changes no variable.

    Args:
        tower: tower that has been built
        fields: pooled vectors of the batch
        dropout_seed: int32 [2], another one each tower and step, from which Keras' seed generators draw too; None when
            not training
    """
    generators = _seed_states(tower) if dropout_seed is not None else []
    seeds = [(state, _generator_seed(dropout_seed, place)) for place, state in enumerate(generators)]
    with keras.StatelessScope(seeds):
        return tower(fields, dropout_seed=dropout_seed)


def weight_penalty(model: keras.Model) -> tf.Tensor | None:
    """Return the sum of the penalties of Keras' weight regularisers, float32 scalar; None if there are none."""
    penalties = [weight.regularizer(weight.value) for weight in model.trainable_weights if weight.regularizer]
    return tf.add_n(penalties) if penalties else None


class _InTraining(keras.layers.Layer):
    """Calls a tower as a model in training does: Keras hands ``training`` on to layers within alone."""

    def __init__(self, tower: BaseNetwork) -> None:
        super().__init__()
        self.tower = tower

    def call(self, pooled: PooledFields, dropout_seed: tf.Tensor, training: bool = False) -> tf.Tensor:
        return self.tower(pooled, dropout_seed=dropout_seed)


def _made(
    tower_class: type[BaseNetwork], user_columns: int, impression_columns: int, config: ModelConfig, seed: int
) -> BaseNetwork:
    name = config.base_network
    # Two impressions of one user: what takes one for the other shows
    fields = PooledFields(tf.zeros([1, user_columns]), tf.zeros([2, impression_columns]), tf.zeros([2], tf.int64))
    try:
        tower = tower_class(user_columns, impression_columns, config, seed=seed)
        tower(fields)  # layers that make their weights in their first call make them now
        with keras.StatelessScope(collect_losses=True) as scope:
            logits = _InTraining(tower)(fields, dropout_seed=tf.constant([1, 1]), training=True)
    except Exception as e:  # whatever a user's code raises
        raise ConfigError(
            f"base_network '{name}' fails on a batch of one user and two impressions: {type(e).__name__}: {e}. --debug "
            "shows where."
        ) from e
    if not tf.is_tensor(logits) or logits.dtype != tf.float32 or tuple(logits.shape) != (2,):
        found = f"{logits.dtype.name} {list(logits.shape)}" if tf.is_tensor(logits) else type(logits).__name__
        raise ConfigError(
            f"base_network '{name}' returns {found} for two impressions, not float32 [2]. Return one logit an "
            "impression: of a layer with 1 unit, keras.ops.squeeze(x, axis=1)."
        )
    states = {id(state) for state in _seed_states(tower)}
    changed = [v for v in tower.variables if id(v) not in states and scope.get_current_value(v) is not None]
    if changed:
        raise ConfigError(
            f"base_network '{name}': the call changes the variable {changed[0].path}, as BatchNormalization does. What "
            "it learns there is of one rank's share of a batch, so that results would depend on the number of ranks, "
            "and a step could not be undone. Use a layer without such state, such as keras.layers.LayerNormalization."
        )
    if scope.losses:
        raise ConfigError(
            f"base_network '{name}': the call adds a loss (add_loss, or an activity_regularizer), which the losses of "
            "the labels have no place for. Weight regularisers (kernel_regularizer) are taken into account."
        )
    return tower


def _seed_states(tower: BaseNetwork) -> list[keras.Variable]:
    """Return the states of a tower's seed generators: ``variables`` has them, and ``weights`` has not."""
    weights = {id(weight) for weight in tower.weights}
    return [variable for variable in tower.variables if id(variable) not in weights]


def _generator_seed(dropout_seed: tf.Tensor, place: int) -> tf.Tensor:
    """Return the state uint32 [2] of a seed generator of a tower at a step."""
    seed = tf.cast(dropout_seed + tf.constant([place, 0]), tf.uint32)
    return seed * tf.constant([1, _GOLDEN_RATIO], tf.uint32)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed the global generators of Python, NumPy and TensorFlow for the block; Python's and NumPy's are put back."""
    python, numpy = random.getstate(), np.random.get_state()
    keras.utils.set_random_seed(seed % 2**32)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
