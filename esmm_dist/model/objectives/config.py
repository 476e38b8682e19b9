"""Settings of the objective."""

from dataclasses import dataclass
from typing import Literal, get_args

from esmm_dist.errors import ConfigError
from esmm_dist.used_by import refuse_unused

ObjectiveName = Literal["esmm", "base", "amt", "division", "oversampling", "unbias", "escm2-ips", "escm2-dr", "dcmt"]

_USED_BY: dict[str, tuple[ObjectiveName, ...]] = {
    "oversampling_factor": ("oversampling",),
    "propensity_floor": ("unbias", "escm2-ips", "escm2-dr", "dcmt"),
    "risk_weight": ("escm2-ips", "escm2-dr", "dcmt"),
    "imputation_weight": ("escm2-dr",),
    "counterfactual_weight": ("dcmt",),
}
"""Objectives that use a setting; all others would ignore it."""

_SHARED: tuple[ObjectiveName, ...] = ("esmm", "escm2-ips", "escm2-dr", "dcmt")
"""Objectives whose networks share the embeddings unless share_embeddings says otherwise, as in their papers."""

_TWO_HEADS: tuple[ObjectiveName, ...] = ("escm2-dr", "dcmt")
"""Objectives with a second head for each label but the first."""


@dataclass(frozen=True, kw_only=True)
class ObjectiveConfig:
    """What is minimised."""

    objective: ObjectiveName = "esmm"
    """What the model minimises: ``esmm``, or what it is compared with (``base``, ``amt``, ``division``,
    ``oversampling``, ``unbias``) and what came after it (``escm2-ips``, ``escm2-dr``, ``dcmt``); README.md of
    ``esmm_dist/model`` has them in a table."""

    share_embeddings: bool | None = None
    """Whether the networks of all labels read the same columns of a row. false: a row has embedding_dim columns for
    each of them, and they share nothing. None: as in the objective's paper: true for esmm, escm2-ips, escm2-dr and
    dcmt, false for base, amt, division, oversampling and unbias."""

    oversampling_factor: float = 5.0
    """How many times ``oversampling`` counts an impression with a later label (a conversion) among those with the label
    before it, 1 or more. The ESMM paper tries 2, 3, 5 and 10."""

    propensity_floor: float = 0.01
    """Least probability that ``unbias``, ``escm2-ips``, ``escm2-dr`` and ``dcmt`` divide by, above 0 and at most 1. An
    impression then counts at most 1 / propensity_floor times."""

    risk_weight: float = 1.0
    """Weight of the debiased loss of a conditional probability beside the entire-space loss of the same label, in
    ``escm2-ips``, ``escm2-dr`` (λ_c / λ_g of their paper) and ``dcmt`` (w_cvr / w_ctcvr of its paper), 0 or more."""

    imputation_weight: float = 1.0
    """Weight of the loss of ``escm2-dr``'s imputation network beside the doubly robust loss, 0 or more."""

    counterfactual_weight: float = 0.001
    """Weight of ``dcmt``'s regulariser, by which the factual and the counterfactual probability add up to 1 (λ_1 of its
    paper), 0 or more."""

    def __post_init__(self) -> None:
        if self.oversampling_factor < 1:
            raise ConfigError(f"oversampling_factor is {self.oversampling_factor}. Set 1 (each once) or more.")
        if not 0 < self.propensity_floor <= 1:
            raise ConfigError(f"propensity_floor is {self.propensity_floor}. Set a number above 0 and at most 1.")
        for name in ("risk_weight", "imputation_weight", "counterfactual_weight"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} is {getattr(self, name)}. Set 0 or more.")
        refuse_unused(self, _USED_BY, "objective", [self.objective])

    @property
    def shares_embeddings(self) -> bool:
        """Return share_embeddings, or the objective's own choice if it is open."""
        return self.objective in _SHARED if self.share_embeddings is None else self.share_embeddings

    def num_heads(self, num_labels: int) -> int:
        """Return H, the outputs of the networks of a model with so many labels."""
        return 2 * num_labels - 1 if self.objective in _TWO_HEADS else num_labels

    def row_slices(self, num_labels: int) -> int:
        """Return the slices of a row: one a head that shares no embeddings, else 1."""
        return 1 if self.shares_embeddings else self.num_heads(num_labels)


def objective_names() -> tuple[ObjectiveName, ...]:
    """Return the names of all objectives."""
    return get_args(ObjectiveName)
