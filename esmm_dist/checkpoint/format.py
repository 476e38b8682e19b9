"""The layout of a checkpoint.

::

    RUN/checkpoints/step-00000123/
        dense.npz                        dense weights and optimizer state, by name
        main-0000-2048.arrow             rows of table "main" of buckets [0, 2048): Arrow IPC file, ordered by id
        main-2048-4096.arrow             columns id, row[D], slots[S] (absent if S = 0), last_step, count
        manifest.json                    this file's CheckpointManifest: schema, settings, state, checksums

A checkpoint is written under a hidden temporary name, its ``manifest.json`` last, and renamed when all is on disk.
``crc32c``, the last member of ``manifest.json``, is the CRC-32C of the text (JSON, indented by 1) of all the others.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import google_crc32c

from esmm_dist.config import build, to_mapping
from esmm_dist.errors import CheckpointError
from esmm_dist.schema.fields import Schema

MANIFEST_NAME = "manifest.json"
DENSE_NAME = "dense.npz"
FORMAT_VERSION = 1
_PREFIX = "step-"


@dataclass(frozen=True, kw_only=True)
class CheckpointFile:
    """One file of a checkpoint."""

    path: str
    """Relative to the checkpoint's folder."""
    file_bytes: int
    crc32c: int
    rows: int
    """Rows of an embedding table; 0 for the dense file."""
    table: str | None = None


@dataclass(frozen=True, kw_only=True)
class CheckpointManifest:
    """What one checkpoint holds."""

    step: int
    schema: Schema
    settings: dict[str, Any]
    """The run's resolved settings."""
    state: dict[str, Any]
    """What training continues from besides weights and rows."""
    metrics: dict[str, Any]
    """The newest evaluation at this step or before; empty if there was none."""
    files: tuple[CheckpointFile, ...]
    format: Literal["esmm_dist.checkpoint"] = "esmm_dist.checkpoint"
    format_version: int = FORMAT_VERSION

    def to_json(self) -> str:
        """Return the text of ``manifest.json``."""
        mapping = to_mapping(self)
        return json.dumps({**mapping, "crc32c": _crc32c(mapping)}, indent=1) + "\n"


def checkpoints_folder(run: Path) -> Path:
    """Return the folder of a run's checkpoints."""
    return run / "checkpoints"


def folder_name(step: int) -> str:
    """Return the name of the checkpoint of a step."""
    return f"{_PREFIX}{step:08d}"


def step_of(folder: Path) -> int:
    """Return the step that a checkpoint's folder is named after."""
    return int(folder.name.removeprefix(_PREFIX))


def checkpoint_folders(run: Path) -> list[Path]:
    """Return the run's checkpoints, newest first; unfinished ones are not among them."""
    folder = checkpoints_folder(run)
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if path.name.startswith(_PREFIX) and path.name[5:].isdigit()]
    return sorted(found, key=step_of, reverse=True)


def read_checkpoint_manifest(folder: Path) -> CheckpointManifest:
    """Read the manifest of one checkpoint.

    Raises:
        CheckpointError: It is missing, damaged or of another version.
    """
    path = folder / MANIFEST_NAME
    try:
        mapping = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as e:
        raise CheckpointError(f"{path} cannot be read ({e}).") from e
    if not isinstance(mapping, dict) or mapping.get("format") != "esmm_dist.checkpoint":
        raise CheckpointError(f"{path} is not the manifest of a checkpoint.")
    if mapping.get("format_version") != FORMAT_VERSION:
        raise CheckpointError(f"{path} has format version {mapping.get('format_version')}, not {FORMAT_VERSION}.")
    if mapping.pop("crc32c", None) != _crc32c(mapping):
        raise CheckpointError(f"{path} has another checksum than the one it ends with: its bytes changed.")
    return build(CheckpointManifest, mapping, where=str(path), error=CheckpointError)


def _crc32c(mapping: dict[str, Any]) -> int:
    return int(google_crc32c.value(json.dumps(mapping, indent=1).encode()))
