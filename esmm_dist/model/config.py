"""Settings of the model."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

import pydantic

from esmm_dist.errors import ConfigError
from esmm_dist.model.network_names import FOR_ALL_LABELS, READ_BY, check_network_name, is_own
from esmm_dist.model.objectives.config import ObjectiveConfig
from esmm_dist.used_by import refuse_unused
from esmm_dist.words import in_words

T = TypeVar("T")

_HIDDEN_UNITS = (256, 128)
_ATTENTION_UNITS = (16,)


def _listed(value: Any) -> Any:
    """Return a list; a single value stands for a list of it alone."""
    return value if isinstance(value, (list, tuple)) else (value,)


Names = Annotated[tuple[str, ...], pydantic.BeforeValidator(_listed)]
Numbers = Annotated[tuple[float, ...], pydantic.BeforeValidator(_listed)]


@dataclass(frozen=True, kw_only=True)
class ModelConfig(ObjectiveConfig):
    """Networks, and what they minimise."""

    network: Names = ("mlp",)
    """Network of each label, first label first; the last one counts for all labels behind it too: ``mlp``, ``dcn``,
    ``deepfm``, ``din``, one for all labels of ``mmoe`` and ``ple``, or ``package.module:Class`` of your own (a subclass
    of BaseNetwork, of Keras layers or your own variables). ``esmm_dist/model/README.md`` says when to take which, and
    has examples of one's own."""

    share_network: bool = False
    """Whether one network serves all labels, with an output each; else each label has a network of its own."""

    fields: tuple[str, ...] = ()
    """Names of the fields that the model sees, networks and linear term; rows of the other fields are neither read nor
    learned. Empty: all fields of the schema."""

    hidden_units: tuple[int, ...] | None = None
    """Widths of the hidden layers of each network (mmoe, ple: of each label's tower behind the experts). An empty list
    makes it linear. None: chosen from the log, 256 and 128 on a large one, 256 alone on a small one."""

    dropout: Numbers = (0.0,)
    """Share of hidden activations set to zero in training, in [0, 1): one number for all hidden layers, or one for
    each."""

    experts: int = 4
    """Experts that all labels share (mmoe; ple: on each level)."""

    own_experts: int = 2
    """Experts that each label has for itself on each level (ple)."""

    expert_units: tuple[int, ...] = (128,)
    """Widths of the layers of each expert (mmoe, ple), without dropout. With the defaults, the first layers of mmoe
    take as long as those of the two networks of an mlp of 256 units."""

    expert_levels: int = 2
    """Levels of experts, each of which sees what the gates of the one before made (ple). 1 is CGC."""

    attend: Names = ()
    """For networks that attend to lists (``din``): texts ``LIST=FIELD``, a multi-hot field of the user and the field of
    the impression that attends to it, by name or alias. Empty: what the schema says (``attended_by``)."""

    attention_units: tuple[int, ...] = _ATTENTION_UNITS
    """Widths of the hidden layers of what computes the weight of an element of a list for an impression, in networks
    that attend to lists. An empty list makes the weight linear in the two rows and their product. 16: each unit is
    computed for every pair of an element and an impression, most of the work of ``din``."""

    cross_layers: int = 2
    """Cross layers of ``dcn``, 1 or more: with L of them it sees products of up to L + 1 columns. 2, for
    products of three; what a further one costs is in ``esmm_dist/model/README.md``."""

    cross_rank: int = 32
    """Rank of the matrices of ``dcn``'s cross layers: what a layer multiplies the fields by is made of so many numbers.
    Larger costs in proportion."""

    linear_scale: float | None = None
    """Strength of a linear term beside the towers (the "wide" part of Wide & Deep): the first columns of a row, one a
    label, are summed over all fields, times this, and added to the label's logit; the towers see the other columns.
    An id's own effect is then learned at once, scale² times as fast as through a tower. 0: no such term. None: chosen
    from the log: 12 on a small one, 0 on a large one."""

    linear_lists: Literal["pooled", "unit"] | None = None
    """What a field with many ids adds to the linear term: ``pooled``, what its combiner gives; ``unit``, that over
    sqrt(Σ w²) of its weights w, where this is more than 1, so that a list of a hundred ids learns no faster than one
    id. None: ``unit`` where linear_scale is chosen from the log, else ``pooled``."""

    task_weights: Numbers = ()
    """Weight of each label's loss, first label first; the last one counts for all labels behind it too. Empty: 1 each,
    as in the ESMM paper (equation 4)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.share_network and not self.shares_embeddings:
            raise ConfigError(
                f"share_network is true, but with objective {self.objective} the labels share no embeddings, and no "
                "network. Set share_embeddings to true, or share_network to false."
            )
        if not self.network:
            raise ConfigError("network is empty. Name one network for all labels, or one a label: mlp.")
        for name in self.network:
            check_network_name(name)
        if self.share_network and len(self.network) > 1:
            raise ConfigError(
                f"network names {len(self.network)} networks, but with share_network one serves all labels. Name one."
            )
        if any(units < 1 for units in self.layer_widths):
            raise ConfigError(f"hidden_units is {list(self.layer_widths)}. Every layer needs at least 1 unit.")
        if any(units < 1 for units in self.attention_units):
            raise ConfigError(f"attention_units is {list(self.attention_units)}. Every layer needs at least 1 unit.")
        if not self.dropout or any(not 0 <= share < 1 for share in self.dropout):
            raise ConfigError(
                f"dropout is {list(self.dropout)}. Set numbers in [0, 1): one for all layers, or one each."
            )
        if self.hidden_units is not None and len(self.dropout) not in (1, len(self.hidden_units)):
            raise ConfigError(
                f"dropout has {len(self.dropout)} numbers, but hidden_units has {len(self.hidden_units)} layers. Give "
                "one number for all layers, or one for each."
            )
        for name in ("cross_layers", "cross_rank"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}. Set 1 or more; mlp has no cross layers.")
        for name in ("experts", "own_experts", "expert_levels"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}. Set 1 or more.")
        if not self.expert_units or any(units < 1 for units in self.expert_units):
            raise ConfigError(f"expert_units is {list(self.expert_units)}. Give at least one layer, of 1 unit or more.")
        if self.linear_scale is not None and self.linear_scale < 0:
            raise ConfigError(f"linear_scale is {self.linear_scale}. Set 0 or more.")
        if any(weight < 0 for weight in self.task_weights):
            raise ConfigError(f"task_weights is {list(self.task_weights)}. Weights must not be negative.")
        self._refuse_without_effect()

    def _refuse_without_effect(self) -> None:
        """Check that the networks read what is set, as far as they are known.

        Raises:
            ConfigError: A setting would be ignored, or a network for all labels cannot be one.
        """
        for name in self.network:
            if name in FOR_ALL_LABELS and not self.shares_embeddings:
                raise self.sharing_needed(name)
        if self.linear_scale == 0 and self.linear_lists is not None:
            raise ConfigError(
                f"linear_lists is {self.linear_lists}, but linear_scale is 0: there is no linear term. Set "
                "linear_scale above 0, such as 12, or leave linear_lists out."
            )
        if not any(is_own(name) for name in self.network):
            refuse_unused(self, READ_BY, "network", tuple(dict.fromkeys(self.network)))

    def sharing_needed(self, network: str) -> ConfigError:
        """Return the error about a network for all labels of a model whose labels share no embeddings."""
        return ConfigError(
            f"network is {network}, which is one network for all labels, but with objective {self.objective} the "
            "labels share no embeddings. Set share_embeddings to true, or network to mlp."
        )

    @property
    def warning(self) -> str | None:
        """Return what to say of dropout that has no effect; no error, as a search may try both settings together."""
        if self.hidden_units != () or not any(self.dropout) or any(is_own(name) for name in self.network):
            return None
        return f"dropout is {in_words(self.dropout)}, but hidden_units is empty: there is no hidden layer to drop from."

    @property
    def attention_settings(self) -> list[str]:
        """Return the settings that are not their defaults and that only networks look at that attend to lists."""
        changed = {"attend": bool(self.attend), "attention_units": self.attention_units != _ATTENTION_UNITS}
        return [name for name, is_changed in changed.items() if is_changed]

    @property
    def layer_widths(self) -> tuple[int, ...]:
        """Return hidden_units, or those of large logs if they are open."""
        return _HIDDEN_UNITS if self.hidden_units is None else self.hidden_units

    def dropout_of(self, layer: int) -> float:
        """Return the share of a hidden layer, 0, 1, ..., that is dropped."""
        return self.dropout[layer] if len(self.dropout) > 1 else self.dropout[0]

    def networks_for(self, num_labels: int) -> tuple[str, ...]:
        """Return the name of each label's network.

        Raises:
            ConfigError: There are more networks than labels.
        """
        return _for_labels("network", self.network, num_labels)

    def weights_for(self, num_labels: int) -> tuple[float, ...]:
        """Return one weight a label.

        Raises:
            ConfigError: There are more weights than labels.
        """
        return _for_labels("task_weights", self.task_weights or (1.0,), num_labels)


def _for_labels(setting: str, values: tuple[T, ...], num_labels: int) -> tuple[T, ...]:
    """Return one value a label: the last one counts for the labels behind it.

    Raises:
        ConfigError: There are more values than labels.
    """
    if len(values) > num_labels:
        raise ConfigError(
            f"{setting} has {len(values)} values, but the schema has {num_labels} labels. Give one value a label, or "
            "fewer: the last one counts for the labels behind it."
        )
    return values + values[-1:] * (num_labels - len(values))


@dataclass(frozen=True, kw_only=True)
class HardwareConfig:
    """How the dense step uses the hardware. Neither setting has been measured on a GPU."""

    mixed_precision: bool = False
    """Compute the networks' hidden layers in bfloat16; weights, logits, losses and the rows stay float32. Off: with
    AVX-512 BF16 the towers alone take 15% less CPU time, but whole trainings were no faster. AUCs of three seeds were
    the same to 0.0001."""

    xla: bool = False
    """Let TensorFlow compile clusters of operations with XLA where it sees fit, which it does on GPUs only; the first
    steps then take longer. Off, because its gain has not been measured here."""
