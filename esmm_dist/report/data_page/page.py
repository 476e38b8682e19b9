"""The page of a data set or of a raw log."""

from collections.abc import Sequence

from esmm_dist.report.data_page.days import day_section
from esmm_dist.report.data_page.fields import field_section
from esmm_dist.report.data_page.funnel import funnel_section
from esmm_dist.report.data_page.id_frequency import id_section
from esmm_dist.report.data_page.list_lengths import list_section
from esmm_dist.report.data_page.numeric_fields import numeric_section
from esmm_dist.report.data_page.overview import overview_section, page_facts
from esmm_dist.report.data_page.provenance import provenance_section
from esmm_dist.report.data_page.users import user_section
from esmm_dist.report.data_statistics.statistics import DataStatistics
from esmm_dist.report.page.blocks import Page, Section
from esmm_dist.report.pictures.shown_text import cut, cut_middle


def data_page(statistics: DataStatistics, command: str = "") -> Page:
    """Return the page.

    Args:
        statistics: the numbers
        command: command line that made the page, which it names; empty: it names none
    """
    name = cut_middle("/".join(statistics.source.rstrip("/").split("/")[-2:]), 60)
    return Page(
        title=f"Data of {name}",
        subtitle=f"{statistics.source_kind.capitalize()} {cut_middle(statistics.source, 120)}, schema "
        f"{cut(statistics.schema, 60)}",
        facts=page_facts(statistics),
        sections=data_sections(statistics, command),
    )


def data_sections(statistics: DataStatistics, command: str = "") -> Sequence[Section]:
    """Return the pictures and tables of a data set or raw log."""
    sections = [
        overview_section(statistics),
        funnel_section(statistics),
        day_section(statistics),
        field_section(statistics),
        list_section(statistics),
        id_section(statistics),
        user_section(statistics),
        numeric_section(statistics),
        provenance_section(statistics, command),
    ]
    return [each for each in sections if each is not None]
