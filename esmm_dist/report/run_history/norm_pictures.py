"""The norms of rows as a picture and a table."""

from collections.abc import Sequence

import numpy as np

from esmm_dist.report.page.blocks import Block, PageTable, Section
from esmm_dist.report.pictures.bars import bars_height
from esmm_dist.report.pictures.numbers_shown import percent, short, whole
from esmm_dist.report.pictures.picture import Picture, line_of, new_figure
from esmm_dist.report.pictures.shown_text import cut_apart, cut_middle
from esmm_dist.report.run_history.row_norms import RowNorms
from esmm_dist.words import in_words

_MOST_TABLES = 24
_MOST_NAMES = 4


def norm_section(found: Sequence[RowNorms], step: int) -> Section:
    """Return the norms of the tables' rows at a step, with a picture if there is a row.

    Args:
        found: norms by table, the largest table first
        step: step of the checkpoint
    """
    known = [each for each in found if np.isfinite(each.quantiles["p50"])][:_MOST_TABLES]
    blocks: list[Block] = [_picture(known)] if known else []
    return Section(
        heading="Rows of the tables",
        lead=f"Vectors that ids look up, in the checkpoint of step {whole(step)}.",
        blocks=[*blocks, _table(found)],
    )


def _picture(found: Sequence[RowNorms]) -> Picture:
    figure, grid = new_figure(width=1.7, height=max(0.6, bars_height(len(found))))
    axes, style = grid[0, 0], line_of(0)
    y = np.arange(len(found))
    low, middle, high = (np.array([each.quantiles[name] for each in found]) for name in ("p5", "p50", "p95"))
    axes.hlines(y, low, high, color=style["color"], linewidth=3, alpha=0.5)
    axes.plot(middle, y, linestyle="none", marker="o", color=style["color"], markersize=7)
    axes.set_yticks(y, cut_apart([_name(each) for each in found]))
    axes.set_ylim(len(found) - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.set_xlabel("L2 norm of a row")
    axes.set_ylabel("field or table")
    axes.grid(axis="y", visible=False)
    return Picture(
        name="row-norms",
        title=_title(found),
        how_to_read="The dot is the median norm of the rows of a field, or of a table that fields share; the bar "
        "reaches from the 5th to the 95th percentile. Rows that have hardly been trained stay near their start "
        "values, which are small; a bar that reaches far has rows that grew, which embedding_l2 holds back.",
        figure=figure,
        numbers={_name(each): dict(each.quantiles) for each in found},
    )


def _title(found: Sequence[RowNorms]) -> str:
    if len(found) == 1:
        only = found[0].quantiles
        return f"Half of the rows have norms below {short(only['p50'])}, one in twenty above {short(only['p95'])}."
    largest = max(found, key=lambda each: each.quantiles["p50"])
    smallest = min(found, key=lambda each: each.quantiles["p50"])
    return (
        f"Rows of {cut_middle(_name(largest))} are the largest, with a median norm of "
        f"{short(largest.quantiles['p50'])}; those of {cut_middle(_name(smallest))} the smallest, "
        f"{short(smallest.quantiles['p50'])}."
    )


def _name(norms: RowNorms) -> str:
    """Return what a reader calls a table: its field, if it has one only."""
    return norms.fields[0] if len(norms.fields) == 1 else norms.table


def _table(found: Sequence[RowNorms]) -> PageTable:
    rows = [
        [
            cut_middle(each.table, 40),
            _fields(each.fields),
            whole(each.rows),
            *(short(each.quantiles[name]) for name in ("p5", "p50", "p95")),
            percent(each.read_rows / each.rows if each.rows else 1.0),
            whole(each.not_finite),
        ]
        for each in found
    ]
    return PageTable(
        title="Norms of the rows by field.",
        head=["table", "fields", "rows", "norm, 5%", "median", "95%", "rows read", "not finite"],
        rows=rows,
        text_columns=(0, 1),
        folded=len(rows) > 8,
        how_to_read="The vocabulary of the data set says of which field an id is; without it, fields that share a "
        "table stand together. Norms are rounded up to the next of 250 steps a factor of ten, which is less than 1%.",
    )


def _fields(names: Sequence[str]) -> str:
    more = [f"{len(names) - _MOST_NAMES} more"] if len(names) > _MOST_NAMES else []
    return in_words([*(cut_middle(each) for each in names[:_MOST_NAMES]), *more]) if names else "–"
