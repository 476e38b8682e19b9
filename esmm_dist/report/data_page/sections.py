"""The sections of the page of a data set."""

from collections.abc import Sequence

from esmm_dist.report.data_statistics.statistics import DataStatistics
from esmm_dist.report.page.blocks import Section


def data_sections(statistics: DataStatistics) -> Sequence[Section]:
    """Return the pictures and tables of a data set or raw log."""
    raise NotImplementedError
