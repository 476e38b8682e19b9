"""The main result of a comparison as a sentence."""

import math

from launcher.compare.comparison import Comparison, ModelRow
from launcher.compare.figures import Figure
from launcher.compare.statistics import PairedDifference, summary


def headline(comparison: Comparison) -> str:
    """Return the main result: the product of the last label, as in the paper, beside the luck of the split."""
    figure, split = main_figure(comparison), comparison.data.split
    rows = [row for row in comparison.rows if not math.isnan(row.summaries[figure.key].mean)]
    if not rows:
        return f"No model has a {figure.title} on {split}: it has no impressions of both kinds"
    best = max(rows, key=lambda row: row.summaries[figure.key].mean)
    value = figure.text(best.summaries[figure.key].mean)
    if len(comparison.rows) == 1:
        return f"{best.name} has {figure.title} {value} on {split}"
    equal = [row.name for row in rows if figure.text(row.summaries[figure.key].mean) == value]
    if len(equal) > 1:
        return f"{', '.join(equal[:-1])} and {equal[-1]} have the same {figure.title} on {split}, {value}"
    if best.name == comparison.first:
        return f"No model is above {best.name}, which has {figure.title} {value} on {split}"
    return f"Of {len(comparison.rows)} models, {best.name} has the highest {figure.title} on {split}, {value}" + _above(
        comparison, best, figure
    )


def main_figure(comparison: Comparison) -> Figure:
    """Return the figure that models are ranked by: the AUC of the product of the last label."""
    task = comparison.data.label_tree.tasks[-1]
    return next(each for each in comparison.figures if each.key == f"{task.name}.auc")


def split_error(comparison: Comparison, figure: Figure) -> float:
    """Return the standard error of one AUC by labels, the luck of the split, as the mean over runs; nan if unknown."""
    return summary([run.standard_errors.get(figure.key, math.nan) for run in comparison.results]).mean


def p_text(found: PairedDifference, form: str) -> str:
    """Return a p in a form such as `` (p {})``; empty where there is no test."""
    if math.isnan(found.p):
        return ""
    return form.format("< 0.001" if found.p < 0.001 else f"{found.p:.3f}")


def _above(comparison: Comparison, best: ModelRow, figure: Figure) -> str:
    """Return how far a model is above the first one, and whether the split alone could do as much."""
    against = best.differences.get(figure.key)
    if against is None or math.isnan(against.mean):
        return ""
    said = f": {figure.text(against.mean)} above {comparison.first}{p_text(against, ' (p {})')}"
    error = split_error(comparison, figure)
    if math.isnan(error):
        return said
    side = "less" if abs(against.mean) < error else "more"
    return f"{said}, {side} than the standard error of one {figure.title} on this split, {figure.text(error)}"
