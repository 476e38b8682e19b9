"""The comparison in words: on the terminal, and as Markdown."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from esmm_dist.schema.label_tree import LabelTree
from esmm_dist.text_table import text_table
from launcher.compare.comparison import Comparison, ModelRow
from launcher.compare.figures import Figure, part_names, task_title
from launcher.compare.folder import CompareFolder
from launcher.compare.headline import headline, main_figure, p_text, split_error
from launcher.compare.statistics import PairedDifference, Summary, summary
from launcher.compare.truth import measured_tasks

_TRUTH_ROW = "truth"
_WIDTH = 110
"""Columns of a terminal that a table may take: one with more is cut into several, each with the models' names."""
_BLANKS = 2
"""Between columns."""
_KEPT_BLANK = "\N{BRAILLE PATTERN BLANK}"
"""Stands for a blank at the end of a cell, where a table would leave it out."""
_SCALES = {
    "higher": ("higher is better", ""),
    "lower": ("0 is best", "; below 0 is better"),
    "near 1": ("1 is best", ", as the difference of |ln calibration|; below 0 is nearer to 1"),
}
"""What is best, and what a difference means, of figures of each kind."""


@dataclass(frozen=True, kw_only=True)
class TableSection:
    """One table with what stands above it."""

    heading: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def report_lines(comparison: Comparison, folder: CompareFolder) -> list[str]:
    """Return what the terminal shows."""
    lines = [headline(comparison)]
    for section in sections(comparison):
        lines.append(f"{section.heading}:")
        for head, rows in _fitting(section):
            lines += [line.replace(_KEPT_BLANK, " ").rstrip() for line in text_table(head, rows)]
    return [
        *lines,
        *notes(comparison),
        f"Table: {folder.markdown}; with all runs: {folder.json}; picture: {folder.picture}",
    ]


def markdown(comparison: Comparison, folder: CompareFolder) -> str:
    """Return the content of ``comparison.md``."""
    parts = [f"# {headline(comparison)}", f"![]({folder.picture.name})"]
    for section in sections(comparison):
        parts += [f"{section.heading}:", "\n".join(_markdown_table(section))]
    parts.append("\n".join(f"- {line}" for line in notes(comparison)))
    files = ", ".join(f"`{folder.model_settings(row.name).relative_to(folder.path)}`" for row in comparison.rows)
    parts.append(f"Settings of the models, for `esmm train --config`: {files}.")
    return "\n\n".join(parts) + "\n"


def sections(comparison: Comparison) -> list[TableSection]:
    """Return the tables: figures and differences, by labels, then by the truth a table for each kind of figure."""
    rows, first, data = comparison.rows, comparison.first, comparison.data
    by_labels = [each for each in comparison.figures if not each.by_truth]
    what = f"{data.manifest.splits[data.split].impressions:,} impressions of {data.split}"
    spread = "one seed" if _has_one_seed(comparison) else "mean ± standard deviation over seeds"
    found = [_values(f"On {what}, {spread}", by_labels, rows, cost=True)]
    other = [row for row in rows if row.differences]
    if other:
        versus = f"Difference to {first} with the same seeds"
        versus += "" if _has_one_seed(comparison) else ", mean ± standard error (p of the paired t-test)"
        found.append(_differences(versus, by_labels, other))
    by_truth = [each for each in comparison.figures if each.by_truth]
    for name in dict.fromkeys(each.table for each in by_truth):
        figures = [each for each in by_truth if each.table == name]
        best, scale = _SCALES[figures[0].better]
        truth = [_TRUTH_ROW, *(_of_truth(comparison, each) for each in figures)]
        found.append(_values(f"{name} by the true probabilities, on {what} ({best})", figures, rows, last=truth))
        if other:
            found.append(
                _differences(f"Difference to {first} in {name} by the true probabilities{scale}", figures, other)
            )
    return found


def notes(comparison: Comparison) -> list[str]:
    """Return what a reader has to know to believe the tables."""
    data, figure = comparison.data, main_figure(comparison)
    lines = [_seeds_text(comparison)]
    error = split_error(comparison, figure)
    if not math.isnan(error):
        lines.append(
            f"The luck of the split comes on top, and is the same for all models: the standard error of one "
            f"{figure.title} is {figure.text(error)}."
        )
    start_up = summary([run.start_up_cpu_s for run in comparison.results]).mean
    if not math.isnan(start_up):
        lines.append(
            "Cost: processor time of esmm train, its evaluations and saving included, its start-up "
            f"({start_up:.0f} s on average) not, over the impressions that it trained; {_at_a_time(comparison.jobs)}."
        )
    if data.truth is not None:
        lines += _truth_notes(comparison)
    lines += [f"{name} has failed: {error.splitlines()[0]}" for name, error in comparison.failures.items()]
    return lines


def _at_a_time(jobs: int) -> str:
    return "one run at a time" if jobs == 1 else f"{jobs} runs at a time"


