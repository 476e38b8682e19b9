"""Names and numbers as the page of a data set shows them."""

import math

from esmm_dist.report.data_statistics.statistics import FieldStatistics
from esmm_dist.report.pictures.numbers_shown import percent
from esmm_dist.report.pictures.shown_text import cut_middle
from esmm_dist.words import in_words

_NAME_LETTERS = 28


def shown(name: str, letters: int = _NAME_LETTERS) -> str:
    """Return a name of a user's files, which may hold anything and have any length, as it is shown."""
    return cut_middle(name.strip(), letters) or "(no name)"


def field_name(field: FieldStatistics) -> str:
    """Return the name that a reader knows a field by."""
    return shown(field.alias or field.name)


def label_text(label: str, given: str | None) -> str:
    """Return a label, and what it is counted of if that is not every impression."""
    return shown(label) if given is None else f"{shown(label)} given {shown(given)}"


def listed(names: list[str], most: int = 5) -> str:
    """Return names as an enumeration that ends, if there are many, by how many are left out."""
    rest = len(names) - most
    return in_words(names) if rest <= 0 else f"{', '.join(names[:most])} and {rest:,} more"


def with_error(share: float, standard_error: float) -> str:
    """Return a share and its standard error, as percentages: ``9.97% ± 0.063%``."""
    text = percent(share, 2)
    return text if math.isnan(standard_error) else f"{text} ± {percent(standard_error, 2)}"


def ratio(part: float | None, of: float | None) -> float:
    """Return a share; nan if there is nothing to share, or it is not known."""
    return part / of if part is not None and of else math.nan


def plural(count: float, one: str) -> str:
    """Return a word as it follows a count."""
    return one if count == 1 else f"{one}s"
