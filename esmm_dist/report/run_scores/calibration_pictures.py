"""Pictures of whether probabilities are right: by decile of predictions, and by the values of fields."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes

from esmm_dist.report.page.blocks import PageTable
from esmm_dist.report.pictures.intervals import legend_height
from esmm_dist.report.pictures.lines import legend_above
from esmm_dist.report.pictures.numbers_shown import decimal, few_ticks, percent, plus_minus, short, whole
from esmm_dist.report.pictures.panels import small_multiples
from esmm_dist.report.pictures.picture import Picture
from esmm_dist.report.pictures.shown_text import cut
from esmm_dist.report.pictures.style import MUTED, PAPER, series_style
from esmm_dist.report.run_scores.scores import RunScores
from esmm_dist.report.run_scores.shown_names import prediction_name, shared_tasks

_WIDE = 8.0
"""Ratio of the highest to the lowest prediction from which on the axes are logarithmic."""
_MORE_THAN_NOISE = 1.5
"""Times the error of noise from which on an error is said to be the model's. The error of ten noisy bins itself varies
by about a quarter."""


def reliability_picture(scores: Sequence[RunScores], names: Sequence[str]) -> Picture:
    """Return the mean label over the mean prediction, a point a decile of predictions."""
    tasks = shared_tasks(scores)
    figure, panels = small_multiples(len(tasks), height=1 + legend_height(len(scores)))
    for axes, task in zip(panels, tasks, strict=True):
        _reliability(axes, [each.tasks[task].deciles for each in scores], names if len(scores) > 1 else [""])
        axes.set_title(_panel_title(scores, task))
        axes.set_xlabel(f"mean {prediction_name(task, scores[0].tasks[task])}")
        axes.set_ylabel("share with label 1")
        legend_above(axes)
    return Picture(
        name="reliability",
        title=_calibration_finding(scores[0], names[0] if len(scores) > 1 else ""),
        how_to_read=(
            "Impressions in the order of their predictions, cut into ten equal parts: a point is a part's mean "
            "prediction and the share whose label is 1, its line one standard error of that share to each side. On the "
            "dotted line predictions are right; above it they are too low, below it too high. A hollow mark at the "
            "bottom is a part without a positive. ECE is the mean distance from the line, beside what the labels' "
            "noise alone would make of right predictions."
        ),
        figure=figure,
        numbers={
            task: [
                {"run": name, "deciles": [dict(decile) for decile in each.tasks[task].deciles], **_errors(each, task)}
                for each, name in zip(scores, names, strict=True)
            ]
            for task in tasks
        },
    )


def deciles_table(scores: Sequence[RunScores], names: Sequence[str]) -> PageTable:
    """Return the numbers of the reliability diagram."""
    run_head = ["run"] if len(scores) > 1 else []
    rows = [
        [
            cut(task),
            *([name] if run_head else []),
            str(decile["decile"]),
            whole(decile["impressions"]),
            short(decile["mean_prediction"]),
            f"{short(decile['mean_label'])} ± {short(decile['mean_label_standard_error'])}",
            decimal(decile["calibration"], 3),
        ]
        for task in shared_tasks(scores)
        for each, name in zip(scores, names, strict=True)
        for decile in each.tasks[task].deciles
    ]
    head = ["task", *run_head, "decile", "impressions", "mean prediction", "share with label 1", "predicted / actual"]
    return PageTable(
        title="Predictions and labels by decile of predictions.",
        head=head,
        rows=rows,
        text_columns=(0, 1) if run_head else (0,),
        folded=True,
    )


def metrics_table(scores: Sequence[RunScores], names: Sequence[str]) -> PageTable:
    """Return the metrics of each task and run."""
    run_head = ["run"] if len(scores) > 1 else []
    rows = []
    for task in shared_tasks(scores):
        for each, name in zip(scores, names, strict=True):
            found = each.tasks[task].metrics
            rows.append(
                [
                    cut(task),
                    *([name] if run_head else []),
                    plus_minus(found["auc"], found["auc_standard_error"]),
                    decimal(found["gauc"]),
                    decimal(found["log_loss"]),
                    plus_minus(found["calibration"], found["calibration_standard_error"], 3),
                    f"{short(found['expected_calibration_error'])} ({short(found['calibration_error_of_noise'])})",
                    whole(found["positives"]),
                    whole(found["impressions"]),
                ]
            )
    head = [
        "task",
        *run_head,
        "AUC",
        "GAUC",
        "log loss",
        "predicted / actual",
        "ECE (of noise)",
        "positives",
        "impressions",
    ]
    return PageTable(
        title="Each task in numbers, with standard errors.",
        head=head,
        rows=rows,
        text_columns=(0, 1) if run_head else (0,),
        how_to_read=(
            "GAUC: AUC by user, weighted by the user's impressions. Log loss in nats an impression. Predicted / "
            "actual: the sum of the predictions over that of the labels. ECE: mean distance of prediction and label by "
            "decile, in brackets about what right predictions would have."
        ),
    )


def _reliability(axes: Axes, deciles_of_runs: Sequence[Sequence[Mapping[str, Any]]], names: Sequence[str]) -> None:
    points = [each for deciles in deciles_of_runs for each in deciles]
    xs = [each["mean_prediction"] for each in points if each["mean_prediction"] > 0]
    ys = [each["mean_label"] for each in points if each["mean_label"] > 0]
    is_log = len(xs) == len(points) > 0 and bool(ys) and max(xs) > _WIDE * min(xs)
    low = 0.0
    high = 1.1 * max([*xs, *ys], default=0.9)
    if is_log:
        low, high = 0.7 * min([*xs, *ys]), 1.4 * max([*xs, *ys])
        axes.set_xscale("log")
        axes.set_yscale("log")
    axes.plot([low, high], [low, high], color=MUTED, linestyle=":", linewidth=1.2)
    for place, (deciles, name) in enumerate(zip(deciles_of_runs, names, strict=True)):
        style = series_style(place)
        shown = [each for each in deciles if each["mean_label"] > 0 or not is_log]
        errors = [0.0 if math.isnan(e) else e for e in (each["mean_label_standard_error"] for each in shown)]
        values = [each["mean_label"] for each in shown]
        below = [min(e, v - low) if is_log else e for e, v in zip(errors, values, strict=True)]
        axes.errorbar(
            [each["mean_prediction"] for each in shown],
            values,
            yerr=[[max(e, 0.0) for e in below], errors],
            color=style.colour,
            linestyle=style.line,
            linewidth=1.2,
            marker=style.mark,
            elinewidth=1.4,
            label=cut(name) if name else None,
        )
        none = [each["mean_prediction"] for each in deciles if is_log and not each["mean_label"] > 0]
        axes.plot(
            none,
            [low] * len(none),
            linestyle="none",
            marker=style.mark,
            markerfacecolor=PAPER,
            markeredgecolor=style.colour,
            clip_on=False,
        )
    axes.set_xlim(low, high)
    axes.set_ylim(low, high)
    if not is_log:
        few_ticks(axes.xaxis, 5)
        few_ticks(axes.yaxis, 5)


def _errors(scores: RunScores, task: str) -> dict[str, float]:
    metrics = scores.tasks[task].metrics
    return {key: metrics[key] for key in ("expected_calibration_error", "calibration_error_of_noise")}


def _panel_title(scores: Sequence[RunScores], task: str) -> str:
    if len(scores) > 1:
        return cut(task)
    error, noise = _errors(scores[0], task).values()
    return f"{cut(task)}\nECE {short(error)} (of noise {short(noise)})"


def _calibration_finding(scores: RunScores, name: str) -> str:
    """Say for the task that is off most how far, and whether noise explains it."""
    known = {task: tuple(_errors(scores, task).values()) for task in scores.tasks}
    ratios = {task: error / noise for task, (error, noise) in known.items() if noise > 0 and not math.isnan(error)}
    if not ratios:
        return "No task has labels of both kinds, so that no calibration can be told."
    worst = max(ratios, key=lambda task: ratios[task])
    error, noise = known[worst]
    of_run = f"{name}: " if name else ""
    if ratios[worst] <= _MORE_THAN_NOISE:
        return (
            f"{of_run}Predictions are as right as the labels' noise lets one see: {cut(worst)} is off most, by "
            f"{percent(error, 2)} on average (ECE), and noise alone would make {percent(noise, 2)}."
        )
    ratio = scores.tasks[worst].metrics["calibration"]
    side = "too high" if ratio > 1 else "too low"
    return (
        f"{of_run}Predictions of {cut(worst)} are off by {percent(error, 2)} on average (ECE), where noise alone would "
        f"make {percent(noise, 2)}; in sum they are {percent(abs(ratio - 1))} {side}."
    )
