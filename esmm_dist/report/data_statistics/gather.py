"""Compute the statistics of a data set or of a raw log."""

from esmm_dist.errors import ConfigError
from esmm_dist.progress import Progress
from esmm_dist.report.data_statistics.config import StatsConfig
from esmm_dist.report.data_statistics.data_set import data_set_statistics
from esmm_dist.report.data_statistics.raw_statistics import raw_log_statistics
from esmm_dist.report.data_statistics.statistics import DataStatistics
from esmm_dist.schema.manifest import MANIFEST_NAME, read_manifest


def data_statistics(config: StatsConfig, progress: Progress) -> DataStatistics:
    """Read a data set, or prepare a raw log and read that, once and in bounded memory.

    Raises:
        InputDataError: There is no such data set or log, or it is damaged.
        SchemaError: A raw log's schema does not fit it, or none can be guessed.
        ConfigError: A schema is given for a data set.
        StorageError: There is no room for what is made of a raw log.
    """
    if not (config.data / MANIFEST_NAME).is_file():
        return raw_log_statistics(config, progress)
    if config.schema is not None:
        raise ConfigError(
            f"{config.data} is a data set, which has its own schema, and schema is {config.schema}. Leave out schema."
        )
    return data_set_statistics(config.data, read_manifest(config.data), config, progress)
