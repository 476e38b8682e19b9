"""The picture of a comparison: a panel for each figure, a row for each model, a dot for each seed.

Colours are those of Okabe and Ito (https://jfly.uni-koeln.de/color/), which people who see fewer colours tell apart;
the first model also has a mark of its own.
"""

import io
import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure as Canvas

from esmm_dist.storage.whole_file import write_durable
from launcher.compare.comparison import Comparison, ModelRow
from launcher.compare.figures import Figure, part_names
from launcher.compare.headline import headline, split_error

_BLUE, _VERMILLION, _GREY, _GREEN = "#0072B2", "#D55E00", "#555555", "#009E73"
_PANELS_A_ROW = 3
_PANEL_INCHES = 3.7
_ROW_INCHES = 0.34
_DPI = 130
_ERRORS_ACROSS = 4
"""Standard errors of one AUC that an axis shows at least."""
_UNITS = {"higher": "higher is better", "lower": "nats an impression, lower is better", "near 1": "best at 1"}


def write_picture(comparison: Comparison, path: Path) -> None:
    """Write the picture, over that of an earlier time."""
    written = io.BytesIO()
    drawn(comparison).savefig(written, format="png", dpi=_DPI)
    write_durable(path, written.getvalue())


def drawn(comparison: Comparison) -> Canvas:
    """Draw the picture."""
    figures, rows = _shown(comparison.figures), comparison.rows
    across = min(_PANELS_A_ROW, len(figures))
    down = math.ceil(len(figures) / across)
    width = 1.5 + across * _PANEL_INCHES
    height = 1.5 + down * (1.0 + _ROW_INCHES * (len(rows) + 1))
    canvas = Canvas(figsize=(width, height), layout="constrained")
    canvas.suptitle(
        "\n".join(textwrap.wrap(headline(comparison), int(width * 9))),
        fontsize=13,
        fontweight="bold",
        x=0.01,
        ha="left",
    )
    panels = canvas.subplots(down, across, squeeze=False)
    for place, panel in enumerate(panels.flat):
        if place >= len(figures):
            panel.set_visible(False)
            continue
        _draw(panel, figures[place], comparison, rows)
        panel.set_yticks(range(len(rows)), [row.name if place % across == 0 else "" for row in rows])
    canvas.supxlabel(_how_to_read(comparison, rows), fontsize=9, color=_GREY, x=0.01, ha="left")
    return canvas


def _shown(figures: Sequence[Figure]) -> list[Figure]:
    """Leave out the calibration and the divergence of clicked impressions: those of all and of the rest say enough."""
    return [each for each in figures if not (each.by_truth and each.key.endswith(".reached"))]


def _draw(panel: Any, figure: Figure, comparison: Comparison, rows: Sequence[ModelRow]) -> None:
    for place, row in enumerate(rows):
        is_first = row.name == comparison.first
        colour, mark = (_VERMILLION, "D") if is_first else (_BLUE, "o")
        values = [run.values[figure.key] for run in comparison.of_model(row.name)]
        panel.plot(values, [place + 0.2] * len(values), "o", color=colour, alpha=0.4, markersize=4, markeredgewidth=0)
        found = row.summaries[figure.key]
        spread = 0.0 if math.isnan(found.sd) else found.sd
        panel.errorbar(found.mean, place, xerr=spread, fmt=mark, color=colour, markersize=6, capsize=3, linewidth=1.5)
        if is_first and not math.isnan(found.mean):
            panel.axvline(found.mean, color=_VERMILLION, linewidth=0.9, linestyle="--", zorder=0)
    if figure.better == "near 1":
        panel.axvline(1.0, color=_GREEN, linewidth=1.2, zorder=0)
    _widen(panel, _ERRORS_ACROSS * split_error(comparison, figure))
    panel.set_ylim(len(rows) - 0.4, -0.6)
    panel.set_title(figure.title, fontsize=11, loc="left")
    panel.set_xlabel(_UNITS[figure.better], fontsize=9, color=_GREY)
    panel.tick_params(labelsize=9)
    panel.locator_params(axis="x", nbins=5)
    panel.grid(axis="x", color="#e4e4e4", linewidth=0.7)
    panel.set_axisbelow(True)
    for side in ("top", "right", "left"):
        panel.spines[side].set_visible(False)


def _widen(panel: Any, least: float) -> None:
    """Make an axis as wide as the luck of the split, so that less than that does not look like much."""
    low, high = panel.get_xlim()
    if high - low < least:  # never of nan, where there is no such error
        middle = (low + high) / 2
        panel.set_xlim(middle - least / 2, middle + least / 2)


def _how_to_read(comparison: Comparison, rows: Sequence[ModelRow]) -> str:
    seeds = max(len(row.seeds) for row in rows)
    lines = [
        "How to read: a faint dot is a training with one seed, a mark with a bar the mean ± one standard deviation of "
        f"{seeds} seed{'s' if seeds > 1 else ''}; the dashed line is the mean of {comparison.first}.",
    ]
    if comparison.data.truth is not None:
        tree = comparison.data.label_tree
        rest = [part_names(tree.names[place])["rest"] for place in dict.fromkeys(tree.parents[1:])]
        lines.append(
            f"“all”, “all impressions” and {' and '.join(f'“{each}”' for each in rest)}: measured by the planted "
            "probabilities, on impressions that were not clicked too; the green line is perfect calibration."
        )
    return "\n".join(lines)
