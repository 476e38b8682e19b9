"""Fit the calibration of a label tree."""

from collections.abc import Sequence

from esmm_dist.calibration.calibration import Calibration, LabelCalibration
from esmm_dist.calibration.curves import CalibrationMethod, Curve, UnchangedLogits
from esmm_dist.calibration.isotonic import fit_isotonic
from esmm_dist.calibration.label_counts import FEWEST_OF_A_CLASS, LabelCounts
from esmm_dist.calibration.platt import fit_platt


def fit_calibration(
    labels: Sequence[str], counts: Sequence[LabelCounts], method: CalibrationMethod, *, step: int, split: str
) -> Calibration:
    """Fit each label.

    Args:
        labels: names of the labels
        counts: impressions of each
        method: ``platt`` or ``isotonic``
        step: step of the model whose logits were counted
        split: split that the impressions are of
    """
    fitted = tuple(_fit_label(label, each, method) for label, each in zip(labels, counts, strict=True))
    return Calibration(step=step, split=split, method=method, labels=fitted)


def _fit_label(label: str, counts: LabelCounts, method: CalibrationMethod) -> LabelCalibration:
    curve: Curve = UnchangedLogits()
    problem = None
    fewest = min(counts.positives, counts.impressions - counts.positives)
    if fewest < FEWEST_OF_A_CLASS or not (counts.positive.any() and counts.negative.any()):
        name = "positives" if counts.positives == fewest else "negatives"
        problem = f"as there are {fewest} {name}, and a calibration takes {FEWEST_OF_A_CLASS}"
    elif method == "isotonic":
        curve = fit_isotonic(counts)
    else:
        found = fit_platt(counts)
        if found is None:
            problem = "as impressions with higher logits are not more often positive"
        else:
            curve = found
    return LabelCalibration(
        label=label,
        impressions=counts.impressions,
        positives=counts.positives,
        before=counts.predicted_over_happened(counts.logits),
        after=counts.predicted_over_happened(curve.of(counts.logits)),
        curve=curve,
        problem=problem,
    )
