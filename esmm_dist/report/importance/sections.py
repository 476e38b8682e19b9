"""The importance of fields as sections of a page: a picture and a table."""

import math
from collections.abc import Sequence

from esmm_dist.report.importance.field_importance import FieldImportance, Importance
from esmm_dist.report.page.blocks import Block, Page, PageTable, Paragraph, Section
from esmm_dist.report.pictures.bars import bars_height, horizontal_bars
from esmm_dist.report.pictures.numbers_shown import decimal, few_ticks, plus_minus, whole
from esmm_dist.report.pictures.panels import small_multiples
from esmm_dist.report.pictures.picture import Picture
from esmm_dist.report.pictures.shown_text import cut, cut_middle
from esmm_dist.words import in_words

_MOST_FIELDS = 15
"""Fields that the picture shows; the table has all"""

_CERTAIN = 2.0
"""Standard errors from which on a difference is not taken for chance"""

_MOST_NAMES = 8


def importance_sections(found: Importance) -> Sequence[Section]:
    """Return one section: how much each task needs each field.

    Args:
        found: the importance; nan and fields of no importance are shown as such
    """
    part = "" if found.impressions == found.of_impressions else f" of {found.of_impressions:,}"
    lead = (
        f"The values of one field after the other were permuted between user contexts (fields of users) or between "
        f"impressions (all others), {found.repeats} times each, and {whole(found.impressions)}{part} impressions of "
        f"{cut(found.split)} were scored again by the checkpoint of step {whole(found.step)}."
    )
    blocks: list[Block] = [_picture(found)] if found.fields else []
    blocks.append(_table(found))
    if found.not_seen:
        names = in_words(_shown_names(found.not_seen))
        blocks.append(Paragraph(text=f"The model does not see {names}: nothing changes with them."))
    if found.unmoved:
        blocks.append(Paragraph(kind="note", text=found.unmoved_sentence(_shown_names(found.unmoved))))
    blocks.append(
        Paragraph(
            kind="note",
            text="Fields that say the same (a category and its shop, a field and its crosses) share what they bring: "
            "each alone may lose little, as the others still have it.",
        )
    )
    return [Section(heading="Which fields the model uses", lead=lead, blocks=blocks)]


def _shown_names(names: Sequence[str]) -> list[str]:
    more = [f"{len(names) - _MOST_NAMES} more"] if len(names) > _MOST_NAMES else []
    return [cut(name) for name in names[:_MOST_NAMES]] + more


def importance_page(found: Importance, command: str) -> Page:
    """Return the page of ``esmm importance --html``.

    Args:
        found: the importance
        command: command that measures it
    """
    facts = [(f"AUC of {cut(task)}", decimal(auc)) for task, auc in found.auc.items()]
    return Page(
        title=f"What {cut_middle(found.run, 60)} uses",
        subtitle=(
            f"Step {whole(found.step)}, on {cut(found.split)} of {cut_middle(found.data, 80)} (data set "
            f"{found.data_id}); {command}"
        ),
        facts=[*facts, ("impressions", whole(found.impressions)), ("user contexts", whole(found.contexts))],
        sections=importance_sections(found),
    )


def finding(found: Importance) -> str:
    """Return the sentence that the picture shows."""
    task = _last_known(found)
    if task is None:
        return "No task has impressions of both labels, so that no importance can be told."
    first = max(found.fields, key=lambda each: each.auc_drop[task])
    drop, error = first.auc_drop[task], first.standard_error[task]
    name = cut(first.field)
    if drop <= _CERTAIN * error:
        return (
            f"No field alone matters for {_of(task)} AUC: the most, {name}, takes {plus_minus(drop, error)} with it, "
            "which may be chance."
        )
    return f"{name} matters most for {_of(task)} AUC, which falls by {plus_minus(drop, error)} without it."


def _picture(found: Importance) -> Picture:
    tasks, fields = list(found.auc), found.fields[:_MOST_FIELDS]
    figure, panels = small_multiples(len(tasks), width=1.0, height=bars_height(len(fields)), sharey=True)
    for place, (task, axes) in enumerate(zip(tasks, panels, strict=True)):
        drops = [each.auc_drop[task] for each in fields]
        errors = [each.standard_error[task] for each in fields]
        horizontal_bars(axes, [each.field for each in fields], drops, errors=errors, text_of=_drop, place=place)
        axes.set_title(f"{cut(task)}: AUC {decimal(found.auc[task])}")
        axes.set_xlabel("AUC lost when permuted")
        axes.set_ylabel("field")
        few_ticks(axes.xaxis, 4)
    return Picture(
        name="field-importance",
        title=finding(found),
        how_to_read=(
            "Each bar is what a task's AUC loses when the values of one field are permuted, so that they tell nothing: "
            "the longer, the more the model relies on the field. The line at its end is one standard error to each "
            "side, of the permutations and of the impressions; a bar that is shorter than two of them may be chance."
            f"{_rest(found)}"
        ),
        figure=figure,
        numbers={"fields": [_numbers(each) for each in fields], "auc": dict(found.auc)},
    )


def _rest(found: Importance) -> str:
    """Say what the picture leaves out."""
    rest, task = found.fields[_MOST_FIELDS:], _last_known(found)
    if not rest or task is None:
        return ""
    most = max(each.auc_drop[task] for each in rest)
    return f" {len(rest)} more fields, none above {decimal(most)} for {cut(task)}, are in the table."


def _table(found: Importance) -> PageTable:
    tasks = list(found.auc)
    rises = [each.log_loss_rise for each in found.fields]
    return PageTable(
        title="What each task loses without each field.",
        how_to_read=(
            "AUC: as it is, less that with the field permuted, ± its standard error. Log loss: with the field "
            "permuted, less that as it is, in nats."
        ),
        head=[
            "field",
            "owner",
            *(f"AUC of {cut(task)}" for task in tasks),
            *(f"log loss of {cut(task)}" for task in tasks),
        ],
        rows=[
            [
                cut(each.field, 40),
                each.owner,
                *(_with_error(each, task) for task in tasks),
                *(decimal(rise[task]) for task in tasks),
            ]
            for each, rise in zip(found.fields, rises, strict=True)
        ],
        text_columns=(0, 1),
        folded=len(found.fields) > _MOST_FIELDS,
    )


def _with_error(each: FieldImportance, task: str) -> str:
    return plus_minus(each.auc_drop[task], each.standard_error[task])


def _numbers(each: FieldImportance) -> dict[str, object]:
    return {"field": each.field, "auc_drop": dict(each.auc_drop), "standard_error": dict(each.standard_error)}


def _drop(value: float) -> str:
    return decimal(value)


def _last_known(found: Importance) -> str | None:
    """Return the last task whose AUC all fields have; None: no task has."""
    known = [t for t in found.auc if found.fields and all(math.isfinite(each.auc_drop[t]) for each in found.fields)]
    return known[-1] if known else None


def _of(task: str) -> str:
    """Return a task's name as a possessive."""
    return f"{cut(task)}'s"
