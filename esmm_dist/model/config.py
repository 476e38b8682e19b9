"""Settings of the model."""

from dataclasses import dataclass
from typing import Literal

from esmm_dist.errors import ConfigError

_HIDDEN_UNITS = (256, 128)


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Towers and losses."""

    base_network: str = "mlp"
    """Network of each label's tower: ``mlp``, or ``package.module:Class`` (a subclass of BaseNetwork, of Keras layers
    or your own variables; ``esmm_dist/README.md`` has an example)."""

    hidden_units: tuple[int, ...] | None = None
    """Widths of the hidden layers of each tower. An empty list makes the tower linear. None: chosen from the log, 256
    and 128 on a large one, 256 alone on a small one."""

    dropout: float = 0.0
    """Share of hidden activations set to zero in training, in [0, 1)."""

    linear_scale: float | None = None
    """Strength of a linear term beside the towers (the "wide" part of Wide & Deep): the first columns of a row, one a
    label, are summed over all fields, times this, and added to the label's logit; the towers see the other columns.
    An id's own effect is then learned at once, scale² times as fast as through a tower. 0: no such term. None: chosen
    from the log: 12 on a small one, 0 on a large one."""

    linear_lists: Literal["pooled", "unit"] | None = None
    """What a field with many ids adds to the linear term: ``pooled``, what its combiner gives; ``unit``, that over
    sqrt(Σ w²) of its weights w, where this is more than 1, so that a list of a hundred ids learns no faster than one
    id. None: ``unit`` where linear_scale is chosen from the log, else ``pooled``."""

    task_weights: tuple[float, ...] = ()
    """Weight of each label's loss, first label first; the last one counts for all labels behind it too. Empty: 1 each,
    as in the ESMM paper (equation 4)."""

    def __post_init__(self) -> None:
        if any(units < 1 for units in self.layer_widths):
            raise ConfigError(f"hidden_units is {list(self.layer_widths)}. Every layer needs at least 1 unit.")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout is {self.dropout}. Set a number in [0, 1).")
        if self.linear_scale is not None and self.linear_scale < 0:
            raise ConfigError(f"linear_scale is {self.linear_scale}. Set 0 or more.")
        if any(weight < 0 for weight in self.task_weights):
            raise ConfigError(f"task_weights is {list(self.task_weights)}. Weights must not be negative.")

    @property
    def layer_widths(self) -> tuple[int, ...]:
        """Return hidden_units, or those of large logs if they are open."""
        return _HIDDEN_UNITS if self.hidden_units is None else self.hidden_units

    def weights_for(self, num_labels: int) -> tuple[float, ...]:
        """Return one weight a label.

        Raises:
            ConfigError: There are more weights than labels.
        """
        if not self.task_weights:
            return (1.0,) * num_labels
        if len(self.task_weights) > num_labels:
            raise ConfigError(
                f"task_weights has {len(self.task_weights)} weights, but the schema has {num_labels} labels. "
                "Give one weight a label, or fewer: the last one counts for the labels behind it."
            )
        return self.task_weights + self.task_weights[-1:] * (num_labels - len(self.task_weights))


@dataclass(frozen=True, kw_only=True)
class HardwareConfig:
    """How the dense step uses the hardware. Neither setting has been measured on a GPU."""

    mixed_precision: bool = False
    """Compute the towers' hidden layers in bfloat16; weights, logits, losses and the rows stay float32. Off: with
    AVX-512 BF16 the towers alone take 15% less CPU time, but whole trainings were no faster. AUCs of three seeds were
    the same to 0.0001."""

    xla: bool = False
    """Let TensorFlow compile clusters of operations with XLA where it sees fit, which it does on GPUs only; the first
    steps then take longer. Off, because its gain has not been measured here."""
