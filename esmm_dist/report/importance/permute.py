"""Permutation importance of each field for each task."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from esmm_dist.config import to_mapping
from esmm_dist.reported import Reported


@dataclass(frozen=True, kw_only=True)
class FieldImportance:
    """What a task loses when one field's values are permuted."""

    field: str
    owner: str
    auc_drop: Mapping[str, float]
    """By task: AUC as it is, less the mean AUC with the field permuted; nan where a class is missing."""
    standard_error: Mapping[str, float]
    """By task, of ``auc_drop``: of the permutations and of the impressions."""
    log_loss_rise: Mapping[str, float]
    """By task: mean log loss with the field permuted, less that as it is."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Importance(Reported):
    """Which fields a model uses."""

    run: str
    step: int
    data: str
    split: str
    impressions: int
    contexts: int
    repeats: int
    auc: Mapping[str, float]
    """By task, as it is."""
    fields: Sequence[FieldImportance]
    """The most important for the last task first."""

    def lines(self) -> list[str]:
        """Return the report, a line each."""
        raise NotImplementedError

    def to_mapping(self) -> dict[str, Any]:
        """Return plain values; nan stays nan."""
        return to_mapping(self)
