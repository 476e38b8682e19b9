"""From a raw log, or a table in memory, to a data set."""

import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from esmm_dist.api.call_settings import SettingsFile, call_settings
from esmm_dist.api.data_set import DataSet
from esmm_dist.api.known_ids import known_ids_fetched, stored_settings_like
from esmm_dist.api.shown_progress import shown_progress
from esmm_dist.api.task import run_task
from esmm_dist.errors import ConfigError, SchemaError
from esmm_dist.progress import Progress
from esmm_dist.schema.fields import GuessedSchema, Schema
from esmm_dist.schema.manifest import read_manifest
from esmm_dist.schema.sources import SPLITS, FlatSource
from esmm_dist.table_kinds import given_table, is_table
from preprocess.by_day import preprocess_by_day as preprocess_log_by_day
from preprocess.config import PreprocessConfig
from preprocess.run import preprocess as preprocess_log

T = TypeVar("T")


def preprocess(
    raw: Any,
    out: str | os.PathLike[str],
    *,
    schema: Schema | GuessedSchema | str | os.PathLike[str] | None = None,
    config: SettingsFile = None,
    progress: Progress | bool = False,
    **settings: Any,
) -> DataSet:
    """Turn a raw log into a data set, as ``esmm preprocess RAW OUT``; continues what was interrupted.

    Blocks until it is done. Ctrl-C in the main thread ends it; the same call goes on where it was. Work in several
    processes (a large log, or ``workers``) is started as Python's ``spawn`` does: a script calls this below
    ``if __name__ == "__main__":``.

    Args:
        raw: folder or URI of the raw log; or a table (pandas, polars, Arrow), or tables by split:
            ``{"train": ..., "test": ...}``, which are written as Parquet to a temporary folder meanwhile
        out: folder or URI of the data set
        schema: a schema, the name of a shipped one, or the path of a schema file; None: that of ``like``
        config: settings in groups, as ``--config``
        progress: True for a line on stderr, or what receives the progress
        **settings: settings by the names of flags: ``min_count=5``, ``like="yesterday"``

    Raises:
        ConfigError: A setting is wrong, or ``out`` holds a data set of other settings or logs.
        EsmmError: Whatever preprocess raises.
    """
    if settings.get("by_day"):
        raise ConfigError("by_day makes a data set of each day. Call preprocess_by_day, which returns all of them.")
    with read_places(raw, schema, settings) as places:
        return _run({**settings, **places, "out": out}, config, progress, _one_data_set)


def preprocess_by_day(
    raw: Any,
    out: str | os.PathLike[str],
    *,
    schema: Schema | GuessedSchema | str | os.PathLike[str] | None = None,
    config: SettingsFile = None,
    progress: Progress | bool = False,
    **settings: Any,
) -> dict[str, DataSet]:
    """Make a data set of each calendar day of a log, as ``esmm preprocess --by-day``; else as ``preprocess``.

    Returns:
        The data sets by date, in their order.
    """
    with read_places(raw, schema, settings) as places:
        return _run({**settings, **places, "out": out, "by_day": True}, config, progress, _data_set_of_each_day)


def _one_data_set(settings: PreprocessConfig, progress: Progress) -> DataSet:
    return DataSet(path=str(settings.out), manifest=preprocess_log(settings, progress))


def _data_set_of_each_day(settings: PreprocessConfig, progress: Progress) -> dict[str, DataSet]:
    days = preprocess_log_by_day(settings, progress)
    return {day: DataSet(path=str(settings.out / day), manifest=manifest) for day, manifest in days.items()}


@contextmanager
def read_places(
    raw: Any, schema: Schema | GuessedSchema | str | os.PathLike[str] | None, settings: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yield the settings raw and schema, with files for the ``with`` block of what is in memory."""
    tables = _tables(raw)
    if isinstance(schema, GuessedSchema):
        schema = schema.schema
    with tempfile.TemporaryDirectory(prefix="esmm-table-") as scratch:
        if tables is not None:
            schema = _of_tables(schema if schema is not None else _like_schema(settings), tables)
            raw = _written(tables, Path(scratch) / "raw")
        if isinstance(schema, Schema):
            path = Path(scratch) / "schema.yaml"
            path.write_text(schema.to_yaml(), encoding="utf-8")
            schema = path
        yield {"raw": raw, **({} if schema is None else {"schema": schema})}


def _run(
    given: Mapping[str, Any],
    config: SettingsFile,
    progress: Progress | bool,
    work: Callable[[PreprocessConfig, Progress], T],
) -> T:
    named = call_settings(PreprocessConfig, given, config)
    earlier = stored_settings_like(named["like"]) if named.get("like") is not None else None
    values = call_settings(PreprocessConfig, given, config, earlier)
    if multiprocessing.current_process().daemon:
        values["workers"] = 1  # a process of a multiprocessing.Pool may start none

    def fetched_work(settings: PreprocessConfig, shown: Progress) -> T:
        with known_ids_fetched(settings, shown) as fetched:
            return work(fetched, shown)

    return run_task("preprocess", PreprocessConfig, values, shown_progress(progress), fetched_work)


def _tables(raw: Any) -> dict[str, Any] | None:
    """Return the tables by split; None if the log is in files."""
    if is_table(raw):
        return {"train": raw}
    if not isinstance(raw, Mapping):
        if isinstance(raw, (str, os.PathLike)):
            return None
        return {"train": raw}  # refused, with the kinds that are known
    unknown = [name for name in raw if name not in SPLITS]
    if unknown or not raw:
        raise ConfigError(f"raw has a table for {unknown or 'no split'}. Name splits: {', '.join(SPLITS)}.")
    return dict(raw)


def _like_schema(settings: Mapping[str, Any]) -> Schema:
    if settings.get("like") is None:
        raise ConfigError("schema is missing. Give schema=..., or like=DATA to use its schema.")
    return read_manifest(Path(settings["like"])).schema


def _of_tables(schema: Schema | str | os.PathLike[str], tables: Mapping[str, Any]) -> Schema:
    """Return a schema whose files are the tables, as ``_written`` names them."""
    if not isinstance(schema, Schema):
        schema = Schema.from_yaml(os.fspath(schema))
    source = schema.source
    if not isinstance(source, FlatSource):
        raise SchemaError(
            f"Schema '{schema.name}' has the form {source.form}, and a table in memory has one row an impression. Give "
            "a schema with source: {form: flat, ...}; Schema.from_table(table) guesses one."
        )
    split = source.split if "test" not in tables and "train" in tables else None
    return replace(schema, source=replace(source, files={name: f"{name}.parquet" for name in tables}, split=split))


def _written(tables: Mapping[str, Any], folder: Path) -> Path:
    """Write tables as Parquet; the same tables give the same files, so that work on them continues."""
    import pyarrow.parquet as pq

    folder.mkdir()
    for name, table in tables.items():
        path = folder / f"{name}.parquet"
        pq.write_table(given_table(table).table, path)
        os.utime(path, (0, 0))
    return folder
