"""Where a raw log is and which schema it has: the one that is given, one that lies beside it, or a guess."""

import glob
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from esmm_dist.errors import InputDataError, SchemaError
from esmm_dist.schema import load_schema
from esmm_dist.schema.fields import Schema
from esmm_dist.schema.manifest import MANIFEST_NAME
from esmm_dist.schema.sources import FlatSource
from preprocess.read.file_forms import is_json_lines, packing_of
from preprocess.read.file_patterns import matching_files
from preprocess.stages.parse_stage import SCHEMA_NAME

if TYPE_CHECKING:
    import pyarrow as pa

_GUESSED_ROWS = 50_000
_GUESSED_BYTES = 16 << 20
_ENDINGS = (
    ".parquet",
    *(text + packed for text in (".csv", ".tsv", ".jsonl", ".ndjson", ".json") for packed in ("", ".gz")),
)


@dataclass(frozen=True, kw_only=True)
class RawSource:
    """A log as preprocess takes it."""

    folder: Path
    schema: Schema
    """Its ``files`` are relative to ``folder``."""
    told: Sequence[str] = ()
    """What was found out, a sentence each."""


def raw_source(data: Path, schema: str | None) -> RawSource:
    """Return the folder and the schema of a raw log.

    Args:
        data: the raw folder; or a file of a flat log, or a folder of its parts
        schema: file or name of a schema; None: ``schema.yaml`` in the folder, or a guess from the rows of a flat log

    Raises:
        InputDataError: There is nothing.
        SchemaError: The schema is wrong, does not fit a single file, or cannot be guessed.
    """
    if not data.exists():
        raise InputDataError(f"{data} does not exist. Give a data set, or a raw log: its folder, or a file of it.")
    if (above := next((each for each in list(data.parents)[:2] if (each / MANIFEST_NAME).is_file()), None)) is not None:
        raise InputDataError(f"{data} is a part of the data set {above}. Give the data set: {above}")
    is_log = data.is_file() or data.name.endswith(_ENDINGS)
    beside = data / SCHEMA_NAME
    if schema is None and not is_log and beside.is_file():
        return RawSource(
            folder=data, schema=load_schema(str(beside)), told=(f"Using the schema of the log, {beside}.",)
        )
    if is_log:
        named = _named_alone(data)
        if schema is None:
            return _guessed(data.parent, {"train": named}, data)
        return RawSource(folder=data.parent, schema=_of_file(load_schema(schema), data, named))
    if schema is None:
        return _guessed(data, _patterns(data), data)
    return RawSource(folder=data, schema=load_schema(schema))


def _named_alone(data: Path) -> str:
    """Return the pattern that only one file matches."""
    if data.is_file():
        packing_of(data)
    return glob.escape(data.name)


def _of_file(schema: Schema, data: Path, named: str) -> Schema:
    """Return a schema that reads one file alone."""
    if not isinstance(schema.source, FlatSource):
        raise SchemaError(
            f"{data} is one file, and the log of schema '{schema.name}' has several that are joined (source.form: "
            f"{schema.source.form}). Give its folder."
        )
    return replace(schema, source=replace(schema.source, files={"train": named}))


def _patterns(folder: Path) -> dict[str, str]:
    """Return the files of a flat log whose schema is not known, by split.

    Raises:
        SchemaError: The folder holds none, or several kinds of files.
    """
    names = sorted(path.name for path in folder.iterdir())
    if any(name.startswith(("sample_skeleton_", "common_features_", "sample_train.")) for name in names):
        raise SchemaError(
            f"{folder} holds a log of the Ali-CCP form, and no {SCHEMA_NAME}. Name its schema: --schema aliccp-full "
            "(all fields), or aliccp."
        )
    days = [path for path in sorted(folder.iterdir()) if (path / MANIFEST_NAME).is_file()]
    if days:
        raise InputDataError(
            f"{folder} holds {len(days)} data sets, and one is looked at. Give one, such as {days[-1]}."
        )
    endings = {ending for name in names for ending in _ENDINGS if name.endswith(ending)}
    if len(endings) != 1:
        found = f"files of several kinds ({', '.join(sorted(endings))})" if endings else "neither a data set nor a log"
        raise SchemaError(
            f"{folder} holds {found}, so no schema is guessed. Give the schema of the log (--schema my-log.yaml), or "
            "one of its files."
        )
    (ending,) = endings
    of_splits = {split: f"*{split}*{ending}" for split in ("train", "validation", "test")}
    there = {split: pattern for split, pattern in of_splits.items() if list(folder.glob(pattern))}
    return there if {"train", "test"} <= there.keys() else {"train": f"*{ending}"}


def _guessed(folder: Path, files: dict[str, str], data: Path) -> RawSource:
    """Guess a schema from the first rows of a flat log."""
    first = matching_files(folder, files["train"])[0]
    try:
        guess = Schema.from_table(_first_rows(first))
    except SchemaError as e:
        raise SchemaError(
            f"{data} has no schema, and none can be guessed: {e} Or give one: --schema my-log.yaml"
        ) from e
    source = guess.schema.source
    assert isinstance(source, FlatSource)  # guesses are of flat logs
    source = replace(source, files=files, split=None if "test" in files else source.split)
    return RawSource(
        folder=folder,
        schema=replace(guess.schema, source=source),
        told=(
            *guess.lines(),
            f"Guessed from the first rows of {first}. To correct it, give a schema: --schema my-log.yaml",
        ),
    )


def _first_rows(path: Path) -> "pa.Table":
    """Return rows of a file, some ten thousand, as preprocess would read them.

    Raises:
        InputDataError: The file cannot be read.
    """
    import pyarrow as pa  # here: it takes a tenth of a second
    import pyarrow.csv
    import pyarrow.json
    import pyarrow.parquet as pq

    try:
        if packing_of(path) == "parquet":
            with pq.ParquetFile(path) as file:
                batches = file.iter_batches(batch_size=_GUESSED_ROWS)
                return pa.Table.from_batches([next(batches, pa.RecordBatch.from_pylist([], file.schema_arrow))])
        with pa.input_stream(str(path), compression="gzip" if path.name.endswith(".gz") else None) as stream:
            text = stream.read(_GUESSED_BYTES)
        text = text[: text.rfind(b"\n") + 1] or text
        if is_json_lines(path):
            return pyarrow.json.read_json(pa.BufferReader(text))
        separator = "\t" if ".tsv" in path.suffixes else ","
        options = pyarrow.csv.ParseOptions(delimiter=separator, invalid_row_handler=lambda row: "skip")
        return pyarrow.csv.read_csv(pa.BufferReader(text), parse_options=options)
    except (pa.ArrowException, OSError) as e:
        raise InputDataError(f"{path} cannot be read ({str(e).partition(chr(10))[0]}). Check the file.") from e
