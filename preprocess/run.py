"""``preprocess``: the stages in their order, from raw logs to a finished data set."""

from pathlib import Path

from esmm_dist.errors import SchemaError
from esmm_dist.process.system_refusal import refusals_named
from esmm_dist.progress import Progress
from esmm_dist.schema import load_schema
from esmm_dist.schema.fields import Schema
from esmm_dist.schema.manifest import MANIFEST_NAME, DatasetManifest, read_manifest
from esmm_dist.schema.sources import AliCcpSource
from esmm_dist.storage.whole_file import sync_tree, write_durable
from preprocess.config import PreprocessConfig
from preprocess.finished import find_finished
from preprocess.join.known import KnownIds
from preprocess.plan import make_plan
from preprocess.read.chunks import CHUNK_BYTES
from preprocess.read.inputs import InputFile, absent_splits, find_inputs
from preprocess.read.known_inputs import look_at
from preprocess.read.raw_line import NUM_LABELS
from preprocess.read.sample_id_form import with_sample_id_form
from preprocess.report import report_lines
from preprocess.settings import deciding_settings, run_identity
from preprocess.stages import Stages
from preprocess.workers import open_pool
from preprocess.workspace import close_workspace, open_workspace
from preprocess.write.publish import FINAL_FOLDER, publish

_TEXT_PER_PACKED = {"plain": 1, "gz": 6, "tar.gz": 6, "parquet": 8}
"""Bytes of text for each byte of a file, about; a wrong guess costs time, not memory."""


def preprocess(config: PreprocessConfig, progress: Progress) -> DatasetManifest:
    """Turn raw logs into a data set; blocks until it is finished.

    A run that was killed continues where it was; a finished one returns at once, or makes the data set again if files
    of it are missing or damaged. ``config.like`` and ``config.vocabulary`` are local folders here: the command ``esmm
    preprocess`` fetches data sets from object stores, reads the ids of a run's rows, and takes over the settings of
    ``like``.

    Raises:
        ConfigError: The folder holds something else, or settings do not go together.
        SchemaError: The schema is unknown, wrong, or does not fit the log's columns.
        InputDataError: Logs are missing, damaged, or more lines are rejected than allowed.
        StackError: A worker process died.
        StorageError: The system refuses a file: no space, no right, too large.
    """
    schema = load_schema(config.schema) if config.schema is not None else _schema_like(config)
    check_schema(schema)
    known_from = config.vocabulary or config.like
    known = KnownIds.find(Path(known_from)) if known_from is not None else None
    files = find_inputs(config.raw, schema, needs_all=known is None)
    for split in absent_splits(files, schema):
        progress.message(f"The log has no {split} split, and the data set will have none.")
    schema = with_sample_id_form(schema, files)
    settings, raw = deciding_settings(config, known), look_at(files)
    manifest = find_finished(config, schema, settings, raw, progress)
    if manifest is not None:
        return manifest
    text_bytes = _text_bytes(files)
    plan = make_plan(
        memory_gb=config.memory_gb,
        workers=config.workers,
        text_bytes=sum(text_bytes.values()),
        split_bytes=max(text_bytes.values()),
    )
    identity = run_identity(settings, schema, raw, plan, CHUNK_BYTES)
    with refusals_named(config.out), open_workspace(config.out, identity, progress) as work:
        if not (work / MANIFEST_NAME).is_file():
            with open_pool(work, plan.workers) as pool:
                manifest = Stages(config, schema, files, raw, plan, settings, known, work, pool, progress).run()
            sync_tree(work / FINAL_FOLDER)
            write_durable(work / MANIFEST_NAME, manifest.to_json().encode())  # from here on only moves are left
        manifest = read_manifest(work)
        publish(work, config.out, manifest, raw)
        close_workspace(work)
    for line in report_lines(manifest.report):
        progress.message(line)
    return manifest


def _schema_like(config: PreprocessConfig) -> Schema:
    assert config.like is not None  # __post_init__ of the settings
    return read_manifest(Path(config.like)).schema


def _text_bytes(files: list[InputFile]) -> dict[str, int]:
    """Estimate the bytes of raw text of each split."""
    sizes: dict[str, int] = {}
    for path, file in {file.path: file for file in files}.items():
        sizes[file.split] = sizes.get(file.split, 0) + path.stat().st_size * _TEXT_PER_PACKED[file.packing]
    return sizes


def check_schema(schema: Schema) -> None:
    """Check what the code of this package asks of a schema.

    Raises:
        SchemaError: It asks for more.
    """
    if isinstance(schema.source, AliCcpSource) and len(schema.labels) != NUM_LABELS:
        raise SchemaError(
            f"Schema '{schema.name}' has {len(schema.labels)} labels {list(schema.labels)}, but the Ali-CCP form has "
            f"{NUM_LABELS} (click, conversion). Name two, or use source.form 'flat'."
        )
