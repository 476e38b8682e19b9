"""Settings of runs as tables: those that are not the default, and those that differ between runs."""

from collections.abc import Mapping, Sequence
from typing import Any

from esmm_dist.config import to_mapping
from esmm_dist.report.page.blocks import PageTable
from esmm_dist.report.pictures.shown_text import cut_middle
from esmm_dist.report.run_history.course import RunCourse
from esmm_dist.train.config import TrainConfig

_MOST_VALUE = 80
_PLACES = ("data", "run")
"""Settings that say where things are: facts of the page show them."""
_NONE = "–"


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings by dotted names; lists and mappings of names stay values."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping) and not prefix:
            found |= flat(value, f"{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found


def default_settings() -> dict[str, Any]:
    """Return the default of each setting of a training by its dotted name."""
    return flat(to_mapping(TrainConfig(data="data", run="run")))  # type: ignore[arg-type]


def settings_table(course: RunCourse) -> PageTable | None:
    """Return the settings of one run that are not the default; None if its settings are not known."""
    if course.settings is None:
        return None
    defaults, chosen = default_settings(), set(course.data_sets[-1].chosen) if course.data_sets else set()
    rows = []
    for name, value in flat(course.settings).items():
        if name in _PLACES or name not in defaults or value == defaults[name]:
            continue
        by = "by the training" if name in chosen else "given"
        rows.append([name, setting_text(value), setting_text(defaults[name]), by])
    return PageTable(
        title=_count(len(rows), "is", "are", " not the default") if rows else "All settings are the default.",
        head=["setting", "value", "default", "chosen"],
        rows=rows,
        text_columns=(0, 1, 2, 3),
        how_to_read="Settings whose default is None are chosen by the training, from the data, unless they are given.",
    )


def differing_table(courses: Sequence[RunCourse]) -> PageTable | None:
    """Return the settings that differ between runs; None if fewer than two say their settings."""
    known = [each for each in courses if each.settings is not None]
    if len(known) < 2:
        return None
    by_run = [flat(each.settings or {}) for each in known]
    names = list(dict.fromkeys(name for each in by_run for name in each if name != "run"))
    rows = []
    for name in names:
        values = [setting_text(each[name]) if name in each else _NONE for each in by_run]
        if len(set(values)) > 1:
            rows.append([name, *values])
    return PageTable(
        title=_count(len(rows), "differs", "differ", " between the runs")
        if rows
        else "The runs have the same settings.",
        head=["setting", *(cut_middle(each.label) for each in known)],
        rows=rows,
        text_columns=tuple(range(len(known) + 1)),
        how_to_read="A dash is a setting that the release of that run did not have.",
    )


def _count(count: int, one: str, several: str, what: str) -> str:
    return f"{count} setting{'s' if count > 1 else ''} {several if count > 1 else one}{what}."


def setting_text(value: Any) -> str:
    """Return a value as a cell of a table."""
    if isinstance(value, (list, tuple)):
        return cut_middle("[" + ", ".join(str(each) for each in value) + "]", _MOST_VALUE)
    if isinstance(value, bool):
        return str(value).lower()
    return cut_middle(str(value), _MOST_VALUE)
