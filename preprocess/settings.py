"""What decides the bytes of a data set: settings, schema and inputs; and how to tell two runs apart."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from esmm_dist.config import to_mapping
from esmm_dist.errors import ConfigError
from esmm_dist.schema.differences import schema_differences
from esmm_dist.schema.fields import Schema
from esmm_dist.schema.manifest import DatasetManifest
from preprocess.config import PreprocessConfig
from preprocess.inputs import InputFile
from preprocess.known import KnownIds
from preprocess.layout import LAYOUT_SETTINGS, choose_layout
from preprocess.plan import Plan

_DECIDING = (*LAYOUT_SETTINGS, "seed", "compression", "shard_bytes")
_LAYOUT_VERSION = 2  # of the files in .work; another one means that an older program began the run


def deciding_settings(
    config: PreprocessConfig, files: Sequence[InputFile], known: KnownIds | None = None
) -> dict[str, Any]:
    """Return the settings and inputs that decide the bytes; those that the log decides may be None.

    The manifest keeps them with what was chosen.
    """
    settings = {name: getattr(config, name) for name in _DECIDING}
    if known is not None:
        settings["known_ids_crc32c"] = known.checksums()
    return {**settings, "inputs": {path.name: path.stat().st_size for path in _paths(files)}}


def settings_like(manifest: DatasetManifest) -> dict[str, Any]:
    """Return the settings of a data set that another one takes over (``--like``)."""
    return {name: manifest.settings[name] for name in _DECIDING if name in manifest.settings}


def run_identity(
    settings: Mapping[str, Any], schema: Schema, files: Sequence[InputFile], plan: Plan, chunk_bytes: int
) -> dict[str, Any]:
    """Return what must be equal for a run to continue another one's work."""
    return {
        "layout_version": _LAYOUT_VERSION,
        "settings": dict(settings),
        "schema": to_mapping(schema),
        "changed_ns": {path.name: path.stat().st_mtime_ns for path in _paths(files)},
        "partitions": plan.partitions,
        "chunk_bytes": chunk_bytes,
    }


def check_same(out: Path, manifest: DatasetManifest, settings: Mapping[str, Any], schema: Schema) -> None:
    """Raise if a finished data set was made with other settings.

    Raises:
        ConfigError: With the settings that differ.
    """
    train = manifest.splits.get("train")
    layout = choose_layout(settings, train.impressions if train is not None else 0)
    before, now = _flat(manifest.settings), _flat({**settings, **layout.settings})
    differences = [
        f"{name} was {before.get(name, 'absent')} and is now {now.get(name, 'absent')}"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]
    differences += [f"schema: {each}" for each in schema_differences(schema, manifest.schema)]
    if differences:
        raise ConfigError(
            f"{out} holds a finished data set of other settings: {'; '.join(differences)}. "
            "Give another folder, or delete this one."
        )


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    plain = {name: value for name, value in settings.items() if name != "inputs"}
    return {**plain, **{f"size of {name}": size for name, size in settings.get("inputs", {}).items()}}


def _paths(files: Sequence[InputFile]) -> list[Path]:
    return sorted({file.path for file in files})
