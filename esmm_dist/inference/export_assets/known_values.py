"""Values that a model knows, for examples: whose feature ids have a row.

A data set's vocabulary says the ids of each field, which is all that the Ali-CCP form needs. For a flat log neither
checkpoint nor vocabulary has the texts of ids; a text is known for certain when its hash has a row. So texts are tried:
the cells of the raw log, where it lies near the data set, and whole numbers, dates and the like.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from esmm_dist.arrays import Bools, Ids
from esmm_dist.inference.reached_data import ReachedData
from esmm_dist.inference.value_texts import likely_texts
from esmm_dist.schema.feature_id import feature_id, value_text
from esmm_dist.schema.fields import Field, Schema
from esmm_dist.storage.arrow_path import arrow_path

Knows = Mapping[str, Callable[[Ids], Bools]]
Values = dict[str, list[Any]]
"""Some values of each column that is a category, by its name: texts of a flat log, ids of the Ali-CCP form."""

_MOST = 4  # values of a field
_RAW_LINES = 500
_RAW_BYTES = 1 << 18
_RAW_FILES = 4  # of several kinds
_LEVELS = 4  # folders above the data set that are looked in
_FOLDERS = 200  # in each of them
_GUESSES = 20_000
_CELLS = re.compile(r'[,\t;|:"\r\n]+')


def known_values(schema: Schema, knows: Knows, data: ReachedData, ids_of_rows: Mapping[str, Ids]) -> Values:
    """Return up to four values of each category that the model knows; fewer, or none, where none was found.

    Args:
        schema: schema of the model
        knows: for each table which of ids int64 [N] have a row
        data: the data set, if it is within reach
        ids_of_rows: some ids of each table that have a row
    """
    if schema.flat_source is None:
        return _known_ids(schema, knows, data, ids_of_rows)
    found: Values = {field.name: [] for field in _categories(schema)}
    raw = list(dict.fromkeys(_raw_texts(data)))
    for field in _categories(schema):
        found[field.name] = _known_texts(field, knows, raw) or _known_texts(field, knows, _guesses())
    return found


def _categories(schema: Schema) -> list[Field]:
    return [field for field in schema.fields if field.is_column and field.is_category]


def _known_texts(field: Field, knows: Knows, texts: list[str]) -> list[str]:
    ids = [(text, feature_id(field.id_space, text)) for text in texts]
    present = [(text, id_) for text, id_ in ids if id_ is not None]
    if not present:
        return []
    has_row = knows[field.table](np.array([id_ for _, id_ in present], np.int64))
    known = (text for (text, _), has in zip(present, has_row.tolist(), strict=True) if has)
    by_id = {feature_id(field.id_space, text): text for text in known}  # "2" and "2.0" are one value
    return list(islice(by_id.values(), _MOST))


def _guesses() -> list[str]:
    plain = islice(likely_texts(), _GUESSES)
    named = (f"{letter}{number}" for letter in "abcdefghijklmnopqrstuvwxyz" for number in range(200))
    return [*chain(plain, named)]


def _raw_texts(data: ReachedData) -> Iterator[str]:
    """Yield texts from the raw log, if it lies near the data set, and all that could be one in a cell.

    One file of each kind is read, for only one kind of an event log's files has the fields. Names that differ in
    numbers alone are of one kind.
    """
    if data.manifest is None:
        return
    inputs: Mapping[str, Any] = data.manifest.settings.get("inputs") or {}
    places, read = list(_places(data.folder)), set[str]()
    for name, about in inputs.items():
        kind = re.sub("[0-9]+", "", name)
        if kind in read or len(read) == _RAW_FILES:
            continue
        for folder in places:
            path = folder / name
            try:
                if path.is_file() and path.stat().st_size == about["file_bytes"]:
                    yield from _cells(path)
                    read.add(kind)
                    break
            except (OSError, KeyError, TypeError, pa.ArrowException):
                continue


def _places(data: Path) -> Iterator[Path]:
    """Yield the folders that a raw log may lie in: those above the data set, and those in them.

    A pipeline's data set is WORK/days/DAY/data, and its log is in a folder beside WORK.
    """
    for above in data.resolve().parents[:_LEVELS]:
        yield above
        try:
            yield from islice((each for each in above.iterdir() if each.is_dir()), _FOLDERS)
        except OSError:
            continue


def _cells(path: Path) -> Iterator[str]:
    if path.suffix == ".parquet":
        with pq.ParquetFile(arrow_path(path)) as file:
            for batch in islice(file.iter_batches(_RAW_LINES), 1):
                for column in batch.columns:
                    yield from _flat(column.to_pylist())
        return
    with path.open("rb") as stream:
        head = stream.read(_RAW_BYTES).decode("utf-8", errors="replace")
    yield from chain.from_iterable(_CELLS.split(line) for line in head.split("\n")[:_RAW_LINES])


def _flat(value: Any) -> Iterator[str]:
    """Yield the texts in a value of Parquet, which may be a list, or an object with a name and a weight."""
    if isinstance(value, list | tuple):
        for each in value:
            yield from _flat(each)
    elif isinstance(value, dict):
        yield from _flat(list(value.values()))
    else:
        try:
            text = value_text(value)
        except TypeError:
            return
        if text is not None:
            yield text


def _known_ids(schema: Schema, knows: Knows, data: ReachedData, ids_of_rows: Mapping[str, Ids]) -> Values:
    vocabulary = _vocabulary_ids(data, {field.id_space for field in schema.fields})
    found: Values = {}
    for field in _categories(schema):
        ids = vocabulary.get(field.id_space, np.empty(0, np.int64))
        ids = ids[knows[field.table](ids)][:_MOST] if len(ids) else ids
        if not vocabulary:  # nothing tells of which field an id is
            ids = ids_of_rows[field.table][:_MOST]
        found[field.name] = ids.tolist()
    return found


def _vocabulary_ids(data: ReachedData, fields: set[str]) -> dict[str, Ids]:
    """Return the most frequent ids of each field, some of them without a row."""
    if data.manifest is None:
        return {}
    found: dict[str, Ids] = {}
    try:
        with pq.ParquetFile(arrow_path(data.folder / data.manifest.vocabulary_file)) as file:
            columns = ["field", "feature_id", "count"]
            for batch in file.iter_batches(1 << 18, columns=columns):
                names = np.asarray(batch.column("field").cast(pa.string()))
                ids, counts = np.asarray(batch.column("feature_id")), np.asarray(batch.column("count"))
                order = np.argsort(-counts, kind="stable")
                for name in fields - found.keys():
                    own = order[names[order] == name]
                    if len(own):
                        found[name] = ids[own[:100]]
    except (OSError, ValueError, KeyError):
        return {}
    return found
