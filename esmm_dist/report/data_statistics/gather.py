"""Compute the statistics of a data set or of a raw log."""

from esmm_dist.progress import Progress
from esmm_dist.report.data_statistics.config import StatsConfig
from esmm_dist.report.data_statistics.data_set import data_set_statistics
from esmm_dist.report.data_statistics.statistics import DataStatistics
from esmm_dist.schema.manifest import read_manifest


def data_statistics(config: StatsConfig, progress: Progress) -> DataStatistics:
    """Read a data set, or prepare a raw log and read that, once and in bounded memory.

    Raises:
        InputDataError: There is no such data set or log, or it is damaged.
        SchemaError: A raw log's schema does not fit it.
    """
    if config.schema is not None:
        raise NotImplementedError
    return data_set_statistics(config.data, read_manifest(config.data), config, progress)
