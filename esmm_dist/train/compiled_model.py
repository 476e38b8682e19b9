"""The model of a run with its optimizer, and the compiled functions around them."""

from dataclasses import dataclass
from typing import Any

import keras

from esmm_dist.model.esmm import Esmm
from esmm_dist.model.forward import CompiledForward
from esmm_dist.model.objectives.label_shares import LabelShares
from esmm_dist.ranks.world import World
from esmm_dist.schema.fields import Schema
from esmm_dist.train.compiled_step import CompiledStep
from esmm_dist.train.config import DenseOptimizerConfig, TrainConfig
from esmm_dist.train.dense_adam import DenseAdam


@dataclass(frozen=True, kw_only=True)
class CompiledModel:
    """The model and all that changes or uses its dense weights."""

    model: Esmm
    optimizer: keras.optimizers.Optimizer
    step: CompiledStep
    forward: CompiledForward

    start_values: list[Any]
    """Start values of ``variables``, as NumPy arrays."""

    def reset(self) -> None:
        """Set weights and optimizer state to their start values."""
        for variable, value in zip(self.variables, self.start_values, strict=True):
            variable.assign(value)

    @property
    def variables(self) -> list[keras.Variable]:
        """Weights and optimizer state."""
        return [*self.model.weights, *self.optimizer.variables]


def compile_model(
    config: TrainConfig, schema: Schema, world: World, label_shares: LabelShares | None = None
) -> CompiledModel:
    """Make the model with its start values; they derive from the seed, the same on every rank.

    Args:
        config: settings of the training
        schema: schema of the data
        world: ranks that train together
        label_shares: constants of the training data, by which objectives scale losses; None: they do not

    Raises:
        ConfigError: The settings of the model do not fit the schema.
    """
    model = Esmm(
        schema,
        config.embedding,
        config.model,
        seed=config.seed,
        mixed_precision=config.hardware.mixed_precision,
        label_shares=label_shares,
    )
    optimizer = _optimizer(config.dense)
    step = CompiledStep(
        model,
        optimizer,
        task_weights=config.model.weights_for(len(schema.labels)),
        seed=config.seed,
        world=world,
        has_sample_weights=schema.has_sample_weights,
    )
    start_values = [variable.numpy() for variable in (*model.weights, *optimizer.variables)]
    return CompiledModel(
        model=model, optimizer=optimizer, step=step, forward=CompiledForward(model), start_values=start_values
    )


def _optimizer(config: DenseOptimizerConfig) -> keras.optimizers.Optimizer:
    if config.dense_optimizer == "adam":
        return DenseAdam(learning_rate=config.learning_rate, epsilon=config.dense_adam_epsilon)
    classes = {"adagrad": keras.optimizers.Adagrad, "sgd": keras.optimizers.SGD}
    return classes[config.dense_optimizer](learning_rate=config.learning_rate)
