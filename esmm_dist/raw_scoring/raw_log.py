"""A raw log, opened for a model: its files, parts and columns."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import google_crc32c
import pyarrow as pa

from esmm_dist.config import to_mapping
from esmm_dist.errors import ConfigError
from esmm_dist.inference.kept_columns import check_names
from esmm_dist.inference.predict import PredictConfig
from esmm_dist.inference.table_format import CSV_ENDINGS
from esmm_dist.progress import Progress
from esmm_dist.ranks.world import World
from esmm_dist.raw_scoring.raw_files import ScoredFile, find_raw_files
from esmm_dist.raw_scoring.raw_index import FileIndex, RawPart, cut_parts, index_files
from esmm_dist.raw_scoring.raw_reader import RawReader
from esmm_dist.raw_scoring.row_batches import BATCH_ROWS
from esmm_dist.raw_scoring.scored_schema import ReadColumns, scored_schema
from esmm_dist.schema import load_schema
from esmm_dist.schema.fields import Schema
from esmm_dist.storage.folder import Folder
from esmm_dist.storage.uris import stored_uri
from preprocess.read.chunks import CHUNK_BYTES
from preprocess.read.flat.column_types import is_value, without_views


@dataclass(frozen=True, kw_only=True)
class RawLog:
    """A log whose rows are counted and whose columns are checked."""

    files: Sequence[ScoredFile]
    indices: Sequence[FileIndex]
    parts: Sequence[RawPart]
    """All rows in order"""
    reader: RawReader
    columns: ReadColumns
    types: pa.Schema
    """Columns of a file of scores"""

    @property
    def rows(self) -> int:
        """Rows of all parts, rejected ones among them."""
        return sum(part.rows for part in self.parts)

    def identity(self) -> dict[str, Any]:
        """Return plain values that decide, beside the model, the bytes of each part."""
        schema = json.dumps(to_mapping(self.columns.schema), sort_keys=True)
        return {
            "inputs": {
                file.shown_name: [index.file_bytes, index.crc32c]
                for file, index in zip(self.files, self.indices, strict=True)
            },
            "columns": {field.name: str(field.type) for field in self.types},
            "schema": google_crc32c.value(schema.encode()),
            "parts": [part.rows for part in self.parts],
            "batch_rows": BATCH_ROWS,
            "chunk_bytes": CHUNK_BYTES,
        }


def out_place(config: PredictConfig) -> Folder:
    """Return the place of the output, whose name says whether it is a file of scores or a folder of them."""
    return Folder.open(stored_uri(config.out) or config.out)


def open_log(config: PredictConfig, model: Schema, world: World, progress: Progress) -> RawLog:
    """Find the files of a raw log, check their columns and count their rows; a collective.

    Args:
        config: names the log and the columns to keep
        model: schema of the model
        world: the ranks
        progress: receives progress

    Raises:
        ConfigError: A column of ``keep`` cannot be written.
        SchemaError: The schema is not the model's, or a file does not fit it.
        InputDataError: A file is missing or cannot be read.
    """
    assert config.raw is not None
    schema = scored_schema(model, None if config.schema is None else load_schema(config.schema))
    check_names(config.keep, ["sample_id", *schema.label_tree.columns])
    files = find_raw_files(config.raw, schema, config.split)
    columns = ReadColumns(schema=schema, keep=config.keep)
    named = schema.flat_source.sample_id if schema.flat_source is not None else None
    if named is not None and RawReader(files, columns, CHUNK_BYTES).has(0, named):
        columns = ReadColumns(schema=schema, keep=config.keep, sample_id=named)
    reader = RawReader(files, columns, CHUNK_BYTES)
    found = [reader.types(place) for place in range(len(files))]
    header_lines = [reader.header_lines(place) for place in range(len(files))]
    indices = index_files(files, header_lines, CHUNK_BYTES, world, progress)
    return RawLog(
        files=files,
        indices=indices,
        parts=cut_parts(indices, config.part_rows),
        reader=reader,
        columns=columns,
        types=_written(config, columns, found[0]),
    )


def _written(config: PredictConfig, columns: ReadColumns, types: pa.Schema) -> pa.Schema:
    kept = [(name, without_views(types.field(name).type)) for name in config.keep]
    lists = [name for name, data_type in kept if not is_value(data_type)]
    if lists and out_place(config).name.endswith(CSV_ENDINGS):
        raise ConfigError(
            f"keep names column '{lists[0]}', which is {dict(kept)[lists[0]]}, and CSV holds one value a column. Leave "
            "it out, or write Parquet (--out scores.parquet)."
        )
    named = columns.sample_id is not None and columns.schema.has_text_sample_ids
    scores = [(name, pa.float32()) for name in columns.schema.label_tree.columns]
    return pa.schema([("sample_id", pa.string() if named else pa.int64()), *kept, *scores])
