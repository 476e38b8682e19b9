"""The statistics of a data set or a raw log, with the files that were asked for: what the command and Python share."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, fields

from esmm_dist.progress import Progress
from esmm_dist.report.data_statistics.config import StatsConfig
from esmm_dist.report.data_statistics.gather import data_statistics
from esmm_dist.report.data_statistics.statistics import DataStatistics
from esmm_dist.report.data_statistics.text import statistics_lines
from esmm_dist.report.page.places import check_places
from esmm_dist.reported import Reported


@dataclass(frozen=True, kw_only=True, repr=False)
class ReportedStatistics(Reported, DataStatistics):
    """Statistics that print as their report."""

    written: Sequence[str] = ()
    """What was written, a sentence each."""

    def lines(self) -> list[str]:
        """Return the report, a line each."""
        return [*statistics_lines(self), *([""] if self.written else []), *self.written]


def reported_statistics(config: StatsConfig, progress: Progress) -> ReportedStatistics:
    """Read a data set or a raw log, and write the page and the pictures that are asked for.

    Raises:
        InputDataError: There is no such data set or log, or it is damaged.
        SchemaError: A raw log's schema does not fit it.
        ConfigError: Where the page or the pictures are to go there is something else.
        OSError: The disk refuses the page or a picture.
    """
    check_places(config.html, config.png)
    found = data_statistics(config, progress)
    values = {each.name: getattr(found, each.name) for each in fields(found)}
    return ReportedStatistics(**values, written=_write(found, config))


def _write(statistics: DataStatistics, config: StatsConfig) -> list[str]:
    if config.html is None and config.png is None:
        return []
    from esmm_dist.report.data_page.page import data_page  # here: matplotlib takes a second
    from esmm_dist.report.page.writing import write_html, write_pngs
    from esmm_dist.words import short_bytes

    page, lines = data_page(statistics, _command_line(config)), []
    if config.html is not None:
        lines.append(f"Wrote {config.html} ({short_bytes(write_html(page, config.html))}).")
    if config.png is not None:
        lines.append(f"Wrote {len(write_pngs(page, config.png))} pictures to {config.png}.")
    return lines


def _command_line(config: StatsConfig) -> str:
    """Return the line that a page names: what chooses what is read, and where it goes."""
    options = {
        "--schema": config.schema,
        "--sample": config.sample if config.sample < 1 else None,
        "--html": config.html,
        "--png": config.png,
    }
    given = [str(text) for name, value in options.items() if value is not None for text in (name, value)]
    return shlex.join(["esmm", "stats", str(config.data), *given])
