"""``preprocess --by-day``: a data set of each calendar day of a log, each continuing the one before."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from esmm_dist.errors import ConfigError
from esmm_dist.process.system_refusal import refusals_named
from esmm_dist.progress import Progress
from esmm_dist.schema.fields import Schema
from esmm_dist.schema.manifest import MANIFEST_NAME, DatasetManifest, read_manifest
from preprocess.config import PreprocessConfig
from preprocess.day_settings import cut_splits
from preprocess.identity import INPUTS, check_same, deciding_settings, settings_like
from preprocess.memory_plan import plan_memory
from preprocess.read.day_cut import cut_of_days, no_impressions
from preprocess.read.days import day_shown
from preprocess.read.flat.day_scan import rows_of_days
from preprocess.read.inputs import InputFile, find_inputs, text_bytes
from preprocess.read.parse_job import ParseJob
from preprocess.read.raw_files import look_at
from preprocess.run import known_ids, preprocess, schema_of
from preprocess.work.workers import open_pool

_SCAN_NAME = ".days"


def preprocess_by_day(config: PreprocessConfig, progress: Progress) -> dict[str, DatasetManifest]:
    """Make a data set of each day that has impressions, in ``config.out``/2024-01-31 and so on; blocks until finished.

    The first one continues ``config.like``, if that is given, and each other one the day before it that has
    impressions. Settings that the log decides are those of the first. Run again, it continues where it was; when the
    log has grown, it adds the new days.

    Returns:
        The manifest of each day, by its date, in their order.

    Raises:
        ConfigError: The folder holds something else, or a day that the log has other impressions of; or settings do not
            go together.
        EsmmError: Whatever ``preprocess`` raises.
    """
    schema = schema_of(config)
    cut_splits(vars(config), schema)
    files = find_inputs(config.raw, schema, needs_all=False, validation_share=config.validation_share)
    files = [file for file in files if not file.is_cut]
    _check_folder(config.out)
    rows = _rows(config, schema, files, progress)
    progress.message(f"{len(rows)} days have impressions: {', '.join(_shown(rows))}.")
    found: dict[str, DatasetManifest] = {}
    for number, (day, count) in enumerate(rows.items(), 1):
        progress.message(f"{day} ({number} of {len(rows)}): {count:,} impressions")
        of_day = replace(config, by_day=False, days=day, out=config.out / day)
        if found:
            before = list(found)[-1]
            of_day = _continued(of_day, config.out / before, found[before])
        found[day] = _kept(of_day, files, count, progress) or preprocess(of_day, progress)
    return found


def _continued(config: PreprocessConfig, like: Path, manifest: DatasetManifest) -> PreprocessConfig:
    """Return the settings of a day that continues another one: what the log decides is as it was decided there."""
    chosen = settings_like(manifest)
    open_ones = {name: chosen[name] for name in ("min_count", "group_size", "lanes") if getattr(config, name) is None}
    return replace(config, like=str(like), vocabulary=None, **open_ones)


def _rows(config: PreprocessConfig, schema: Schema, files: Sequence[InputFile], progress: Progress) -> dict[str, int]:
    """Return the rows of each day, by its date, ascending."""
    work = config.out / _SCAN_NAME
    sizes = text_bytes(files)
    plan = plan_memory(
        memory_gb=config.memory_gb,
        workers=config.workers,
        text_bytes=sum(sizes.values()),
        split_bytes=max(sizes.values()),
    )
    job = ParseJob(
        work=work,
        schema=schema,
        partitions=plan.partitions,
        chunk_bytes=plan.chunk_bytes,
        piece_items=plan.piece_items,
    )
    with refusals_named(config.out):
        shutil.rmtree(work, ignore_errors=True)  # of a run that was killed
        work.mkdir(parents=True)
        try:
            with open_pool(work, plan.workers) as pool:
                rows = rows_of_days(job, files, pool, progress)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    choice = config.day_choice
    cut = cut_of_days(choice)
    here = {day_shown(day): rows[day] for day in sorted(rows) if cut.first <= day < cut.end}
    if not here:
        raise no_impressions(choice, sorted(rows))
    return here


def _kept(
    config: PreprocessConfig, files: Sequence[InputFile], rows: int, progress: Progress
) -> DatasetManifest | None:
    """Return the manifest of a day that is finished and that the log, which has other files now, has not changed.

    None: the day is not finished, or its files are those of now: ``preprocess`` compares them.

    Raises:
        ConfigError: The log has another number of impressions of that day than the data set.
    """
    if not (config.out / MANIFEST_NAME).is_file():
        return None
    manifest = read_manifest(config.out)
    sizes = {name: file.file_bytes for name, file in look_at(files).items()}
    recorded: Mapping[str, Any] = manifest.settings.get(INPUTS, {})
    if sizes == {name: file["file_bytes"] for name, file in recorded.items()}:
        return None
    check_same(config.out, manifest, deciding_settings(config, known_ids(config)), schema_of(config), None, progress)
    before = sum(sum(days.values()) for days in manifest.report["days"]["splits"].values())
    if before != rows:
        raise ConfigError(
            f"{config.out} holds a data set of {before:,} impressions of {config.days}, and the log has {rows:,} of "
            "that day now. Delete the folders of that day and of all later ones, and run the same command again; or "
            "give another folder."
        )
    progress.message(f"{config.out} already holds these {rows:,} impressions; nothing to do.")
    return manifest


def _check_folder(out: Path) -> None:
    """Check that a folder holds nothing but data sets of days."""
    if (out / MANIFEST_NAME).is_file():
        raise ConfigError(f"{out} holds a data set, and --by-day makes a folder of them. Give another folder.")
    others = [path.name for path in sorted(out.iterdir()) if not _is_day(path)] if out.is_dir() else []
    if others:
        raise ConfigError(
            f"{out} holds {others[0]}, and --by-day makes a folder of data sets alone. Give a new or an empty folder."
        )


def _is_day(path: Path) -> bool:
    name = path.name
    return name == _SCAN_NAME or (len(name) == 10 and name[:4].isdigit() and name[4] == name[7] == "-")


def _shown(days: Mapping[str, int]) -> list[str]:
    names = list(days)
    return names if len(names) <= 8 else [*names[:3], "...", names[-1]]
