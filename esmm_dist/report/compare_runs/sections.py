"""Paired differences of runs as a section of a page: a forest plot and a table."""

import math
from collections.abc import Sequence

from esmm_dist.report.compare_runs.comparison import RunComparison, p_text
from esmm_dist.report.page.blocks import PageTable, Section
from esmm_dist.report.pictures.intervals import IntervalSeries, interval_rows, intervals_height
from esmm_dist.report.pictures.lines import legend_above
from esmm_dist.report.pictures.numbers_shown import decimal, few_ticks, signed, whole
from esmm_dist.report.pictures.panels import new_figure
from esmm_dist.report.pictures.picture import Picture
from esmm_dist.report.pictures.shown_text import cut, cut_middle

_MOST_RUNS = 6


def difference_sections(comparisons: Sequence[RunComparison]) -> Sequence[Section]:
    """Return a section on how runs differ from the first one: what ``paired_differences`` found.

    Args:
        comparisons: comparisons of runs with one and the same; none of none
    """
    if not comparisons:
        return []
    first = comparisons[0]
    by_user = any(task.auc.by_user for task in first.tasks.values())
    tests = sum(len(each.tasks) for each in comparisons)
    part = "" if first.impressions == first.impressions_of_split else f" of {whole(first.impressions_of_split)}"
    lead = (
        f"Each run scored the same {whole(first.impressions)}{part} impressions as {cut_middle(first.b, 40)}. Errors "
        + (
            f"are those of {whole(first.users)} independent users, whose impressions go together."
            if by_user
            else "are DeLong's, of independent impressions."
        )
        + f" p values are adjusted for {tests} tests (Holm)."
    )
    return [
        Section(heading="How the runs differ", lead=lead, blocks=[difference_picture(comparisons), _table(comparisons)])
    ]


def difference_picture(comparisons: Sequence[RunComparison]) -> Picture:
    """Return the AUC difference of each task and run to the first run, with 95% intervals."""
    shown = comparisons[:_MOST_RUNS]
    tasks = list(shown[0].tasks)
    series = [
        IntervalSeries(
            name=cut_middle(each.a, 32),
            values=[each.tasks[task].auc.difference for task in tasks],
            low=[each.tasks[task].auc.low for task in tasks],
            high=[each.tasks[task].auc.high for task in tasks],
        )
        for each in shown
    ]
    figure, axes = new_figure(width=1.2, height=intervals_height(len(tasks), len(shown)))
    interval_rows(
        axes[0, 0], [cut(task) for task in tasks], series, baseline=0.0, note="a label is missing", first_place=1
    )
    axes[0, 0].set_xlabel(f"AUC, less that of {cut_middle(shown[0].b, 32)}")
    axes[0, 0].set_ylabel("task")
    few_ticks(axes[0, 0].xaxis, 7)
    legend_above(axes[0, 0])
    return Picture(
        name="auc-differences",
        title=_finding(shown),
        how_to_read=(
            "A point is how much higher a run's AUC is than that of the first, on the same impressions; its line is "
            "the 95% interval of the paired difference. Where it crosses the dashed line at 0, chance may explain it."
        ),
        figure=figure,
        numbers={
            each.a: {
                task: {"difference": found.auc.difference, "low": found.auc.low, "high": found.auc.high}
                for task, found in each.tasks.items()
            }
            for each in shown
        },
    )


def _finding(comparisons: Sequence[RunComparison]) -> str:
    """Return the sentence of the most certain difference, of the last such task."""
    known = [
        (found.auc.p_adjusted, each, task)
        for each in comparisons
        for task, found in each.tasks.items()
        if not math.isnan(found.auc.p_adjusted)
    ]
    if not known:
        return "A label has fewer than two impressions, so that no run can be compared."
    _, each, task = min(known, key=lambda test: test[0])
    if not each.tasks[task].auc.is_certain:
        detectable = each.tasks[task].auc.detectable
        return (
            "No difference is certain: this split could show one of "
            f"{decimal(detectable)} for {cut(task)} in 80% of cases."
        )
    auc = each.tasks[task].auc
    better, worse = (each.a, each.b) if auc.difference > 0 else (each.b, each.a)
    return (
        f"{cut_middle(better)} ranks better than {cut_middle(worse)} for {cut(task)}, by an AUC of "
        f"{decimal(abs(auc.difference))} ± {decimal(auc.error)}."
    )


def _table(comparisons: Sequence[RunComparison]) -> PageTable:
    rows = []
    for each in comparisons:
        for task, found in each.tasks.items():
            auc, loss = found.auc, found.log_loss
            rows.append(
                [
                    cut_middle(each.a, 40),
                    cut(task),
                    whole(found.positives),
                    decimal(auc.a),
                    signed(auc.difference, 5),
                    decimal(auc.standard_error, 5),
                    decimal(auc.standard_error_by_user, 5),
                    p_text(auc.p_value),
                    p_text(auc.p_adjusted),
                    decimal(auc.detectable, 5),
                    f"{signed(loss.difference, 5)} ± {decimal(loss.error, 5)}",
                    decimal(found.rank_correlation, 3),
                ]
            )
    return PageTable(
        title=f"Each run less {cut_middle(comparisons[0].b, 40)}.",
        head=[
            "run",
            "task",
            "positives",
            "AUC",
            "difference",
            "± (DeLong)",
            "± by user",
            "p",
            "p (Holm)",
            "detectable",
            "log loss difference",
            "rank correlation",
        ],
        rows=rows,
        text_columns=(0, 1),
        how_to_read=(
            "±: standard error of the difference, if impressions are independent, and if only users are. Detectable: "
            "the difference that such a split shows in 80% of cases. Rank correlation: of the two models' predictions."
        ),
    )
