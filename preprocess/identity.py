"""What identifies a data set and a run: the settings, the schema and the inputs that decide the bytes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from esmm_dist.errors import ConfigError
from esmm_dist.progress import Progress
from esmm_dist.schema.differences import deciding_mapping, schema_differences
from esmm_dist.schema.edges import with_edges_of
from esmm_dist.schema.fields import Schema
from esmm_dist.schema.manifest import DatasetManifest
from preprocess.config import DECIDING, DECIDING_DAYS, PreprocessConfig
from preprocess.join.known_ids import KnownIds
from preprocess.layout import choose_layout
from preprocess.memory_plan import MemoryPlan
from preprocess.read.raw_files import RawFile, input_differences

INPUTS = "inputs"
"""Name of the raw files among the settings of a manifest."""

_LAYOUT_VERSION = 7  # of the files in .work; another one means that an older program began the run


def deciding_settings(config: PreprocessConfig, known: KnownIds | None = None) -> dict[str, Any]:
    """Return the settings that decide the bytes; those that the log decides may be None.

    The manifest keeps them with what was chosen.
    """
    settings = {name: getattr(config, name) for name in DECIDING}
    # Data sets from before there were these, and without them, do not name them
    for name, without in (("validation_share", 0.0), ("keep_negatives", 1.0), ("open_window", "negative")):
        if settings[name] == without:
            del settings[name]
    if config.log_end is not None:  # of one log: not taken over
        settings["log_end"] = config.log_end
    settings |= {name: getattr(config, name) for name in DECIDING_DAYS if getattr(config, name)}
    if known is not None:
        settings["known_ids_crc32c"] = known.checksums()
    return settings


def settings_like(manifest: DatasetManifest) -> dict[str, Any]:
    """Return the settings of a data set that another one takes over (``--like``)."""
    return {name: manifest.settings[name] for name in DECIDING if name in manifest.settings}


def run_identity(
    settings: Mapping[str, Any], schema: Schema, raw: Mapping[str, RawFile], plan: MemoryPlan
) -> dict[str, Any]:
    """Return what must be equal for a run to continue another one's work."""
    return {
        "layout_version": _LAYOUT_VERSION,
        "settings": dict(settings),
        "schema": deciding_mapping(schema),
        "inputs": {name: [file.file_bytes, file.changed_ns] for name, file in raw.items()},
        "partitions": plan.partitions,
        "chunk_bytes": plan.chunk_bytes,
    }


def check_same(
    out: Path,
    manifest: DatasetManifest,
    settings: Mapping[str, Any],
    schema: Schema,
    raw: Mapping[str, RawFile] | None,
    progress: Progress,
) -> None:
    """Raise if a finished data set was made with other settings or of other logs.

    Args:
        out: folder of the data set
        manifest: its manifest
        settings: settings that decide the bytes
        schema: schema of the log
        raw: the raw files; None: they are not compared
        progress: receives the bytes that are read to compare files

    Raises:
        ConfigError: With what differs.
    """
    train = manifest.splits.get("train")
    layout = choose_layout(settings, train.impressions if train is not None else 0)
    before = {name: value for name, value in manifest.settings.items() if name != INPUTS}
    now = {**settings, **layout.settings}
    differences = [
        f"{name} was {before.get(name, 'absent')} and is now {now.get(name, 'absent')}"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]
    differences += [
        f"schema: {each}" for each in schema_differences(with_edges_of(schema, manifest.schema), manifest.schema)
    ]
    if raw is not None:
        differences += input_differences(out, raw, manifest.settings.get(INPUTS, {}), progress)
    if differences:
        raise ConfigError(
            f"{out} holds a finished data set made with other settings or logs: {'; '.join(differences)}. "
            "Give another folder, or delete this one."
        )