def _truth_notes(comparison: Comparison) -> list[str]:
    tree: LabelTree = comparison.data.label_tree
    lines = [
        "By the truth, AUC is the expected one when labels are drawn from the true probabilities; calibration is the "
        "sum of predictions over the sum of true probabilities; divergence is the expected log loss above that of the "
        "truth, in nats an impression."
    ]
    for task in measured_tasks(tree):
        if task.given is None:
            continue
        said = []
        places = part_names(tree.names[task.given])
        for part in ("reached", "rest"):
            mean, size = (
                comparison.mean_of_all(f"truth.{task.name}.{name}.{part}") for name in ("mean", "impressions")
            )
            said.append(f"{mean:.4f} on {places[part]} ({size:,.0f} impressions)")
        lines.append(f"Mean true {task_title(task, tree)}: {', '.join(said)}.")
    return lines


def _has_one_seed(comparison: Comparison) -> bool:
    return {len(row.seeds) for row in comparison.rows} == {1}


def _seeds_text(comparison: Comparison) -> str:
    counts = {len(row.seeds) for row in comparison.rows}
    if _has_one_seed(comparison):
        return "One seed: there is no standard deviation and no test. Set seeds to 2 or more."
    if len(counts) > 1:
        said = ", ".join(f"{row.name} {len(row.seeds)}" for row in comparison.rows)
        return f"Finished seeds differ: {said}. Differences are over the seeds that both models have."
    number = counts.pop()
    return f"{number} seeds: they decide start values and the order of records, and are the same for all models."


def _values(
    heading: str,
    figures: Sequence[Figure],
    rows: Sequence[ModelRow],
    *,
    cost: bool = False,
    last: Sequence[str] | None = None,
) -> TableSection:
    body = [
        [
            row.name,
            *(_summary_text(row.summaries[each.key], each) for each in figures),
            *([_cost_text(row.cost)] if cost else []),
        ]
        for row in rows
    ]
    if last is not None:
        body.append([last[0], *(cell + _beside(each, rows) for cell, each in zip(last[1:], figures, strict=True))])
    head = [
        "model",
        *(each.column or each.title for each in figures),
        *(["CPU s a million impressions"] if cost else []),
    ]
    return TableSection(heading=heading, head=head, rows=body)


def _differences(heading: str, figures: Sequence[Figure], rows: Sequence[ModelRow]) -> TableSection:
    return TableSection(
        heading=heading,
        head=["model", *(each.column or each.title for each in figures)],
        rows=[[row.name, *(_difference_text(row.differences[each.key], each) for each in figures)] for row in rows],
    )


def _fitting(section: TableSection) -> Iterator[tuple[Sequence[str], Sequence[Sequence[str]]]]:
    """Yield head and rows of tables that fit a terminal, each with the first column and some of the others."""
    lines = [section.head, *section.rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(section.head))]
    chosen: list[int] = []
    for column in range(1, len(widths)):
        wanted = widths[0] + sum(_BLANKS + widths[each] for each in (*chosen, column))
        if chosen and wanted > _WIDTH:
            yield _columns(section, chosen)
            chosen = []
        chosen.append(column)
    yield _columns(section, chosen)


def _columns(section: TableSection, chosen: Sequence[int]) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    head, *rows = ([line[0], *(line[each] for each in chosen)] for line in (section.head, *section.rows))
    return head, rows


def _of_truth(comparison: Comparison, figure: Figure) -> str:
    _, task, name, part = figure.key.split(".")
    if name == "auc":
        return figure.text(comparison.mean_of_all(f"truth.{task}.best_auc.{part}"))
    return figure.text(1.0 if name == "calibration" else 0.0)


def _summary_text(found: Summary, figure: Figure) -> str:
    return figure.text(found.mean) + _spread_text(found.sd, figure)


def _beside(figure: Figure, rows: Sequence[ModelRow]) -> str:
    """Return blanks as wide as the deviations of a column, so that a figure without one stands under the means."""
    spreads = [row.summaries[figure.key].sd for row in rows]
    return _KEPT_BLANK * max((len(_spread_text(each, figure)) for each in spreads), default=0)


def _spread_text(sd: float, figure: Figure) -> str:
    return "" if math.isnan(sd) else f" ± {figure.text(sd)}"


def _difference_text(found: PairedDifference, figure: Figure) -> str:
    if math.isnan(found.standard_error):
        return figure.text(found.mean, signed=True)
    return f"{figure.text(found.mean, signed=True)} ± {figure.text(found.standard_error)}{p_text(found, ' (p {})')}"


def _cost_text(found: Summary) -> str:
    if math.isnan(found.mean):
        return "–"
    return f"{found.mean:.0f}" + ("" if math.isnan(found.sd) else f" ± {found.sd:.0f}")


def _markdown_table(section: TableSection) -> list[str]:
    lines = [section.head, ["---", *["--:"] * (len(section.head) - 1)], *section.rows]
    return ["| " + " | ".join(cell.rstrip(_KEPT_BLANK).replace("|", "\\|") for cell in line) + " |" for line in lines]
