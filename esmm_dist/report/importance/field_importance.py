"""Permutation importance of each field for each task, in numbers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from esmm_dist.config import to_mapping
from esmm_dist.reported import Reported
from esmm_dist.text_table import text_table
from esmm_dist.words import in_words


@dataclass(frozen=True, kw_only=True)
class FieldImportance:
    """What each task loses when one field's values are permuted."""

    field: str
    """Its alias, or its name where several have that alias."""
    owner: str
    """``user``: permuted between groups, which are user contexts or parts of one; ``item``, ``context``: between
    impressions."""
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
    data_id: str
    """Identity of the data set, see ``data_set_id``."""
    split: str
    impressions: int
    """Impressions that were scored."""
    of_impressions: int
    """Impressions of the split."""
    contexts: int
    """User contexts that were scored."""
    repeats: int
    seed: int
    auc: Mapping[str, float]
    """By task, as it is, each impression counted once."""
    fields: tuple[FieldImportance, ...]
    """The most important for the last task first."""
    not_seen: tuple[str, ...] = ()
    """Fields of the data set that the model does not see: nothing changes with them."""

    def lines(self) -> list[str]:
        """Return the report, a line each."""
        tasks = list(self.auc)
        part = "" if self.impressions == self.of_impressions else f" of {self.of_impressions:,}"
        rows = [
            [each.field, each.owner, *(_with_error(each.auc_drop[t], each.standard_error[t]) for t in tasks)]
            for each in self.fields
        ]
        unseen = [f"Not seen by the model, so of no importance: {in_words(self.not_seen)}."] if self.not_seen else []
        unseen += [self.unmoved_sentence(self.unmoved)] if self.unmoved else []
        return [
            f"{self.run}, step {self.step:,}, on {self.impressions:,}{part} impressions ({self.contexts:,} user "
            f"contexts) of {self.split} of {self.data}; {self.repeats} permutations a field",
            *text_table(["AUC lost without", "owner", *(f"{t} (AUC {self.auc[t]:.4f})" for t in tasks)], rows),
            *unseen,
            "± is the standard error, of the permutations and of the impressions. Fields that say the same share what "
            "they bring: each alone may lose little.",
        ]

    @property
    def unmoved(self) -> tuple[str, ...]:
        """Fields that change no prediction at all."""
        return tuple(
            each.field
            for each in self.fields
            if all(value == 0 for value in each.log_loss_rise.values() if not math.isnan(value))
        )

    def unmoved_sentence(self, names: Sequence[str]) -> str:
        """Return why fields may change no prediction; empty if there is none.

        Args:
            names: the fields, as they are shown
        """
        if not names:
            return ""
        return (
            f"No prediction changes with {in_words(names)}: the model has learned none of the ids that {self.split} "
            "has of them, or all impressions have the same. What it makes of them elsewhere is not measured here."
        )

    def to_mapping(self) -> dict[str, Any]:
        """Return plain values; nan stays nan."""
        return to_mapping(self)


def _with_error(drop: float, error: float) -> str:
    return f"{drop + 0.0:.4f} ± {error:.4f}"
