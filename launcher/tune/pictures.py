"""The pictures of a study in one HTML file: its course, which settings matter, and the objective over each of them.

Everything is in the file, Plotly too (4.8 MB), so that it opens without a network and can be sent on. Colours are those
of the pictures of reports and cividis, which people who see fewer colours tell apart.
"""

import html
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
import plotly.graph_objects as go
import plotly.io

from esmm_dist.report.pictures.style import INK, SERIES_COLOURS
from esmm_dist.storage.whole_file import write_durable
from launcher.tune.config import TuneConfig
from launcher.tune.report import shown_values
from launcher.tune.space import SearchedSetting
from launcher.tune.study import Study, newest_report

_BLUE, _VERMILLION, _ORANGE, _BLACK = SERIES_COLOURS[0], SERIES_COLOURS[1], SERIES_COLOURS[4], INK
_HEIGHT_PX = 420
_FEWEST_FOR_IMPORTANCE = 4
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font-family: system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #111; }}
table {{ border-collapse: collapse; }}
td, th {{ border-bottom: 1px solid #bbb; padding: 0.25rem 1rem 0.25rem 0; text-align: left; }}
</style>
</head>
<body>
{body}
</body>
</html>
"""


def write_pictures(study: Study, settings: TuneConfig, path: Path) -> None:
    """Write the pictures of a study that has a complete trial, over those of an earlier time."""
    write_durable(path, pictures_html(study, settings).encode())


def pictures_html(study: Study, settings: TuneConfig) -> str:
    """Return the page."""
    figures = [_history(study, settings)]
    importance = _importance(study, settings)
    if importance is not None:
        figures.append(importance)
    figures += [_slice(study, settings, each) for each in settings.space.searched]
    parts = [*_summary(study, settings)]
    if importance is None:
        parts.append(
            "<p>Which settings matter cannot be said yet: that takes at least "
            f"{_FEWEST_FOR_IMPORTANCE} complete trials that differ.</p>"
        )
    for i, figure in enumerate(figures):
        parts.append(
            plotly.io.to_html(
                figure, full_html=False, include_plotlyjs=i == 0, config={"displaylogo": False, "responsive": True}
            )
        )
    return _PAGE.format(title=html.escape(f"esmm tune: {settings.study}"), body="\n".join(parts))


def _summary(study: Study, settings: TuneConfig) -> list[str]:
    best = study.best
    assert best is not None
    rows = "\n".join(
        f"<tr><td>{html.escape(path)}</td><td>{html.escape(value)}</td></tr>"
        for path, value in shown_values(best, study).items()
    )
    return [
        f"<h1>{html.escape(str(settings.study))}: {len(study.finished)} trials</h1>",
        f"<p>The best is trial {best.number}, with {html.escape(settings.objective)} {best.value:.4f} on the "
        f"validation split. {study.count('COMPLETE')} trials are complete, {study.count('PRUNED')} were pruned and "
        f"{study.count('FAIL')} failed. The best of many figures is a little too good: the test split says what the "
        "settings are worth.</p>",
        f"<table><tr><th>setting</th><th>in trial {best.number}</th></tr>\n{rows}\n</table>",
    ]


def _axis(settings: TuneConfig) -> str:
    unit = ", nats an impression" if settings.parsed_objective.direction == "minimize" else ""
    return f"{settings.objective} on validation{unit}<br>({settings.parsed_objective.better})"


def _figure(title: str, x_title: str, y_title: str) -> Any:
    figure = go.Figure()
    figure.update_layout(
        title={"text": html.escape(title), "x": 0.01, "xref": "container"},
        xaxis={"title": {"text": x_title}, "showline": True, "linecolor": "#444", "gridcolor": "#e4e4e4"},
        yaxis={"title": {"text": y_title}, "showline": True, "linecolor": "#444", "gridcolor": "#e4e4e4"},
        plot_bgcolor="white",
        height=_HEIGHT_PX,
        font={"size": 14},
        legend={"orientation": "h", "x": 0.0, "y": 1.02, "yanchor": "bottom", "xanchor": "left"},
        margin={"t": 90},
    )
    return figure


def _complete(study: Study) -> list[Any]:
    return [each for each in study.trials if each.state.name == "COMPLETE"]


def _texts(trials: Sequence[Any], study: Study) -> list[str]:
    return [
        f"trial {each.number}<br>"
        + "<br>".join(html.escape(f"{path} {value}") for path, value in shown_values(each, study).items())
        for each in trials
    ]


def _history(study: Study, settings: TuneConfig) -> Any:
    best, complete = study.best, _complete(study)
    assert best is not None
    pruned = [each for each in study.trials if each.state.name == "PRUNED" and each.intermediate_values]
    figure = _figure(
        f"Trial {best.number} of {len(study.finished)} reached the best {settings.objective}, {best.value:.4f}.",
        "trial",
        _axis(settings),
    )
    figure.add_scatter(
        x=[each.number for each in complete],
        y=[each.value for each in complete],
        text=_texts(complete, study),
        mode="markers",
        name="complete",
        marker={"color": _BLUE, "size": 9},
    )
    if pruned:
        figure.add_scatter(
            x=[each.number for each in pruned],
            y=[newest_report(each) for each in pruned],
            text=_texts(pruned, study),
            mode="markers",
            name="pruned, at its last evaluation",
            marker={"color": _ORANGE, "size": 9, "symbol": "x"},
        )
    better = max if settings.parsed_objective.direction == "maximize" else min
    best_so_far: list[float] = []
    for each in complete:
        best_so_far.append(better([*best_so_far[-1:], each.value]))
    figure.add_scatter(
        x=[each.number for each in complete],
        y=best_so_far,
        mode="lines",
        name="best so far",
        line={"color": _BLACK, "shape": "hv", "width": 2},
    )
    figure.update_xaxes(dtick=_whole_ticks(len(study.trials)), tick0=0)
    return figure


def _importance(study: Study, settings: TuneConfig) -> Any | None:
    """Return the importances; None where they cannot be computed: too few trials, or all alike."""
    if len(_complete(study)) < _FEWEST_FOR_IMPORTANCE:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = optuna.importance.get_param_importances(
                study.optuna_study, evaluator=optuna.importance.FanovaImportanceEvaluator(seed=0)
            )
    except (ValueError, RuntimeError):
        return None
    names = sorted(found, key=lambda name: float(found[name]))
    top = names[-1]
    figure = _figure(
        f"{top} decides {found[top]:.0%} of the differences between complete trials.",
        f"share of the variance of {settings.objective} (fANOVA), 0 to 1",
        "",
    )
    figure.add_bar(
        x=[found[name] for name in names],
        y=names,
        orientation="h",
        marker={"color": _BLUE},
        text=[f"{found[name]:.2f}" for name in names],
    )
    figure.update_layout(
        height=160 + 40 * len(names), yaxis={"automargin": True, "title": None}, xaxis={"range": [0, 1]}
    )
    return figure


def _slice(study: Study, settings: TuneConfig, searched: SearchedSetting) -> Any:
    best, complete = study.best, _complete(study)
    assert best is not None
    scale = " (log scale)" if searched.range.log else ""
    figure = _figure(
        f"The best trial has {searched.path} {shown_values(best, study)[searched.path]}.",
        f"{searched.path}{scale}",
        _axis(settings),
    )
    figure.add_scatter(
        x=[each.params[searched.path] for each in complete],
        y=[each.value for each in complete],
        text=_texts(complete, study),
        mode="markers",
        name="complete trials",
        marker={
            "color": [each.number for each in complete],
            "colorscale": "Cividis",
            "size": 9,
            "colorbar": {"title": {"text": "trial"}, "dtick": _whole_ticks(len(study.trials)), "tick0": 0},
        },
        showlegend=False,
    )
    figure.add_scatter(
        x=[best.params[searched.path]],
        y=[best.value],
        mode="markers",
        name=f"the best: trial {best.number}",
        marker={"color": "rgba(0,0,0,0)", "size": 17, "line": {"color": _VERMILLION, "width": 3}},
        hoverinfo="skip",
    )
    if searched.kind == "choices":
        labels = list(searched.labels)
        figure.update_xaxes(
            type="category", categoryorder="array", categoryarray=labels, range=[-0.5, len(labels) - 0.5]
        )
    elif searched.range.log:
        ticks = _log_ticks(*searched.range.bounds)
        figure.update_xaxes(type="log", tickvals=ticks, ticktext=[f"{tick:g}" for tick in ticks])
    return figure


def _whole_ticks(count: int) -> int:
    """Return the distance of ticks over numbers 0 .. count that has at most ten of them: 1, 2 or 5 times 10^k."""
    sizes = [size * int(10**k) for k in range(9) for size in (1, 2, 5)]
    return next(size for size in sizes if count <= 10 * size)


def _log_ticks(low: float, high: float) -> list[float]:
    """Return 1, 2 and 5 times each power of ten between two numbers above 0."""
    powers = range(math.floor(math.log10(low)), math.floor(math.log10(high)) + 1)
    ticks = [float(f"{size}e{k}") for k in powers for size in (1, 2, 5)]
    return [tick for tick in ticks if low <= tick <= high]
