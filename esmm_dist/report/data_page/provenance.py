"""What was read, what was not, and by which command."""

from esmm_dist.report.data_page.texts import ratio
from esmm_dist.report.data_statistics.statistics import DataStatistics
from esmm_dist.report.page.blocks import Block, PageTable, Paragraph, Section
from esmm_dist.report.pictures.numbers_shown import percent, whole
from esmm_dist.report.pictures.shown_text import cut, cut_middle

HOW_THIS_WAS_READ = "How this was read"
_PATH_LETTERS, _REASON_LETTERS = 120, 100


def provenance_section(statistics: DataStatistics, command: str) -> Section:
    """Return where the numbers come from, and what is not in them."""
    estimated = [cut(field.alias or field.name) for field in statistics.fields if field.ids_are_estimates]
    share = statistics.sample_share
    rows = [
        [statistics.source_kind, cut_middle(statistics.source, _PATH_LETTERS)],
        ["schema", cut_middle(statistics.schema, _PATH_LETTERS)],
        ["share that was read", "all" if share >= 1 else f"{percent(share)}, chosen by a hash"],
        ["distinct ids", _ids_text(estimated)],
    ]
    if statistics.user_field is not None:
        rows.append(["users told apart by", cut(statistics.user_field, _REASON_LETTERS)])
    blocks: list[Block] = [PageTable(title="Source.", head=["what", "value"], rows=rows, text_columns=(0, 1))]
    impressions = sum(each.funnel.impressions for each in statistics.splits.values())
    if statistics.rejected:
        rejected = sum(statistics.rejected.values())
        blocks.append(
            PageTable(
                title="Lines that were rejected.",
                head=["reason", "lines", "of all lines"],
                rows=[
                    [cut(reason, _REASON_LETTERS), whole(count), percent(ratio(count, impressions + rejected))]
                    for reason, count in sorted(statistics.rejected.items(), key=lambda each: -each[1])
                ],
                how_to_read="All lines: impressions and rejected ones.",
            )
        )
    if statistics.left_out:
        blocks.append(
            PageTable(
                title="What is not in these numbers.",
                head=["what", "count"],
                rows=[[cut(what, _REASON_LETTERS), whole(count)] for what, count in statistics.left_out.items()],
            )
        )
    if command:
        blocks += [Paragraph(text="This page was written by"), Paragraph(text=command, kind="code")]
    return Section(heading=HOW_THIS_WAS_READ, blocks=blocks)


def _ids_text(estimated: list[str]) -> str:
    if not estimated:
        return "each counted"
    rest = len(estimated) - 5
    names = ", ".join(estimated[:5]) + (f" and {rest} more" if rest > 0 else "")
    return f"estimated from a sample of the ids, chosen by a hash, for {names}; each counted for other fields"
