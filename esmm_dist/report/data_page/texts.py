"""Names and numbers as the page of a data set shows them."""

import math

from esmm_dist.escaped import one_line
from esmm_dist.report.data_statistics.statistics import FieldStatistics
from esmm_dist.words import in_words

MOST_LETTERS = 28
"""Letters of a name that are shown: names come from a user's files and may have any length."""


def shown(name: str, letters: int = MOST_LETTERS) -> str:
    """Return a name in one line, its middle left out if it is long."""
    text = one_line(name).strip() or "(no name)"
    if len(text) <= letters:
        return text
    tail = letters // 4
    return f"{text[: letters - tail - 1]}…{text[-tail:]}"


def field_name(field: FieldStatistics) -> str:
    """Return the name that a reader knows a field by."""
    return shown(field.alias or field.name)


def listed(names: list[str], most: int = 5) -> str:
    """Return names as an enumeration that ends, if there are many, by how many are left out."""
    rest = len(names) - most
    return in_words(names) if rest <= 0 else f"{', '.join(names[:most])} and {rest:,} more"


def whole(count: float | None) -> str:
    """Return a count with its thousands apart; a dash for none."""
    return "–" if count is None or math.isnan(count) else f"{round(count):,}"


def percent(share: float | None) -> str:
    """Return a share as a percentage of three digits that is 0% and 100% only where the share is exactly that."""
    if share is None or math.isnan(share):
        return "–"
    value = 100 * share
    if value in (0, 100):
        return f"{value:.0f}%"
    if abs(value) < 0.001:
        return "<0.001%"
    if 99.95 <= value < 100:
        return f"{value:.2f}%" if value < 99.995 else ">99.99%"
    digits = 1 if abs(value) >= 9.995 else 2 if abs(value) >= 0.0995 else 3
    return f"{value:.{digits}f}%"


def with_error(share: float, standard_error: float) -> str:
    """Return a share and its standard error, as percentages."""
    if math.isnan(standard_error):
        return percent(share)
    return f"{percent(share)} ± {percent(standard_error)}"


def decimal(value: float | None) -> str:
    """Return a number with three digits; a dash for none."""
    if value is None or math.isnan(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 999.5 else f"{value:.3g}"


def ratio(part: float | None, whole_: float) -> float:
    """Return a share; nan if there is nothing to share."""
    return part / whole_ if part is not None and whole_ else math.nan
