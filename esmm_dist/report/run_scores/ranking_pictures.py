"""Pictures of how well predictions rank: AUC with its interval, and histograms of both labels."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from esmm_dist.arrays import F64
from esmm_dist.report.pictures.histograms import class_histogram
from esmm_dist.report.pictures.intervals import IntervalSeries, interval_rows, intervals_height
from esmm_dist.report.pictures.lines import legend_above
from esmm_dist.report.pictures.numbers_shown import decimal, few_ticks, plus_minus
from esmm_dist.report.pictures.panels import new_figure, small_multiples
from esmm_dist.report.pictures.picture import Picture
from esmm_dist.report.pictures.shown_text import cut, cut_middle
from esmm_dist.report.run_scores.scores import RunScores, ScoreHistogram, TaskScores
from esmm_dist.report.run_scores.shown_names import positives_name, prediction_name, rows_name, shared_tasks
from esmm_dist.words import in_words

Z_95 = 1.959964
"""Standard errors to each side of a 95% interval of a normal distribution."""

_PROBABILITIES = (1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999)


def auc_picture(scores: Sequence[RunScores], names: Sequence[str]) -> Picture:
    """Return the AUC of each task and run, with 95% intervals."""
    tasks = shared_tasks(scores)
    series = [
        _auc_series(each, name if len(scores) > 1 else "", tasks) for each, name in zip(scores, names, strict=True)
    ]
    figure, axes = new_figure(width=1.2, height=intervals_height(len(tasks), len(scores)))
    interval_rows(axes[0, 0], [_task_label(name, scores[0].tasks[name]) for name in tasks], series, baseline=0.5)
    axes[0, 0].set_xlabel("AUC (0.5: chance, 1: perfect)")
    axes[0, 0].set_ylabel("task")
    few_ticks(axes[0, 0].xaxis, 8)
    legend_above(axes[0, 0])
    return Picture(
        name="auc-by-task",
        title=_auc_finding(scores, names, tasks),
        how_to_read=(
            "A point is the AUC: how often a positive scores above a negative, both drawn at random. Its line is the "
            "95% interval (DeLong), cut at 0 and 1. Where lines of two runs overlap they may still differ: both scored "
            "the same impressions, and esmm compare-runs takes that into account."
            if len(scores) > 1
            else "A point is the AUC: how often a positive scores above a negative, both drawn at random. Its line is "
            "the 95% interval (DeLong, for independent impressions), cut at 0 and 1. A point without a line: one of "
            "the two labels has a single impression, of which no interval can be told."
        ),
        figure=figure,
        numbers={
            task: [
                {"run": name, "auc": value, "low": low, "high": high}
                for name, value, low, high in zip(
                    names,
                    [each.values[row] for each in series],
                    [each.low[row] for each in series],
                    [each.high[row] for each in series],
                    strict=True,
                )
            ]
            for row, task in enumerate(tasks)
        },
    )


def histogram_picture(scores: Sequence[RunScores], names: Sequence[str]) -> Picture:
    """Return the predictions of impressions whose label is 1, and of the others."""
    tasks = shared_tasks(scores)
    figure, panels = small_multiples(len(tasks) * len(scores))
    shown = [(task, each, name) for task in tasks for each, name in zip(scores, names, strict=True)]
    for axes, (task, each, name) in zip(panels, shown, strict=True):
        of_task = each.tasks[task]
        histogram = of_task.histogram
        width = (histogram.edges[1] - histogram.edges[0]) or 1.0
        label = cut(of_task.label) or "label"
        classes = [
            (f"{label} 1", _densities(histogram.positives, width)),
            (f"{label} 0", _densities(histogram.negatives, width)),
        ]
        class_histogram(axes, histogram.edges, classes, as_shares=False)
        _probability_ticks(axes, histogram)
        axes.set_title(cut(task) if len(scores) == 1 else f"{cut(task)}: {cut_middle(name, 24)}")
        axes.set_xlabel(f"{prediction_name(task, of_task)} (log odds)")
        axes.set_ylabel("density (per unit of log odds)")
        legend_above(axes)
    return Picture(
        name="score-histograms",
        title=_histogram_finding(scores[0], names[0] if len(scores) > 1 else ""),
        how_to_read=(
            "Impressions whose label is 1, and those whose label is 0, by prediction; each area is 1, so that the rare "
            "positives are seen. The axis is that of the log odds, with the probabilities written at it. The less both "
            "overlap, the better the model tells them apart. The outer bins hold what lies beyond."
        ),
        figure=figure,
        numbers={
            task: [
                {
                    "run": name,
                    "edges": list(each.tasks[task].histogram.edges),
                    "positives": list(each.tasks[task].histogram.positives),
                    "negatives": list(each.tasks[task].histogram.negatives),
                }
                for each, name in zip(scores, names, strict=True)
            ]
            for task in tasks
        },
    )


def median_prediction(histogram: ScoreHistogram, weights: Sequence[float]) -> float:
    """Return the probability below which half of a label's impressions lie, within a bin in proportion; nan of none."""
    cumulated = np.append(0.0, np.cumsum(weights))
    if not cumulated[-1]:
        return math.nan
    logit = float(np.interp(cumulated[-1] / 2, cumulated, histogram.edges))
    return 1 / (1 + math.exp(-logit))


