"""How many impressions a user context has, and how many contexts a user."""

from collections.abc import Sequence
from typing import Any

from esmm_dist.report.data_page.axes import SINGLE, counts_on_log
from esmm_dist.report.data_page.compared import base_split, ordered_splits
from esmm_dist.report.data_page.doubling import median, share_of_at_least
from esmm_dist.report.data_page.texts import plural, ratio, shown
from esmm_dist.report.data_statistics.statistics import CountHistogram, DataStatistics
from esmm_dist.report.page.blocks import Block, PageTable, Paragraph, Section
from esmm_dist.report.pictures.lines import legend_above
from esmm_dist.report.pictures.numbers_shown import percent, short, show_percent, whole
from esmm_dist.report.pictures.panels import small_multiples
from esmm_dist.report.pictures.picture import Picture
from esmm_dist.report.pictures.style import line_of

_MOST_SPLITS = 4
_MOST_MARKS = 12
"""Counts beyond which a line is drawn without marks."""


def user_section(statistics: DataStatistics) -> Section | None:
    """Return impressions a context and contexts a user; None if there is no context."""
    contexts = {
        name: each.impressions_a_context
        for name, each in statistics.splits.items()
        if each.impressions_a_context is not None and each.impressions_a_context.total
    }
    if not contexts:
        return None
    users = {
        name: each.contexts_a_user
        for name, each in statistics.splits.items()
        if each.contexts_a_user is not None and each.contexts_a_user.total
    }
    splits = ordered_splits(statistics)
    blocks: list[Block] = [_picture(statistics, contexts, users)]
    rows = [_row(split, "impressions a context", contexts[split]) for split in splits if split in contexts]
    rows += [_row(split, "contexts a user", users[split]) for split in splits if split in users]
    blocks.append(
        PageTable(
            title="Contexts and users.",
            head=["split", "what", "of how many", "mean", "median", "p99", "exactly one"],
            rows=rows,
            text_columns=(0, 1),
        )
    )
    if any(each.contexts_are_estimates for each in statistics.splits.values()):
        blocks.append(Paragraph(text="Contexts and users are estimated from a sample of the users.", kind="note"))
    if not users:
        blocks.append(Paragraph(text="No one-hot field of the user tells users apart.", kind="note"))
    return Section(
        heading="Users",
        lead="A user context is what the impressions of one request or session share: the same ids in all user fields.",
        blocks=blocks,
    )


def _row(split: str, what: str, histogram: CountHistogram) -> Sequence[str]:
    one = dict(zip(histogram.counts, histogram.things, strict=True)).get(1, 0)
    return [
        shown(split),
        what,
        whole(histogram.total),
        short(histogram.mean),
        whole(median(histogram)),
        whole(histogram.p99),
        percent(ratio(one, histogram.total)),
    ]


def _picture(
    statistics: DataStatistics, contexts: dict[str, CountHistogram], users: dict[str, CountHistogram]
) -> Picture:
    panels_of = [("impressions a context", "contexts", contexts)]
    if any(max(each.counts) > 1 for each in users.values()):
        panels_of.append(("contexts a user", "users", users))
    splits = ordered_splits(statistics)[:_MOST_SPLITS]
    figure, panels = small_multiples(len(panels_of), width=1.0 if len(panels_of) > 1 else SINGLE)
    numbers: dict[str, Any] = {}
    for panel, (what, things, histograms) in zip(panels, panels_of, strict=True):
        drawn: dict[str, dict[str, Any]] = {}
        for place, split in enumerate(splits):
            if split not in histograms:
                continue
            counts, shares = share_of_at_least(histograms[split])
            marks = {} if len(counts) <= _MOST_MARKS else {"marker": "none"}
            panel.plot(counts, shares, label=shown(split), **{**line_of(place), **marks})
            drawn[split] = {"at_least": counts, "share": shares}
        numbers[what] = drawn
        panel.set_xscale("log")
        panel.set_yscale("log")
        counts_on_log(
            panel.xaxis, max((each["at_least"][-1] for each in drawn.values() if each["at_least"]), default=1)
        )
        show_percent(panel.yaxis)
        panel.set_title(what)
        panel.set_xlabel(f"{what}, at least (logarithmic)")
        panel.set_ylabel(f"share of {things}")
        legend_above(panel)
    base = base_split(statistics) if base_split(statistics) in contexts else next(iter(contexts))
    title = f"Half of {shown(base)}'s contexts have {_so_many(contexts[base], 'impression')}"
    if base in users:
        title += f", and half of its users {_so_many(users[base], 'context')}"
    return Picture(
        name="users",
        title=title + ".",
        how_to_read="A line tells which share has at least so many; it begins at 100% and reaches far to the right if "
        "a few have very many. Both axes are logarithmic.",
        figure=figure,
        numbers=numbers,
    )


def _so_many(histogram: CountHistogram, what: str) -> str:
    most = median(histogram)
    return f"at most {whole(most)} {plural(most, what)}"
