"""The picture of a comparison: a panel for each figure, a row for each model, a dot for each seed.

It has the style of the pictures of reports; the first model has a colour and a mark of its own.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from esmm_dist.report.pictures.png_file import titled_png
from esmm_dist.report.pictures.style import MUTED, SERIES_COLOURS
from esmm_dist.report.pictures.styled import StyledFigure
from esmm_dist.storage.whole_file import write_durable
from launcher.compare.comparison import Comparison, ModelRow
from launcher.compare.figures import Figure, part_names
from launcher.compare.headline import headline, split_error

_OTHERS, _FIRST, _BEST = SERIES_COLOURS[:3]
_PANELS_A_ROW = 3
_PANEL_INCHES = 3.7
_ROW_INCHES = 0.34
_ERRORS_ACROSS = 4
"""Standard errors of one AUC that an axis shows at least."""
_UNITS = {"higher": "higher is better", "lower": "nats an impression, lower is better", "near 1": "best at 1"}


def write_picture(comparison: Comparison, path: Path) -> None:
    """Write the picture with its headline and how to read it, over that of an earlier time."""
    write_durable(path, titled_png(drawn(comparison), headline(comparison), how_to_read(comparison)))


def drawn(comparison: Comparison) -> StyledFigure:
    """Draw the panels."""
    figures, rows = _shown(comparison.figures), comparison.rows
    across = min(_PANELS_A_ROW, len(figures))
    down = math.ceil(len(figures) / across)
    width = 1.5 + across * _PANEL_INCHES
    height = down * (1.0 + _ROW_INCHES * (len(rows) + 1))
    canvas = StyledFigure(figsize=(width, height), layout="constrained")
    panels = canvas.subplots(down, across, squeeze=False)
    for place, panel in enumerate(panels.flat):
        if place >= len(figures):
            panel.set_visible(False)
            continue
        _draw(panel, figures[place], comparison, rows)
        panel.set_yticks(range(len(rows)), [row.name if place % across == 0 else "" for row in rows])
    return canvas


def _shown(figures: Sequence[Figure]) -> list[Figure]:
    """Leave out the calibration and the divergence of clicked impressions: those of all and of the rest say enough."""
    return [each for each in figures if not (each.by_truth and each.key.endswith(".reached"))]


def _draw(panel: Any, figure: Figure, comparison: Comparison, rows: Sequence[ModelRow]) -> None:
    for place, row in enumerate(rows):
        is_first = row.name == comparison.first
        colour, mark = (_FIRST, "D") if is_first else (_OTHERS, "o")
        values = [run.values[figure.key] for run in comparison.of_model(row.name)]
        panel.plot(values, [place + 0.2] * len(values), "o", color=colour, alpha=0.4, markersize=4, markeredgewidth=0)
        found = row.summaries[figure.key]
        spread = 0.0 if math.isnan(found.sd) else found.sd
        panel.errorbar(found.mean, place, xerr=spread, fmt=mark, color=colour, markersize=6, capsize=3, linewidth=1.5)
        if is_first and not math.isnan(found.mean):
            panel.axvline(found.mean, color=_FIRST, linewidth=0.9, linestyle="--", zorder=0)
    if figure.better == "near 1":
        panel.axvline(1.0, color=_BEST, linewidth=1.2, zorder=0)
    _widen(panel, _ERRORS_ACROSS * split_error(comparison, figure))
    panel.set_ylim(len(rows) - 0.4, -0.6)
    panel.set_title(figure.title)
    panel.set_xlabel(_UNITS[figure.better], color=MUTED)
    panel.locator_params(axis="x", nbins=5)
    panel.grid(visible=False, axis="y")
    panel.spines["left"].set_visible(False)
    panel.tick_params(axis="y", length=0)


def _widen(panel: Any, least: float) -> None:
    """Make an axis as wide as the luck of the split, so that less than that does not look like much."""
    low, high = panel.get_xlim()
    if high - low < least:  # never of nan, where there is no such error
        middle = (low + high) / 2
        panel.set_xlim(middle - least / 2, middle + least / 2)


def how_to_read(comparison: Comparison) -> str:
    """Say what the marks and lines are."""
    seeds = max(len(row.seeds) for row in comparison.rows)
    lines = [
        "a faint dot is a training with one seed, a mark with a bar the mean ± one standard deviation of "
        f"{seeds} seed{'s' if seeds > 1 else ''}; the dashed line is the mean of {comparison.first}.",
    ]
    if comparison.data.truth is not None:
        tree = comparison.data.label_tree
        rest = [part_names(tree.names[place])["rest"] for place in dict.fromkeys(tree.parents[1:])]
        lines.append(
            f"“all”, “all impressions” and {' and '.join(f'“{each}”' for each in rest)}: measured by the planted "
            "probabilities, on impressions that were not clicked too; the green line is perfect calibration."
        )
    return " ".join(lines)
