"""Pictures of parts of the impressions: AUC and calibration of users, items and the values of fields."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from esmm_dist.report.pictures.intervals import IntervalSeries, interval_rows, intervals_height
from esmm_dist.report.pictures.lines import legend_above
from esmm_dist.report.pictures.numbers_shown import decimal, few_ticks, plus_minus, short
from esmm_dist.report.pictures.panels import small_multiples
from esmm_dist.report.pictures.picture import Picture
from esmm_dist.report.pictures.shown_text import cut
from esmm_dist.report.run_scores.ranking_pictures import Z_95
from esmm_dist.report.run_scores.scores import RunScores
from esmm_dist.report.run_scores.shown_names import shared_tasks

MOST_SEGMENTS = 20
"""Segments of one kind that a picture shows."""

_SHORT = 12
"""Letters of names of parts and runs up to which three panels are narrow: longer ones leave no room for marks."""
_FEW = 5
"""Rows from which on there is room for a name beside them."""

_Segments = Mapping[tuple[str, int | None], Mapping[str, Any]]
"""Segments by name and id."""


def segment_pictures(scores: Sequence[RunScores], names: Sequence[str]) -> list[Picture]:
    """Return for each kind of segment its AUC, and for the values of fields their calibration too."""
    pictures = []
    for place, table in enumerate(scores[0].segments):
        if not table["segments"]:
            continue
        of_runs = [_segments_of(each, table["name"]) for each in scores]
        name = f"{place + 1}-{_slug(table['name'])}"
        pictures.append(_picture(scores, names, table, of_runs, f"auc-by-{name}"))
        if table["by_values"]:
            pictures.append(_picture(scores, names, table, of_runs, f"calibration-by-{name}", calibration=True))
    return pictures


def _picture(
    scores: Sequence[RunScores],
    names: Sequence[str],
    table: Mapping[str, Any],
    of_runs: Sequence[_Segments],
    name: str,
    *,
    calibration: bool = False,
) -> Picture:
    tasks = shared_tasks(scores)
    keys, rest = _shown_keys(table)
    key, error_key = ("calibration", "calibration_standard_error") if calibration else ("auc", "auc_standard_error")
    longest = max(len(each) for each in (*(each[0] for each in keys), *(names if len(scores) > 1 else ())))
    width = 1.0 if longest > _SHORT else None
    figure, panels = small_multiples(len(tasks), width=width, height=intervals_height(len(keys), len(scores)))
    numbers: dict[str, Any] = {}
    for axes, task in zip(panels, tasks, strict=True):
        series = []
        for run, segments in zip(names, of_runs, strict=True):
            found = [segments.get(each, {}).get("tasks", {}).get(task, {}) for each in keys]
            values = [float(each.get(key, math.nan)) for each in found]
            errors = [float(each.get(error_key, math.nan)) for each in found]
            series.append(_series(run if len(scores) > 1 else "", values, errors, most=None if calibration else 1.0))
            numbers.setdefault(task, []).append(
                {"run": run, "segments": [each[0] for each in keys], key: values, "standard_error": errors}
            )
        first = [of_runs[0].get(each, {}).get("tasks", {}).get(task, {}).get("impressions", 0) for each in keys]
        labels = [f"{cut(each[0], 22)} ({short(count)})" for each, count in zip(keys, first, strict=True)]
        baseline, note = (1.0, "no positive") if calibration else (0.5, "one class only")
        interval_rows(axes, labels, series, baseline=baseline, note=note)
        axes.set_title(cut(task))
        axes.set_xlabel("predicted / actual" if calibration else "AUC")
        axes.set_ylabel(cut(table["title"], 24) if len(keys) >= _FEW else "part")
        few_ticks(axes.xaxis, 5)
        legend_above(axes)
    return Picture(
        name=name,
        title=(f"{names[0]}: " if len(scores) > 1 else "") + _finding(table, tasks, calibration=calibration),
        how_to_read=_how_to_read(rest, calibration=calibration),
        figure=figure,
        numbers=numbers,
    )


def _series(name: str, values: Sequence[float], errors: Sequence[float], *, most: float | None) -> IntervalSeries:
    low = [max(0.0, v - Z_95 * e) if not math.isnan(v + e) else math.nan for v, e in zip(values, errors, strict=True)]
    high = [v + Z_95 * e for v, e in zip(values, errors, strict=True)]
    if most is not None:
        high = [math.nan if math.isnan(each) else min(most, each) for each in high]
    return IntervalSeries(name=name, values=values, low=low, high=high)


def _how_to_read(rest: int, *, calibration: bool) -> str:
    point = (
        "A point is the sum of the predictions over that of the labels among the impressions of one value: at the "
        "dashed line it is right, to the right of it predictions are too high. Its line is the 95% interval."
        if calibration
        else "A point is the AUC among the impressions of one part alone, its line the 95% interval (DeLong). A point "
        "without a line: one of its two labels has a single impression. AUCs of parts may all be lower than that of "
        "the whole, which also ranks the parts against each other."
    )
    more = f" {rest} more rows are in the table." if rest else ""
    return f"{point} Rows say how many impressions the task counts.{more}"


def _finding(table: Mapping[str, Any], tasks: Sequence[str], *, calibration: bool) -> str:
    found = _worst_calibrated(table, tasks) if calibration else _lowest_and_highest(table, tasks)
    title = cut(table["title"], 30)
    if found is not None:
        return found
    if calibration:
        return f"Predictions are right for each value of {title}, within what noise makes."
    return f"No task has a part of {title} with impressions of both labels."


def _lowest_and_highest(table: Mapping[str, Any], tasks: Sequence[str]) -> str | None:
    for task in tasks:
        known = [
            (each["name"], each["tasks"][task])
            for each in table["segments"]
            if task in each["tasks"] and not math.isnan(each["tasks"][task]["auc_standard_error"])
        ]
        if known:
            low, high = (f(known, key=lambda each: each[1]["auc"]) for f in (min, max))
            texts = [plus_minus(m["auc"], m["auc_standard_error"]) for _, m in (low, high)]
            if len(known) == 1:
                return f"AUC of {cut(task)} is {texts[0]} for {cut(table['title'], 30)}: {cut(low[0])}."
            return (
                f"By {cut(table['title'], 30)}, AUC of {cut(task)} is from {texts[0]} ({cut(low[0])}) to {texts[1]} "
                f"({cut(high[0])})."
            )
    return None


def _worst_calibrated(table: Mapping[str, Any], tasks: Sequence[str]) -> str | None:
    """Return a sentence on the value that is off most in standard errors, if that is more than noise makes.

    The largest of n independent normal values exceeds the threshold by chance in 5% of cases (Bonferroni).
    """
    known = [
        (abs(m["calibration"] - 1) / m["calibration_standard_error"], each["name"], task, m)
        for each in table["segments"]
        for task, m in each["tasks"].items()
        if task in tasks and m["calibration_standard_error"] > 0
    ]
    if not known:
        return None
    from statistics import NormalDist

    threshold = NormalDist().inv_cdf(1 - 0.025 / len(known))
    distance, name, task, metrics = max(known, key=lambda each: each[0])
    if distance <= threshold:
        return None
    side = "too high" if metrics["calibration"] > 1 else "too low"
    return (
        f"Predictions of {cut(task)} are {side} where {cut(table['title'], 30)} is {cut(name)}: predicted / actual is "
        f"{decimal(metrics['calibration'], 3)} ± {decimal(metrics['calibration_standard_error'], 3)}."
    )


def _shown_keys(table: Mapping[str, Any]) -> tuple[list[tuple[str, int | None]], int]:
    keys = [(each["name"], each["id"]) for each in table["segments"]]
    return keys[:MOST_SEGMENTS], max(0, len(keys) - MOST_SEGMENTS)


def _segments_of(scores: RunScores, name: str) -> _Segments:
    tables = [table for table in scores.segments if table["name"] == name]
    return {(each["name"], each["id"]): each for table in tables for each in table["segments"]}


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:30].strip("-") or "field"
