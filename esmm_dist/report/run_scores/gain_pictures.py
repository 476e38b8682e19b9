"""Gain and lift: what the impressions of the highest predictions hold of the positives."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from esmm_dist.arrays import F64
from esmm_dist.report.page.blocks import PageTable
from esmm_dist.report.pictures.intervals import legend_height
from esmm_dist.report.pictures.lines import legend_above
from esmm_dist.report.pictures.numbers_shown import decimal, percent, show_percent
from esmm_dist.report.pictures.panels import small_multiples
from esmm_dist.report.pictures.picture import Picture
from esmm_dist.report.pictures.shown_text import cut
from esmm_dist.report.pictures.style import MUTED, series_style
from esmm_dist.report.run_scores.scores import GainCurve, RunScores
from esmm_dist.report.run_scores.shown_names import positives_name, prediction_name, rows_name, shared_tasks

TOP_SHARES = (0.01, 0.05, 0.1, 0.2)
_FEWEST_POSITIVES = 10
"""Positives below which a lift is chance more than anything: it is not drawn."""


def gain_picture(scores: Sequence[RunScores], names: Sequence[str]) -> Picture:
    """Return the gain curve of each task."""
    tasks = shared_tasks(scores)
    figure, panels = small_multiples(len(tasks), height=1 + legend_height(len(scores)))
    for axes, task in zip(panels, tasks, strict=True):
        first = scores[0].tasks[task]
        axes.plot([0, 1], [0, 1], color=MUTED, linestyle=":", linewidth=1.2, label="at random")
        best = first.gain
        axes.plot(
            best.share_of_impressions, best.best_share_of_positives, color=MUTED, linewidth=1.0, label="best ranking"
        )
        for place, (each, name) in enumerate(zip(scores, names, strict=True)):
            curve, style = each.tasks[task].gain, series_style(place)
            axes.plot(
                curve.share_of_impressions,
                curve.share_of_positives,
                color=style.colour,
                linestyle=style.line,
                label=cut(name) if len(scores) > 1 else "this model",
            )
        axes.set_title(cut(task))
        axes.set_xlabel(f"top {rows_name(first)} by {prediction_name(task, first)}")
        axes.set_ylabel(f"share of {positives_name(task, first)}")
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1.02)
        show_percent(axes.xaxis)
        show_percent(axes.yaxis)
        legend_above(axes)
    return Picture(
        name="gain",
        title=gain_finding(scores, names),
        how_to_read=(
            "Impressions are taken from the highest prediction down. The curve says which share of the positives the "
            "top x% hold: the further above the dotted line, which a random order gives, the better. The grey line is "
            "a ranking that has all positives first."
        ),
        figure=figure,
        numbers={
            task: [
                {
                    "run": name,
                    "share_of_impressions": list(each.tasks[task].gain.share_of_impressions),
                    "share_of_positives": list(each.tasks[task].gain.share_of_positives),
                }
                for each, name in zip(scores, names, strict=True)
            ]
            for task in tasks
        },
    )


def lift_picture(scores: Sequence[RunScores], names: Sequence[str]) -> Picture:
    """Return the lift of each task by the top share of impressions."""
    tasks = shared_tasks(scores)
    figure, panels = small_multiples(len(tasks), height=1 + legend_height(len(scores)))
    numbers: dict[str, list[dict[str, object]]] = {}
    for axes, task in zip(panels, tasks, strict=True):
        first = scores[0].tasks[task]
        axes.axhline(1.0, color=MUTED, linestyle=":", linewidth=1.2, label="at random")
        for place, (each, name) in enumerate(zip(scores, names, strict=True)):
            of_task = each.tasks[task]
            shares, lifts = lifts_of(of_task.gain, of_task.metrics["positives"])
            style = series_style(place)
            axes.plot(
                shares,
                lifts,
                color=style.colour,
                linestyle=style.line,
                label=cut(name) if len(scores) > 1 else "this model",
            )
            numbers.setdefault(task, []).append({"run": name, "share": shares.tolist(), "lift": lifts.tolist()})
        axes.set_xscale("log")
        axes.set_xlim(0.001, 1.0)
        axes.set_xticks([0.001, 0.01, 0.1, 1.0], ["0.1%", "1%", "10%", "100%"])
        axes.set_ylim(bottom=0)
        axes.set_title(cut(task))
        axes.set_xlabel(f"top {rows_name(first)} by {prediction_name(task, first)}")
        axes.set_ylabel("lift (times the mean rate)")
        legend_above(axes)
    return Picture(
        name="lift",
        title=lift_finding(scores, names),
        how_to_read=(
            "The lift of the top x% is how many times the mean rate of positives they have. It is drawn from the share "
            f"on that holds {_FEWEST_POSITIVES} positives: below, chance decides."
        ),
        figure=figure,
        numbers=numbers,
    )


def lifts_of(gain: GainCurve, positives: float) -> tuple[F64, F64]:
    """Return shares of impressions and their lifts, from the share on whose top holds ten positives."""
    shares, found = np.array(gain.share_of_impressions, float), np.array(gain.share_of_positives, float)
    chosen = (shares > 0) & (found * positives >= _FEWEST_POSITIVES)
    return shares[chosen], found[chosen] / shares[chosen]


def lift_table(scores: Sequence[RunScores], names: Sequence[str]) -> PageTable:
    """Return the share of positives and the lift of the top 1%, 5%, 10% and 20%."""
    rows = []
    for task in shared_tasks(scores):
        for each, name in zip(scores, names, strict=True):
            run = [name] if len(scores) > 1 else []
            of_task = each.tasks[task]
            gains = [gain_at(of_task.gain, share) for share in TOP_SHARES]
            cells = [
                f"{percent(gain)} ({decimal(gain / share, 2)}×)" for gain, share in zip(gains, TOP_SHARES, strict=True)
            ]
            cells = ["–" if math.isnan(gain) else cell for gain, cell in zip(gains, cells, strict=True)]
            rows.append([cut(task), *run, *cells])
    run_head = ["run"] if len(scores) > 1 else []
    return PageTable(
        title="What the top impressions hold of the positives, and their lift.",
        head=["task", *run_head, *(f"top {share:.0%}" for share in TOP_SHARES)],
        rows=rows,
        text_columns=(0, 1) if run_head else (0,),
        how_to_read="Share of all positives that are among the highest predictions; in brackets the lift: how many "
        "times the mean rate of positives they have.",
    )


def gain_at(gain: GainCurve, share: float) -> float:
    """Return the share of positives in the top share of impressions."""
    return float(np.interp(share, gain.share_of_impressions, gain.share_of_positives))


def gain_finding(scores: Sequence[RunScores], names: Sequence[str]) -> str:
    """Return the sentence of the gain curve: what the top 10% hold, of the last task that has positives."""
    for task in reversed(shared_tasks(scores)):
        first = scores[0].tasks[task]
        gains = [gain_at(each.tasks[task].gain, 0.1) for each in scores]
        if any(map(math.isnan, gains)):
            continue
        of_runs = _range_of(gains, names, percent)
        return (
            f"The top 10% of {rows_name(first)} by {prediction_name(task, first)} hold {of_runs} of "
            f"{positives_name(task, first)}."
        )
    return "No impression is positive, so that there is no gain."


def lift_finding(scores: Sequence[RunScores], names: Sequence[str]) -> str:
    """Return the sentence of the lift: that of the top 1%, of the last task where it is known well enough."""
    for share in (0.01, 0.1):
        for task in reversed(shared_tasks(scores)):
            tasks = [each.tasks[task] for each in scores]
            gains = [gain_at(each.gain, share) for each in tasks]
            enough = all(g * t.metrics["positives"] >= _FEWEST_POSITIVES for g, t in zip(gains, tasks, strict=True))
            if not enough:  # also of nan
                continue
            of_runs = _range_of([gain / share for gain in gains], names, lambda lift: decimal(lift, 1))
            return (
                f"Among the top {share:.0%} by {prediction_name(task, tasks[0])}, "
                f"{positives_name(task, tasks[0]).removeprefix('the ')} are {of_runs} times as frequent as on average."
            )
    return "There are too few positives to tell a lift."


def _range_of(values: Sequence[float], names: Sequence[str], text_of: Callable[[float], str]) -> str:
    """Return the value of one run, or the least and the greatest with the runs that have them."""
    low, high = (f(range(len(values)), key=lambda place: values[place]) for f in (min, max))
    if len(values) == 1 or text_of(values[low]) == text_of(values[high]):
        return text_of(values[high])
    return f"{text_of(values[low])} ({names[low]}) to {text_of(values[high])} ({names[high]})"
