"""The comparison in words: on the terminal, and as Markdown."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from esmm_dist.schema.label_tree import LabelTree
from launcher.compare.comparison import Comparison, ModelRow
from launcher.compare.figures import Figure
from launcher.compare.folder import CompareFolder
from launcher.compare.statistics import PairedDifference, Summary, summary
from launcher.compare.truth import measured_tasks
from launcher.terminal.text_table import text_table

_TRUTH_ROW = "truth"


@dataclass(frozen=True, kw_only=True)
class Section:
    """One table with what stands above it."""

    heading: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def report_lines(comparison: Comparison, folder: CompareFolder) -> list[str]:
    """Return what the terminal shows."""
    lines = [headline(comparison)]
    for section in sections(comparison):
        lines += [f"{section.heading}:", *text_table(section.head, section.rows)]
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


def headline(comparison: Comparison) -> str:
    """Return the main result as a sentence: the product of the last label, as in the paper."""
    figure = main_figure(comparison)
    rows = comparison.rows
    best = max(rows, key=lambda row: _sortable(row.summaries[figure.key].mean))
    value = figure.text(best.summaries[figure.key].mean)
    if len(rows) == 1:
        return f"{best.name} has {figure.title} {value} on {comparison.data.split}"
    if best.name == comparison.first:
        return f"No model is above {best.name}, which has {figure.title} {value} on {comparison.data.split}"
    of = f"Of {len(rows)} models, {best.name}"
    against = best.differences.get(figure.key)
    if against is None or math.isnan(against.mean):
        return f"{of} has the highest {figure.title} on {comparison.data.split}, {value}"
    return (
        f"{of} has the highest {figure.title} on {comparison.data.split}, {value}: "
        f"{figure.text(against.mean)} above {comparison.first}{_p_text(against, ' (p {})')}"
    )


def main_figure(comparison: Comparison) -> Figure:
    """Return the figure that models are ranked by: the AUC of the product of the last label."""
    task = comparison.data.label_tree.tasks[-1]
    return next(each for each in comparison.figures if each.key == f"{task.name}.auc")


def sections(comparison: Comparison) -> list[Section]:
    """Return the tables: figures and differences, by labels and by the truth."""
    rows, first, data = comparison.rows, comparison.first, comparison.data
    by_labels = [each for each in comparison.figures if not each.by_truth]
    by_truth = [each for each in comparison.figures if each.by_truth]
    what = f"{data.manifest.splits[data.split].impressions:,} impressions of {data.split}"
    spread = "one seed" if _has_one_seed(comparison) else "mean ± standard deviation over seeds"
    found = [_values(f"On {what}, {spread}", by_labels, rows, cost=True)]
    other = [row for row in rows if row.differences]
    versus = f"Difference to {first} with the same seeds"
    versus += "" if _has_one_seed(comparison) else ", mean ± standard error (p of the paired t-test)"
    if other:
        found.append(_differences(versus, by_labels, other))
    if by_truth:
        truth = [_TRUTH_ROW, *(_of_truth(comparison, each) for each in by_truth)]
        found.append(_values(f"By the true probabilities, on {what}", by_truth, rows, last=truth))
    if by_truth and other:
        short = [each for each in by_truth if not each.key.endswith(".reached")]
        found.append(_differences(f"{versus}; of a calibration, of how far its logarithm is off", short, other))
    return found


def notes(comparison: Comparison) -> list[str]:
    """Return what a reader has to know to believe the tables."""
    data, figure = comparison.data, main_figure(comparison)
    errors = [run.standard_errors[figure.key] for run in comparison.results]
    lines = [_seeds_text(comparison)]
    known = [error for error in errors if not math.isnan(error)]
    if known:
        lines.append(
            f"The luck of the split comes on top, and is the same for all models: the standard error of one "
            f"{figure.title} is {math.fsum(known) / len(known):.4f}."
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
        before = tree.names[task.given]
        mean = {part: comparison.mean_of_all(f"truth.{task.name}.mean.{part}") for part in ("reached", "rest")}
        size = {part: comparison.mean_of_all(f"truth.{task.name}.impressions.{part}") for part in ("reached", "rest")}
        lines.append(
            f"Mean true {task.name}: {mean['reached']:.4f} of the {size['reached']:,.0f} impressions with {before} 1, "
            f"{mean['rest']:.4f} of the {size['rest']:,.0f} with {before} 0."
        )
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
) -> Section:
    body = [
        [
            row.name,
            *(_summary_text(row.summaries[each.key], each) for each in figures),
            *([_cost_text(row.cost)] if cost else []),
        ]
        for row in rows
    ]
    head = ["model", *(each.title for each in figures), *(["CPU s a million impressions"] if cost else [])]
    return Section(heading=heading, head=head, rows=[*body, *([last] if last is not None else [])])


def _differences(heading: str, figures: Sequence[Figure], rows: Sequence[ModelRow]) -> Section:
    return Section(
        heading=heading,
        head=["model", *(each.title for each in figures)],
        rows=[[row.name, *(_difference_text(row.differences[each.key], each) for each in figures)] for row in rows],
    )


def _of_truth(comparison: Comparison, figure: Figure) -> str:
    _, task, name, part = figure.key.split(".")
    if name == "auc":
        return figure.text(comparison.mean_of_all(f"truth.{task}.best_auc.{part}"))
    return figure.text(1.0 if name == "calibration" else 0.0)


def _summary_text(found: Summary, figure: Figure) -> str:
    spread = "" if math.isnan(found.sd) else f" ± {figure.text(found.sd)}"
    return figure.text(found.mean) + spread


def _difference_text(found: PairedDifference, figure: Figure) -> str:
    if math.isnan(found.standard_error):
        return figure.text(found.mean, signed=True)
    return f"{figure.text(found.mean, signed=True)} ± {figure.text(found.standard_error)}{_p_text(found, ' (p {})')}"


def _p_text(found: PairedDifference, form: str) -> str:
    if math.isnan(found.p):
        return ""
    return form.format("< 0.001" if found.p < 0.001 else f"{found.p:.3f}")


def _cost_text(found: Summary) -> str:
    if math.isnan(found.mean):
        return "–"
    return f"{found.mean:.0f}" + ("" if math.isnan(found.sd) else f" ± {found.sd:.0f}")


def _markdown_table(section: Section) -> list[str]:
    lines = [section.head, ["---", *["--:"] * (len(section.head) - 1)], *section.rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]


def _sortable(value: float) -> float:
    return -math.inf if math.isnan(value) else value
