"""``preprocess``: the stages in their order, from raw logs to a finished data set."""

from pathlib import Path

from esmm_dist.errors import ConfigError
from esmm_dist.process.system_refusal import refusals_named
from esmm_dist.progress import Progress
from esmm_dist.schema import load_schema
from esmm_dist.schema.edges import with_edges_of
from esmm_dist.schema.fields import Schema
from esmm_dist.schema.manifest import MANIFEST_NAME, DatasetManifest, read_manifest
from esmm_dist.storage.whole_file import sync_tree, write_durable
from preprocess.config import Inspection, PreprocessConfig
from preprocess.day_settings import cut_splits
from preprocess.finished import find_finished
from preprocess.identity import deciding_settings, run_identity
from preprocess.join.known_ids import KnownIds
from preprocess.layout import choose_layout
from preprocess.memory_plan import plan_memory
from preprocess.read.flat.first_values import check_hours, with_sample_id_form
from preprocess.read.inputs import absent_splits, find_inputs, text_bytes
from preprocess.read.raw_files import look_at
from preprocess.report import report_lines
from preprocess.stages.context import RunContext
from preprocess.stages.describe import describe_data_set, make_report
from preprocess.stages.edges_stage import with_edges
from preprocess.stages.events_stage import find_events, join_events
from preprocess.stages.merge_stage import merge_rows
from preprocess.stages.parse_stage import parse_log, with_filled_splits
from preprocess.stages.records_stage import encode_records
from preprocess.stages.reject_stage import reject_repeats
from preprocess.stages.shards_stage import write_shards
from preprocess.stages.vocabulary_stage import make_vocabulary
from preprocess.work.folder import FINAL_FOLDER, close_workspace, open_workspace
from preprocess.work.workers import open_pool
from preprocess.write.publish import publish


def preprocess(config: PreprocessConfig, progress: Progress, inspection: Inspection | None = None) -> DatasetManifest:
    """Turn raw logs into a data set; blocks until it is finished.

    A run that was killed continues where it was; a finished one returns at once, or makes the data set again if files
    of it are missing or damaged. ``config.like`` and ``config.vocabulary`` are local folders here: the command ``esmm
    preprocess`` fetches data sets from object stores, reads the ids of a run's rows, and takes over the settings of
    ``like``.

    Args:
        config: settings
        progress: receives progress
        inspection: how a log is read that is only looked at: all ids of all splits are kept, and a split that the
            schema names may be missing. None: a data set is made to train on

    Raises:
        ConfigError: The folder holds something else, or settings do not go together.
        SchemaError: The schema is unknown, wrong, or does not fit the log's columns.
        InputDataError: Logs are missing, damaged, or more lines are rejected than allowed.
        StackError: A worker process died.
        StorageError: The system refuses a file: no space, no right, too large.
    """
    if config.by_day:
        raise ConfigError("by_day makes several data sets: preprocess.by_day.preprocess_by_day does.")
    schema = schema_of(config)
    known = known_ids(config)
    by_days = cut_splits(vars(config), schema)
    files = find_inputs(
        config.raw,
        schema,
        needs_all=known is None and inspection is None,
        validation_share=config.validation_share,
        by_days=by_days,
    )
    for split in absent_splits(files, schema):
        progress.message(f"The log has no {split} split, so the data set will have none.")
    schema = with_sample_id_form(schema, files)
    check_hours(schema, files)
    events = find_events(config, schema, files, needs_all=known is None)
    settings, raw = deciding_settings(config, known), look_at([*files, *events])
    settings |= {} if inspection is None else inspection.differs
    manifest = find_finished(config, schema, settings, raw, progress)
    if manifest is not None:
        return manifest
    sizes = text_bytes([*files, *events])
    plan = plan_memory(
        memory_gb=config.memory_gb,
        workers=config.workers,
        text_bytes=sum(sizes.values()),
        split_bytes=max(sizes.values()) if not events else sum(sizes.values()),  # the join reads all in partitions
    )
    identity = run_identity(settings, schema, raw, plan)
    with refusals_named(config.out), open_workspace(config.out, identity, progress) as work:
        if not (work / MANIFEST_NAME).is_file():
            with open_pool(work, plan.workers) as pool:
                run = RunContext(
                    config=config,
                    inspection=inspection,
                    settings=settings,
                    schema=schema,
                    files=tuple(files),
                    event_files=tuple(events),
                    raw=raw,
                    cut_splits=by_days,
                    known=known,
                    plan=plan,
                    work=work,
                    pool=pool,
                    progress=progress,
                )
                manifest = run_stages(run)
            sync_tree(work / FINAL_FOLDER)
            write_durable(work / MANIFEST_NAME, manifest.to_json().encode())  # from here on only moves are left
        manifest = read_manifest(work)
        publish(work, config.out, manifest, raw)
        close_workspace(work)
    for line in report_lines(manifest.report):
        progress.message(line)
    return manifest


def run_stages(run: RunContext) -> DatasetManifest:
    """Do what is left to do; return the manifest of what then stands in ``work/final``."""
    run.make_folders()
    if run.config.validation_share and run.schema.flat_source is not None and run.schema.split_fields:
        names = ", ".join(field.name for field in run.schema.split_fields)
        run.progress.message(f"The validation split is cut out of train by {names}: a value is in one split.")
    events = join_events(run)
    run = with_edges(run)
    parsed = parse_log(run)
    run = with_filled_splits(run, parsed)
    files = merge_rows(run, parsed)
    accepted = reject_repeats(run, parsed.tables, files)
    layout = choose_layout(run.settings, accepted.train_impressions())
    for line in layout.lines():
        run.progress.message(line)
    vocabulary = make_vocabulary(run, parsed, files, layout.min_count)
    records = encode_records(run, parsed, files, layout.group_size)
    report = make_report(run, accepted, layout, vocabulary, records)
    if events is not None:
        report["events"] = events
    splits = {split: write_shards(run, split, records[split], layout.lanes) for split in run.splits}
    return describe_data_set(run, parsed, layout, report, splits)


def known_ids(config: PreprocessConfig) -> KnownIds | None:
    """Return the ids that are known: those of ``vocabulary``, else of ``like``, whose counts always count."""
    like = Path(config.like) if config.like is not None else None
    known_from = Path(config.vocabulary) if config.vocabulary is not None else like
    return KnownIds.find(known_from, like) if known_from is not None else None


def schema_of(config: PreprocessConfig) -> Schema:
    """Return the schema that the settings give, with the edges of the data set that is continued; or the latter's."""
    like = read_manifest(Path(config.like)).schema if config.like is not None else None
    if config.schema is None:
        assert like is not None  # __post_init__ of the settings
        return like
    schema = load_schema(config.schema)
    return schema if like is None else with_edges_of(schema, like)