def _densities(weights: Sequence[float], width: float) -> F64:
    values = np.array(weights, float)
    return values / (values.sum() * width) if values.sum() > 0 else values


def _probability_ticks(axes: Axes, histogram: ScoreHistogram) -> None:
    low, high = histogram.edges[0], histogram.edges[-1]
    ticks = {p: math.log(p / (1 - p)) for p in _PROBABILITIES}
    inside = [p for p, logit in ticks.items() if low <= logit <= high]
    if len(inside) < 2:
        middle = [low + (high - low) * share for share in (0.1, 0.5, 0.9)]
        ticks = {float(f"{1 / (1 + math.exp(-logit)):.2g}"): logit for logit in middle}
        inside = list(ticks)
    axes.set_xticks([ticks[p] for p in inside], [f"{p:g}" for p in inside])


def _histogram_finding(scores: RunScores, name: str) -> str:
    of_run = f" of {name}" if name else ""
    for task, of_task in scores.tasks.items():
        high, low = (
            median_prediction(of_task.histogram, weights)
            for weights in (of_task.histogram.positives, of_task.histogram.negatives)
        )
        if not math.isnan(high + low):
            return (
                f"Half of {positives_name(task, of_task)} have a {prediction_name(task, of_task)}{of_run} above "
                f"{high:.2g}, half of the other {rows_name(of_task)} above {low:.2g}."
            )
    return "No task has impressions of both labels."


def _auc_series(scores: RunScores, name: str, tasks: Sequence[str]) -> IntervalSeries:
    values, low, high = [], [], []
    for task in tasks:
        auc, error = (scores.tasks[task].metrics[key] for key in ("auc", "auc_standard_error"))
        values.append(auc)
        low.append(max(0.0, auc - Z_95 * error) if not math.isnan(auc + error) else math.nan)
        high.append(min(1.0, auc + Z_95 * error) if not math.isnan(auc + error) else math.nan)
    return IntervalSeries(name=name, values=values, low=low, high=high)


def _task_label(name: str, task: TaskScores) -> str:
    return f"{cut(name, 20)} ({task.metrics['positives']:,} pos.)"


def _auc_finding(scores: Sequence[RunScores], names: Sequence[str], tasks: Sequence[str]) -> str:
    known = [task for task in tasks if all(not math.isnan(each.tasks[task].metrics["auc"]) for each in scores)]
    if not known:
        return "No task has impressions of both labels, so that there is no AUC."
    if len(scores) == 1:
        found = [f"{decimal(scores[0].tasks[task].metrics['auc'])} for {cut(task)}" for task in known[:4]]
        more = [f"{len(known) - 4} more tasks below"] if len(known) > 4 else []
        return f"AUC is {in_words(found + more)}."
    task = known[-1]
    best = max(range(len(scores)), key=lambda place: scores[place].tasks[task].metrics["auc"])
    metrics = scores[best].tasks[task].metrics
    auc = plus_minus(metrics["auc"], metrics["auc_standard_error"])
    return f"{names[best]} has the highest AUC of {cut(task)}, {auc}."
