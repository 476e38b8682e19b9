"""Why one impression scores as it does, in numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from esmm_dist.config import to_mapping
from esmm_dist.escaped import one_line
from esmm_dist.reported import Reported
from esmm_dist.text_table import text_table

_MOST_VALUES, _MOST_LETTERS = 3, 40


@dataclass(frozen=True, kw_only=True)
class FieldValue:
    """One id of an impression's list in a field."""

    id: int
    text: str | None
    """The value of the log that has this id; None: not known."""
    weight: float
    learned: bool
    """Whether the model has learned the id; what it has not, it knows nothing of."""

    @property
    def shown(self) -> str:
        """The value, or its id."""
        return one_line(self.text if self.text is not None else f"id {self.id}")


@dataclass(frozen=True, kw_only=True)
class FieldEffect:
    """What an impression's logits are with a field, and without it."""

    field: str
    owner: str
    values: Sequence[FieldValue]
    """Those that the model takes; none: the impression has no value."""
    values_left_out: int
    """Values beyond the field's ``max_ids``."""
    logit_change: Mapping[str, float]
    """By task of a label (``ctr``, ``cvr``): the logit as it is, less that of the same impression without the field."""
    without: Mapping[str, float]
    """The columns of predictions (``pctr``) of the impression without the field."""

    @property
    def shown(self) -> str:
        """The values, cut."""
        if not self.values:
            return "none"
        texts = [each.shown if each.weight == 1 else f"{each.shown}:{each.weight:.3g}" for each in self.values]
        more = f" +{len(texts) - _MOST_VALUES} more" if len(texts) > _MOST_VALUES else ""
        text = ", ".join(texts[:_MOST_VALUES])
        return (text if len(text) <= _MOST_LETTERS else text[: _MOST_LETTERS - 1] + "…") + more

    @property
    def learned(self) -> str:
        """How many of the values the model has learned."""
        known = sum(each.learned for each in self.values)
        if len(self.values) <= 1:
            return ("no", "yes")[known] if self.values else ""
        return f"{known} of {len(self.values)}"


@dataclass(frozen=True, kw_only=True)
class LabelPrediction:
    """One prediction for the impression."""

    task: str
    column: str
    probability: float
    logit: float | None
    """None: the task is a product of others."""
    label: int | None
    """0 or 1; None: the prediction is of a label among impressions to which this one does not belong."""
    rate: float | None
    """Share of positives among the impressions of the split that the task is measured among; None: there are none."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Explanation(Reported):
    """Why one impression scores as it does.

    The changes need not add up to the logit: without one field the others may say the same, or something else.
    """

    run: str
    step: int
    data: str
    split: str
    sample_id: int
    name: str | None
    """Text that names the impression; None: numbers name them."""
    predictions: Sequence[LabelPrediction]
    fields: Sequence[FieldEffect]
    """All that the model sees, in the schema's order."""

    def strongest(self, task: str) -> list[FieldEffect]:
        """Return the fields by how far they move the logit of a label, furthest first."""
        return sorted(self.fields, key=lambda each: -abs(each.logit_change[task]))

    def lines(self, *, most_fields: int = 10) -> list[str]:
        """Return the report, a line each.

        Args:
            most_fields: fields that are shown for each label
        """
        name = f" '{one_line(self.name)}'" if self.name is not None else ""
        rows = [
            [
                each.column,
                f"{each.probability:.5f}",
                "–" if each.rate is None else f"{each.rate:.5f}",
                "–" if each.label is None else str(each.label),
            ]
            for each in self.predictions
        ]
        lines = [
            f"Impression {self.sample_id}{name} of {self.split} of {self.data}, scored by {self.run}, "
            f"step {self.step:,}",
            *text_table(["prediction", "of this impression", f"mean label in {self.split}", "its label"], rows),
        ]
        for each in self.predictions:
            if each.logit is not None:
                lines += self._of_label(each, each.logit, most_fields)
        return [
            *lines,
            "",
            "Each field is left out alone: changes of several do not add up, as fields may say the same.",
        ]

    def to_mapping(self) -> dict[str, Any]:
        """Return plain values."""
        return to_mapping(self)

    def _of_label(self, prediction: LabelPrediction, logit: float, most_fields: int) -> list[str]:
        task, column = prediction.task, prediction.column
        fields = self.strongest(task)
        shown, others = fields[:most_fields], fields[most_fields:]
        head = ["field", "moves it by", f"{column} without", "learned", "value"]
        rows = [
            [e.field, f"{e.logit_change[task]:+.3f}", f"{e.without[column]:.5f}", e.learned, e.shown] for e in shown
        ]
        lines = ["", f"{column} {prediction.probability:.5f} is logit {logit:+.3f}:", *text_table(head, rows)]
        if others:
            lines.append(f"{len(others)} more, by {abs(others[0].logit_change[task]):.3f} or less.")
        return lines
