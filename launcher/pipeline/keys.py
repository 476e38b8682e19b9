"""What a step's inputs are known by: a hash of their content. A step is skipped while its key is the same."""

import hashlib
import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from esmm_dist.config import to_mapping
from esmm_dist.errors import InputDataError
from esmm_dist.storage.folder import Folder
from launcher.pipeline.config import PipelineConfig


def key_of(**inputs: Any) -> str:
    """Return 16 hex digits for the inputs of a step."""
    text = json.dumps(inputs, sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def log_listing(config: PipelineConfig, day: date) -> dict[str, list[int]]:
    """Return the size in bytes and the time of change of each file of a day's log, by its path.

    A file of another time may have the same content: ``esmm preprocess`` compares that, and the identity of the data
    set says what came of it.

    Raises:
        InputDataError: there is no log of the day
    """
    folder = Folder.open(config.raw_of(day))
    files = folder.tree() if folder.exists() else {}
    if not files:
        raise InputDataError(
            f"There is no log of {day} at {folder}. Run the same command again when it is there; if there will be "
            f"none, add {day} to skip_days."
        )
    return {path: [file.size, file.changed_ns] for path, file in files.items()}


def schema_text(config: PipelineConfig) -> str:
    """Return the text of the schema's file; the name of a shipped one stands for itself."""
    schema = str(config.preprocess["schema"])
    path = Path(schema)
    return path.read_text(encoding="utf-8") if path.is_file() else schema


def _plain(value: Any) -> Any:
    return to_mapping(value) if hasattr(value, "__dataclass_fields__") else str(value)


def metrics_of(evaluation: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what the gate and the report need of each task among what ``esmm evaluate`` found."""
    names = ("auc", "auc_standard_error", "log_loss", "calibration", "positives", "impressions")
    return {
        task: {name: found[name] for name in names}
        for task, found in evaluation.items()
        if isinstance(found, Mapping) and "auc_standard_error" in found and "log_loss" in found
    }
