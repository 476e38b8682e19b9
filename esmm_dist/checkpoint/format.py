"""The layout of a checkpoint; README.md says what holds for it.

::

    RUN/checkpoints/step-00000123/
        dense.npz                        dense weights and optimizer state, by name
        main-0000-2048.arrow             rows of table "main" of buckets [0, 2048); see esmm_dist.embedding.table_files
        main-2048-4096.arrow
        manifest.json                    this file's CheckpointManifest: schema, settings, state, checksums

On a local disk a checkpoint is written under a hidden temporary name, its ``manifest.json`` last, and renamed when all
is on disk. An object store has no rename: there it is written in place, and is no checkpoint until it has its manifest.
``crc32c``, the last member of ``manifest.json``, is the CRC-32C of the text (JSON, indented by 1) of all the others.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from esmm_dist.calibration.calibration import Calibration
from esmm_dist.config import build, to_mapping
from esmm_dist.embedding.table_files import TableFile
from esmm_dist.errors import CheckpointError
from esmm_dist.schema.checksum import mapping_crc32c
from esmm_dist.schema.fields import Schema
from esmm_dist.schema.stored import with_old_meaning
from esmm_dist.storage.folder import Folder, is_plain_name

MANIFEST_NAME = "manifest.json"
DENSE_NAME = "dense.npz"
FORMAT_VERSION = 2
_PREFIX = "step-"


@dataclass(frozen=True, kw_only=True)
class CheckpointFile:
    """One file of a checkpoint that holds no rows."""

    path: str
    """Plain name within the checkpoint's folder."""
    file_bytes: int
    crc32c: int


@dataclass(frozen=True, kw_only=True)
class CheckpointManifest:
    """What one checkpoint holds."""

    step: int
    saved_at: str
    """When its manifest was first written: UTC, ISO 8601, to the second."""
    schema: Schema
    settings: dict[str, Any]
    """The run's resolved settings, without credentials."""
    state: dict[str, Any]
    """What training continues from besides weights and rows."""
    metrics: dict[str, Any]
    """The newest evaluation at this step or before; empty if there was none."""
    dense: CheckpointFile
    tables: tuple[TableFile, ...]
    calibration: Calibration | None = None
    """What was fitted on the logits of this step; None: nothing, and in checkpoints from before there was one."""
    format: Literal["esmm_dist.checkpoint"] = "esmm_dist.checkpoint"
    format_version: int = FORMAT_VERSION

    def files(self) -> Iterator[CheckpointFile | TableFile]:
        """Yield all files but the manifest itself."""
        yield self.dense
        yield from self.tables

    def num_rows(self) -> int:
        """Return the rows of all tables."""
        return sum(file.rows for file in self.tables if file.kind == "rows")

    def to_json(self) -> str:
        """Return the text of ``manifest.json``."""
        mapping = to_mapping(self)
        return json.dumps({**mapping, "crc32c": mapping_crc32c(mapping)}, indent=1) + "\n"


def checkpoints_folder(run: Folder) -> Folder:
    """Return the folder of a run's checkpoints."""
    return run / "checkpoints"


def folder_name(step: int) -> str:
    """Return the name of the checkpoint of a step."""
    return f"{_PREFIX}{step:08d}"


def checkpoint_folder(run: Folder, step: int) -> Folder:
    """Return the folder of the checkpoint of a step."""
    return checkpoints_folder(run) / folder_name(step)


def step_of(name: str) -> int | None:
    """Return the step that a checkpoint's folder is named after; None if the name is not that of a checkpoint."""
    digits = name.removeprefix(_PREFIX)
    return int(digits) if name.startswith(_PREFIX) and digits.isdecimal() and name == folder_name(int(digits)) else None


def checkpoint_steps(run: Folder) -> list[int]:
    """Return the steps of a run's checkpoints, newest first; unfinished ones are not among them."""
    parent = checkpoints_folder(run)
    steps = sorted((step for name in parent.names() if (step := step_of(name)) is not None), reverse=True)
    # On a local disk one that lacks its manifest was whole once: it is damaged, and that must be reported
    return steps if run.is_local else [step for step in steps if checkpoint_folder(run, step).has(MANIFEST_NAME)]


def read_checkpoint_manifest(folder: Folder) -> CheckpointManifest:
    """Read the manifest of one checkpoint.

    Raises:
        CheckpointError: It is missing, damaged, of another version, or names a file outside the checkpoint.
        StorageError: The storage refuses.
    """
    where = f"{folder}/{MANIFEST_NAME}"
    try:
        mapping = json.loads(folder.read_bytes(MANIFEST_NAME))
    except FileNotFoundError as e:
        raise CheckpointError(f"{where} is missing.") from e
    except (ValueError, RecursionError) as e:
        raise CheckpointError(f"{where} cannot be read ({e}).") from e
    if not isinstance(mapping, dict) or mapping.get("format") != "esmm_dist.checkpoint":
        raise CheckpointError(f"{where} is not the manifest of a checkpoint.")
    if mapping.get("format_version") != FORMAT_VERSION:
        raise CheckpointError(
            f"{where} has format version {mapping.get('format_version')}, not {FORMAT_VERSION}. Use the version of "
            "esmm_dist that wrote it, or start a new run."
        )
    if mapping.pop("crc32c", None) != mapping_crc32c(mapping):
        raise CheckpointError(f"{where} has another checksum than the one it ends with: its bytes changed.")
    manifest = build(CheckpointManifest, with_old_meaning(mapping), where=where, error=CheckpointError)
    for file in manifest.files():
        if not is_plain_name(file.path):
            raise CheckpointError(f"{where} names '{file.path}', which is outside the checkpoint.")
    return manifest
