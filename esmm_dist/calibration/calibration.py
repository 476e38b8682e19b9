"""The calibration of a label tree, as a checkpoint keeps it."""

from dataclasses import dataclass

from esmm_dist.calibration.curves import Curve
from esmm_dist.schema.label_tree import LabelTree


@dataclass(frozen=True, kw_only=True)
class LabelCalibration:
    """The calibration of one label, and what it was fitted on."""

    label: str
    impressions: int
    """Impressions that it was fitted on: those where the label before it is 1."""
    positives: int
    """Those of them with the label."""
    before: float | None
    """Sum of predictions over sum of labels on these impressions, uncalibrated; None without a positive."""
    after: float | None
    """The same, calibrated."""
    curve: Curve
    problem: str | None = None
    """Why the logits of this label stay as they are, although a calibration was fitted; None: they do not."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What was fitted after a step, on a split of the data set."""

    step: int
    split: str
    method: str
    """``platt`` or ``isotonic``."""
    labels: tuple[LabelCalibration, ...]
    """In the order of the schema."""

    def lines(self, tree: LabelTree) -> list[str]:
        """Return the report on the labels of this tree, a line each."""
        lines = [f"Calibrated by {self.method} on {self.split} at step {self.step:,}:"]
        for label, parent in zip(self.labels, tree.parents, strict=True):
            among = f" with {tree.names[parent]}" if parent >= 0 else ""
            shown = label.curve if label.problem is None else f"not calibrated, {label.problem}"
            lines.append(
                f"  {label.label}: {label.impressions:,} impressions{among}, {label.positives:,} positive; {shown}; "
                f"sum of predictions over sum of labels {_figure(label.before)}, now {_figure(label.after)}"
            )
        return lines


def _figure(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4f}"
