"""Ids that are kept however rare they are in this log: those of an earlier data set, or of the rows of a model.

They come as files in a folder, which may be a data set's:

- ``vocabulary.parquet``: ids by field, with the train impressions that held them. These count here too, so that
  ``min_count`` is over both logs.
- ``rare_ids.parquet``: ids by field that too few train impressions held. They count here too, and are kept only if both
  logs together reach ``min_count`` and this one holds them. Data sets from before there was this file have none.
- ``known_ids.parquet`` (``table``, ``feature_id``): ids by embedding table: the rows of a model, which do not say whose
  field an id is. Such an id is kept in every field of its table.

Both are read a batch at a time and handed to the merge of the counts in the same buckets as the counts of this log.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from esmm_dist.arrays import I64
from esmm_dist.errors import ConfigError
from esmm_dist.hashing import mix64
from esmm_dist.schema.checksum import file_crc32c
from esmm_dist.schema.fields import Schema
from esmm_dist.storage.arrow_path import arrow_path
from preprocess.join.vocabulary import RARE_IDS_NAME, VOCABULARY_NAME
from preprocess.read.feature_rows import index_dtype, splits_of
from preprocess.read.input_texts import reading
from preprocess.work.blocks import Column, write_blocks
from preprocess.work.workers import Result

Scope = Literal["field", "table", "count"]
"""Ids that are kept in a field, those that are kept in all fields of a table, and those of a field that only count."""

KNOWN_IDS_NAME = "known_ids.parquet"
_BATCH_ROWS = 1 << 20  # 17 MB, and as much again while it is put in order
_KEPT: dict[Scope, str] = {"field": VOCABULARY_NAME, "table": KNOWN_IDS_NAME}
_COLUMN: dict[Scope, str] = {"field": "field", "table": "table", "count": "field"}


@dataclass(frozen=True, kw_only=True)
class KnownIds:
    """A folder with some of the files."""

    folder: Path
    counts_folder: Path | None = None
    """Data set whose counts are added where the folder has none, which are then all that it is asked for."""

    @classmethod
    def find(cls, folder: Path, counts_folder: Path | None = None) -> "KnownIds":
        """Look for the files.

        Args:
            folder: folder with the ids that are kept
            counts_folder: data set whose counts are added where the folder has none, as the rows of a model have

        Raises:
            ConfigError: The folder has no ids.
        """
        known = cls(folder=folder, counts_folder=counts_folder)
        if not known.paths:
            raise ConfigError(
                f"{folder} is not a data set: it holds no {VOCABULARY_NAME}. Give the folder that esmm preprocess "
                "wrote, or a run (--vocabulary RUN)."
            )
        return known

    @property
    def paths(self) -> dict[Scope, Path]:
        """The files of ids that are kept."""
        found = {scope: self.folder / name for scope, name in _KEPT.items()}
        return {scope: path for scope, path in found.items() if path.is_file()}

    @property
    def counts(self) -> tuple[Path, ...]:
        """The files of ids whose counts are added, and which are not kept for being there."""
        found = [self.folder / RARE_IDS_NAME]
        if "field" not in self.paths and self.counts_folder is not None:
            found = [self.counts_folder / name for name in (VOCABULARY_NAME, RARE_IDS_NAME)]
        return tuple(path for path in found if path.is_file())

    def checksums(self) -> dict[str, int]:
        """Return the CRC-32C of each file, by its name: what decides the bytes of a data set."""
        return {path.name: file_crc32c(path) for path in (*self.paths.values(), *self.counts)}


def write_known_ids(path: Path, batches: Iterable[tuple[str, I64]]) -> int:
    """Write ``known_ids.parquet``; return the number of ids.

    Args:
        path: file to write
        batches: name of the table and ids int64 [N] of its rows; no id twice in a table
    """
    schema = pa.schema([("table", pa.dictionary(pa.int32(), pa.string())), ("feature_id", pa.int64())])
    written = 0
    with pq.ParquetWriter(arrow_path(path), schema, compression="zstd") as writer:
        for table, ids in batches:
            names = pa.DictionaryArray.from_arrays(pa.array(np.zeros(len(ids), np.int32)), pa.array([table]))
            writer.write_table(pa.table([names, pa.array(ids)], schema=schema))
            written += len(ids)
    return written


def scatter_known(work: Path, known: KnownIds, schema: Schema, buckets: int) -> Result:
    """Write the known ids into ``buckets`` as the counts of this log are, so that the merge finds them there.

    Returns:
        ``blocks``: for each scope the number of block files; ``unused``: fields and tables that the schema lacks.

    Raises:
        ConfigError: The schema has none of their fields and tables.
        InputDataError: A file cannot be read.
    """
    blocks: dict[Scope, int] = {"field": 0, "table": 0, "count": 0}
    unused: set[str] = set()
    used = 0
    of_counts: list[tuple[Scope, Path]] = [("count", path) for path in known.counts]
    for scope, path in (*known.paths.items(), *of_counts):
        numbers = _numbers(scope, schema)
        for name, ids, counts in _batches(path, scope):
            if name not in numbers:
                unused.add(f"{_COLUMN[scope]} {name}")
                continue
            used += len(ids)
            _write(known_path(work, scope, blocks[scope]), numbers[name], ids, counts, buckets)
            blocks[scope] += 1
    if unused and not used:
        raise ConfigError(
            f"{known.folder} holds ids of {', '.join(sorted(unused))}, and schema '{schema.name}' has none of these. "
            "Give a data set or a run of the same schema."
        )
    return {"blocks": blocks, "unused": sorted(unused)}


def known_path(work: Path, scope: Scope, number: int) -> Path:
    """Return where a block file stands: ``field`` (scope table: number of the table), ``id``, ``count``."""
    return work / "counts" / f"known-{scope}-{number:05d}.counts"


def known_paths(work: Path, scope: Scope, blocks: Mapping[str, int]) -> list[Path]:
    """Return all block files of a scope."""
    return [known_path(work, scope, number) for number in range(blocks.get(scope, 0))]


def _numbers(scope: Scope, schema: Schema) -> dict[str, int]:
    names = list(schema.tables) if scope == "table" else [field.name for field in schema.fields]
    return {name: number for number, name in enumerate(names)}


def _batches(path: Path, scope: Scope) -> Iterator[tuple[str, I64, I64]]:
    """Yield (name, ids, counts) of one field or table at a time."""
    column = _COLUMN[scope]
    with reading(path), pq.ParquetFile(arrow_path(path)) as file:
        for batch in file.iter_batches(_BATCH_ROWS):
            batch.validate(full=True)
            names = batch.column(column)
            names = names if pa.types.is_dictionary(names.type) else names.dictionary_encode()
            ids = np.asarray(batch.column("feature_id"))
            counts = np.zeros(len(ids), np.int64) if scope == "table" else np.asarray(batch.column("count"))
            codes = np.asarray(names.indices)
            for code in np.unique(codes).tolist():
                of_name = codes == code
                yield names.dictionary[code].as_py(), ids[of_name], counts[of_name]


def _write(path: Path, number: int, ids: I64, counts: I64, buckets: int) -> None:
    bucket = (mix64(ids.astype(np.uint64)) % np.uint64(buckets)).astype(index_dtype(buckets))
    order = np.argsort(bucket, kind="stable")
    splits = splits_of(np.bincount(bucket, minlength=buckets))
    write_blocks(
        path,
        {
            "field": Column(data=np.full(len(ids), number, index_dtype(number + 1)), splits=splits),
            "id": Column(data=ids[order], splits=splits),
            "count": Column(data=counts[order], splits=splits),
        },
    )
