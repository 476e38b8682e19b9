"""How many impressions a user context has, and how many contexts a user."""

from collections.abc import Sequence
from typing import Any

from esmm_dist.report.data_page.compared import base_split, ordered_splits
from esmm_dist.report.data_page.doubling import median, share_of_at_least
from esmm_dist.report.data_page.texts import ratio
from esmm_dist.report.data_statistics.statistics import CountHistogram, DataStatistics
from esmm_dist.report.page.blocks import Block, PageTable, Paragraph, Section
from esmm_dist.report.pictures.lines import legend_above
from esmm_dist.report.pictures.numbers_shown import percent, short, show_percent, show_short, whole
from esmm_dist.report.pictures.panels import new_figure
from esmm_dist.report.pictures.picture import Picture
from esmm_dist.report.pictures.shown_text import cut
from esmm_dist.report.pictures.style import line_of

_MOST_SPLITS = 4


def user_section(statistics: DataStatistics) -> Section | None:
    """Return impressions a context and contexts a user; None if there is no context."""
    if not any(each.impressions_a_context.total for each in statistics.splits.values()):
        return None
    contexts = {name: each.impressions_a_context for name, each in statistics.splits.items()}
    users = {
        name: each.contexts_a_user
        for name, each in statistics.splits.items()
        if each.contexts_a_user is not None and each.contexts_a_user.total
    }
    splits = ordered_splits(statistics)
    blocks: list[Block] = [_picture(statistics, contexts, users)]
    rows = [_row(split, "impressions a context", contexts[split]) for split in splits]
    rows += [_row(split, "contexts a user", users[split]) for split in splits if split in users]
    blocks.append(
        PageTable(
            title="Contexts and users.",
            head=["split", "what", "of how many", "mean", "median", "p99", "exactly one"],
            rows=rows,
            text_columns=(0, 1),
        )
    )
    if not users:
        blocks.append(Paragraph(text="No one-hot field of the user tells users apart.", kind="note"))
    return Section(
        heading="Users",
        lead="A user context is what the impressions of one request or session share; it is read once for all of them.",
        blocks=blocks,
    )


def _row(split: str, what: str, histogram: CountHistogram) -> Sequence[str]:
    one = dict(zip(histogram.counts, histogram.things, strict=True)).get(1, 0)
    return [
        cut(split),
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
    if users:
        panels_of.append(("contexts a user", "users", users))
    splits = ordered_splits(statistics)[:_MOST_SPLITS]
    figure, axes = new_figure(columns=len(panels_of), width=1.0 if users else 1.5)
    numbers: dict[str, Any] = {}
    for panel, (what, things, histograms) in zip(axes[0], panels_of, strict=True):
        drawn = {}
        for place, split in enumerate(splits):
            if split not in histograms or not histograms[split].total:
                continue
            counts, shares = share_of_at_least(histograms[split])
            panel.plot(counts, shares, label=cut(split), **{**line_of(place), "marker": "none"})
            drawn[split] = {"at_least": counts, "share": shares}
        numbers[what] = drawn
        panel.set_xscale("log")
        panel.set_yscale("log")
        show_short(panel.xaxis)
        show_percent(panel.yaxis)
        panel.set_title(what)
        panel.set_xlabel(f"{what}, at least (logarithmic)")
        panel.set_ylabel(f"share of {things}")
        legend_above(panel)
    base = base_split(statistics)
    title = f"Half of {cut(base)}'s contexts have {_so_many(contexts[base], 'impression')}"
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
    return f"at most {whole(most)} {what}{'' if most == 1 else 's'}"
