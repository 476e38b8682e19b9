"""Look at a data set or a raw log."""

import os
from typing import Any

from esmm_dist.api.call_settings import SettingsFile, call_settings
from esmm_dist.api.shown_progress import shown_progress
from esmm_dist.api.task import run_task
from esmm_dist.progress import Progress
from esmm_dist.report.data_page.reported_statistics import ReportedStatistics, reported_statistics
from esmm_dist.report.data_statistics.config import StatsConfig


def stats(
    data: str | os.PathLike[str],
    schema: str | os.PathLike[str] | None = None,
    *,
    config: SettingsFile = None,
    progress: Progress | bool = False,
    **settings: Any,
) -> ReportedStatistics:
    """Return what is in a data set or a raw log, as ``esmm stats``: values, which print as the command's report.

    Args:
        data: what ``preprocess`` returned, or the folder or URI of a data set; with ``schema`` a raw log
        schema: schema of a raw log: its file, or the name of a shipped one; None: ``data`` is a data set
        config: settings in groups, as ``--config``
        progress: True for a line on stderr, or what receives the progress
        **settings: settings by the names of flags: ``html="data.html", sample=0.1``

    Raises:
        EsmmError: A setting is wrong, or the data are missing, damaged, or do not fit the schema.
    """
    given = {**settings, "data": data, **({} if schema is None else {"schema": schema})}
    values = call_settings(StatsConfig, given, config)
    return run_task("stats", StatsConfig, values, shown_progress(progress), reported_statistics)
