"""The first part of the page: what stands out, and the splits side by side."""

from esmm_dist.report.data_page.compared import base_split, in_split, ordered_splits
from esmm_dist.report.data_page.findings import findings
from esmm_dist.report.data_page.rates import label_rates
from esmm_dist.report.data_page.texts import label_text, ratio, shown, with_error
from esmm_dist.report.data_statistics.statistics import DataStatistics
from esmm_dist.report.page.blocks import Block, PageTable, Paragraph, Section
from esmm_dist.report.pictures.numbers_shown import percent, short, whole

_MOST_LABELS = 4


def page_facts(statistics: DataStatistics) -> list[tuple[str, str]]:
    """Return what stands in large letters at the top of the page."""
    splits = statistics.splits
    base = base_split(statistics)
    facts = [("impressions", short(sum(each.funnel.impressions for each in splits.values())))]
    if base:
        rates = label_rates(statistics, splits[base].funnel)
        facts += [(each.text, percent(each.rate)) for each in rates[:_MOST_LABELS]]
    contexts = [each.contexts for each in splits.values() if each.contexts is not None]
    if contexts:
        facts.append(("user contexts", _about(statistics) + short(sum(contexts))))
    users = users_in(statistics, base)
    if users is not None:
        facts.append((f"users in {shown(base)}", _about(statistics) + short(users)))
    facts.append(("fields", str(len(statistics.fields))))
    ids = distinct_ids(statistics, base)
    about = "~" if any(field.ids_are_estimates for field in statistics.fields) else ""
    facts.append((f"distinct ids in {shown(base)}" if base else "distinct ids", about + short(ids)))
    return facts


def _about(statistics: DataStatistics) -> str:
    return "~" if any(each.contexts_are_estimates for each in statistics.splits.values()) else ""


def users_in(statistics: DataStatistics, split: str) -> int | None:
    """Return the users of a split; None if no field names them."""
    if split not in statistics.splits:
        return None
    histogram = statistics.splits[split].contexts_a_user
    return None if histogram is None else histogram.total


def distinct_ids(statistics: DataStatistics, split: str) -> int:
    """Return the distinct ids of all fields together in a split; an id of two fields counts twice."""
    told = (in_split(field, split) for field in statistics.fields)
    return sum(each.distinct_ids for each in told if each is not None)


def overview_section(statistics: DataStatistics) -> Section:
    """Return what stands out and a table of the splits."""
    found = findings(statistics)
    blocks: list[Block] = [Paragraph(text=each.text, kind="warning" if each.warns else "note") for each in found]
    if not any(each.warns for each in found):
        blocks.insert(0, Paragraph(text="No warning: nothing was found that usually spoils a model.", kind="note"))
    if statistics.splits:
        blocks.append(_split_table(statistics))
    warnings = sum(each.warns for each in found)
    said = f"{warnings} warnings" if warnings != 1 else "One warning"
    return Section(
        heading="Overview",
        lead=f"{said if warnings else 'No warning'}, computed from the numbers below.",
        blocks=blocks,
    )


def _split_table(statistics: DataStatistics) -> PageTable:
    total = sum(each.funnel.impressions for each in statistics.splits.values())
    has_users = any(each.contexts_a_user is not None for each in statistics.splits.values())
    parents = statistics.label_parents
    names = statistics.label_names
    heads = [
        label_text(name, None if parent < 0 else names[parent]) for name, parent in zip(names, parents, strict=True)
    ]
    rows = []
    for split in ordered_splits(statistics):
        numbers = statistics.splits[split]
        users = users_in(statistics, split)
        rows.append(
            [
                shown(split),
                whole(numbers.funnel.impressions),
                percent(ratio(numbers.funnel.impressions, total)),
                whole(numbers.contexts),
                *([whole(users)] if has_users else []),
                *(with_error(each.rate, each.standard_error) for each in label_rates(statistics, numbers.funnel)),
            ]
        )
    users_head = ["users"] if has_users else []
    return PageTable(
        title="The splits side by side.",
        head=["split", "impressions", "share", "user contexts", *users_head, *heads],
        rows=rows,
        how_to_read="± is one standard error, as if impressions were independent. A user context is what all "
        "impressions of one request or session share.",
    )
