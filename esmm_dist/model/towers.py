"""The networks of a model, with start values from the run's seed, and calls that depend on nothing else.

A BASE network may be made of ordinary Keras layers. Two of their habits do not fit a training whose result depends on
neither the number of ranks nor an interruption, and are dealt with here: initialisers and layers draw seeds from
Python's global generator, and calls change variables (the state of a dropout's generator, moving statistics).
"""

import importlib
import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from esmm_dist.errors import ConfigError
from esmm_dist.model.base_network import BaseNetwork
from esmm_dist.model.config import ModelConfig
from esmm_dist.model.network_names import NETWORKS, check_network_name
from esmm_dist.model.pooled_fields import FieldLayout, ListRows, PooledFields

_GOLDEN_RATIO = 0x9E3779B1
"""Odd, so that multiplying by it modulo 2^32 keeps steps apart; the seeds of two steps are then no neighbours, which
a generator that is used twice in a step would go through."""


def make_towers(
    config: ModelConfig, layout: FieldLayout, label_of_head: Sequence[int], *, seed: int
) -> list[BaseNetwork]:
    """Make, build and check the networks of a model.

    Args:
        config: settings of the networks
        layout: the fields that they see
        label_of_head: for each output of the model, the number of the label whose network it is of
        seed: seed of the run; whatever initialisers and layers draw without a seed of their own follows from it

    Returns:
        One network for all heads, or one a head; their outputs side by side are those of the model.

    Raises:
        ConfigError: A network cannot be loaded, fails, or does what training cannot keep track of.
    """
    names = config.networks_for(max(label_of_head) + 1)
    with _seeded(seed * 1000):  # a module may make initialisers when it is imported
        classes = {name: network_class(name) for name in dict.fromkeys(names)}
    shared = [name for name in classes if classes[name].always_shared]
    if shared and len(classes) > 1:
        raise ConfigError(
            f"network is {', '.join(names)}, but {shared[0]} is one network for all labels. Name it alone, or networks "
            "that each label can have for itself."
        )
    if config.share_network or shared:
        heads = [(names[0], len(label_of_head))]
    else:
        heads = [(names[label], 1) for label in label_of_head]
    towers = []
    for place, (name, outputs) in enumerate(heads):
        with _seeded(seed * 1000 + place):
            maker = partial(classes[name], layout, config, outputs=outputs, seed=seed * 1000 + place)
            towers.append(_made(name, maker, layout, outputs))
    return towers


def wants_lists(config: ModelConfig, *, seed: int) -> bool:
    """Return whether a network of a model gets the elements of attended lists.

    Args:
        config: settings of the networks
        seed: seed of the run

    Raises:
        ConfigError: A network cannot be loaded.
    """
    with _seeded(seed * 1000):  # as in make_towers: this may be the first import
        return any(network_class(name).wants_lists for name in config.network)


def network_class(name: str) -> type[BaseNetwork]:
    """Return the class of a network: one of ``NETWORKS``, or the one at ``package.module:Class``.

    Raises:
        ConfigError: There is no such module or class, or it is not a BaseNetwork.
    """
    check_network_name(name)
    module_name, _, class_name = NETWORKS.get(name, name).partition(":")
    try:
        found: Any = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError) as e:
        raise ConfigError(f"network '{name}' cannot be loaded: {e}. Check PYTHONPATH and spelling.") from e
    if not (isinstance(found, type) and issubclass(found, BaseNetwork)):
        raise ConfigError(f"network '{name}' is not a subclass of esmm_dist.model.base_network.BaseNetwork.")
    return found


def outputs_of(tower: BaseNetwork, fields: PooledFields, dropout_seed: tf.Tensor | None) -> tf.Tensor:
    """Return a network's outputs float32 [B, outputs]; the call changes no variable.

    Args:
        tower: network that has been built
        fields: pooled vectors of the batch
        dropout_seed: int32 [2], another one each network and step, from which Keras' seed generators draw too; None
            when not training
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
    """Calls a network as a model in training does: Keras hands ``training`` on to layers within alone."""

    def __init__(self, tower: BaseNetwork) -> None:
        super().__init__()
        self.tower = tower

    def call(self, pooled: PooledFields, dropout_seed: tf.Tensor, training: bool = False) -> tf.Tensor:
        return self.tower(pooled, dropout_seed=dropout_seed)


def _made(name: str, maker: Callable[[], BaseNetwork], layout: FieldLayout, outputs: int) -> BaseNetwork:
    # Two impressions of one user: what takes one for the other shows
    user, impression = tf.zeros([1, layout.user_columns]), tf.zeros([2, layout.impression_columns])
    lists = {
        name: ListRows(tf.zeros([2, layout.dim(name)]), tf.constant([2], tf.int64), tf.ones([2]))
        for name in layout.attended
    }
    fields = layout.pooled(user, impression, tf.zeros([2], tf.int64), lists)
    try:
        with _errors_as_raised(), _warnings_unless_it_fails():
            tower = maker()
            tower(fields)  # layers that make their weights in their first call make them now
            with keras.StatelessScope(collect_losses=True) as scope:
                found = _InTraining(tower)(fields, dropout_seed=tf.constant([1, 1]), training=True)
    except ConfigError as e:  # it does not fit the fields or the settings, and says so
        raise ConfigError(f"network '{name}': {e}") from e
    except Exception as e:  # whatever a user's code raises
        raise ConfigError(
            f"network '{name}' fails on a batch of one user and two impressions: {type(e).__name__}: "
            f"{str(e).rstrip('.')}. --debug shows where."
        ) from e
    if not tf.is_tensor(found) or found.dtype != tf.float32 or tuple(found.shape) != (2, outputs):
        shown = f"{found.dtype.name} {list(found.shape)}" if tf.is_tensor(found) else type(found).__name__
        raise ConfigError(
            f"network '{name}' returns {shown} for two impressions, not float32 [2, {outputs}]. Return a row an "
            "impression, with self.outputs columns: end with keras.layers.Dense(outputs)."
        )
    states = {id(state) for state in _seed_states(tower)}
    changed = [v for v in tower.variables if id(v) not in states and scope.get_current_value(v) is not None]
    if changed:
        raise ConfigError(
            f"network '{name}': the call changes the variable {changed[0].path}, as BatchNormalization does. What "
            "it learns there is of one rank's share of a batch, so that results would depend on the number of ranks, "
            "and a step could not be undone. Use a layer without such state, such as keras.layers.LayerNormalization."
        )
    if scope.losses:
        raise ConfigError(
            f"network '{name}': the call adds a loss (add_loss, or an activity_regularizer), which the losses of "
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
def _warnings_unless_it_fails() -> Iterator[None]:
    """Hold warnings back for the block, and drop them if it fails: Keras guesses at length why it will."""
    with warnings.catch_warnings(record=True) as held:
        yield
    for each in held:
        warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)


@contextmanager
def _errors_as_raised() -> Iterator[None]:
    """Keep Keras from rewriting errors with all arguments of the call, and with colours, for the block."""
    filtered = keras.config.is_traceback_filtering_enabled()
    keras.config.disable_traceback_filtering()
    try:
        yield
    finally:
        if filtered:
            keras.config.enable_traceback_filtering()


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
