"""Look at a data set or a raw log."""

import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from esmm_dist.api.call_settings import SettingsFile, call_settings
from esmm_dist.api.datasets import read_places
from esmm_dist.api.shown_progress import shown_progress
from esmm_dist.api.task import run_task
from esmm_dist.errors import ConfigError
from esmm_dist.progress import Progress
from esmm_dist.report.data_page.reported_statistics import ReportedStatistics, reported_statistics
from esmm_dist.report.data_statistics.config import StatsConfig
from esmm_dist.schema.fields import GuessedSchema, Schema
from esmm_dist.table_kinds import is_table


def stats(
    data: Any,
    schema: Schema | GuessedSchema | str | os.PathLike[str] | None = None,
    *,
    config: SettingsFile = None,
    progress: Progress | bool = False,
    **settings: Any,
) -> ReportedStatistics:
    """Return what is in a data set or a raw log, as ``esmm stats``: values, which print as the command's report.

    Args:
        data: what ``preprocess`` returned, or the folder or URI of a data set or of a raw log; or a table (pandas,
            polars, Arrow), or tables by split, with ``schema``
        schema: schema of a raw log or of tables: a schema, its file, or the name of a shipped one; None: as the command
        config: settings in groups, as ``--config``
        progress: True for a line on stderr, or what receives the progress
        **settings: settings by the names of flags: ``html="data.html", sample=0.1``

    Raises:
        EsmmError: A setting is wrong, or the data are missing, damaged, or do not fit the schema.
    """
    in_memory = is_table(data) or isinstance(data, Mapping)
    if in_memory and schema is None:
        raise ConfigError("data is a table, and schema is missing. Give one; Schema.from_table(table) guesses it.")
    with ExitStack() as files:
        places: dict[str, Any] = {"raw": data}
        if in_memory or schema is not None:
            places = files.enter_context(read_places(data, schema, settings))
        given = {**settings, "data": places.pop("raw"), **places}
        values = call_settings(StatsConfig, given, config)
        found = run_task("stats", StatsConfig, values, shown_progress(progress), reported_statistics)
    return replace(found, source="a table") if in_memory else found
