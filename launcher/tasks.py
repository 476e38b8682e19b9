"""The tasks that a job can have: the settings of each, and the places that it reads and writes.

Commands and job files (``launcher/cluster/job_file.py``) both read this table.
"""

import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from launcher.command import StoredPlace

TaskName = Literal["train", "synth", "preprocess", "pipeline", "evaluate", "predict", "export"]


def _missing_shard(folder: Path, sizes: Mapping[str, int]) -> str | None:
    """Return which file of a data set is missing in a store, or has another size there; None if all are whole.

    Args:
        folder: local folder that holds the data set's manifest
        sizes: bytes of every file in the store, by path
    """
    from esmm_dist.errors import InputDataError
    from esmm_dist.schema.manifest import read_manifest

    try:
        files = read_manifest(folder).files()
    except InputDataError:  # preprocess reads it too, and says what is wrong
        return None
    wrong = [file.path for file in files if sizes.get(file.path) != file.file_bytes]
    return f"{wrong[0]} is missing or has another size ({len(wrong)} such files)" if wrong else None


@dataclass(frozen=True, kw_only=True)
class JobTask:
    """One task."""

    settings: str
    """Its settings class, as ``package.module:Class``: imported when it is needed."""

    stored: Mapping[str, StoredPlace] = field(default_factory=dict)
    """Settings that may name a place in an object store though the work reads and writes files."""

    final_statuses: tuple[int, ...] = ()
    """Exit statuses, beside that of a wrong setting, that another try would end with too."""

    def load_settings(self) -> type[Any]:
        """Import and return the settings class."""
        found = pkgutil.resolve_name(self.settings)
        assert isinstance(found, type)
        return found


TASKS: Mapping[TaskName, JobTask] = {
    "train": JobTask(settings="esmm_dist.train.config:TrainConfig"),
    "synth": JobTask(
        settings="preprocess.synthetic.config:SynthConfig",
        stored={"out": StoredPlace(use="write", told_by="synth.json")},
    ),
    "preprocess": JobTask(
        settings="preprocess.config:PreprocessConfig",
        stored={
            "raw": StoredPlace(use="read"),
            "out": StoredPlace(use="write", told_by="manifest.json", damage=_missing_shard),
        },
    ),
    "pipeline": JobTask(settings="launcher.pipeline.config:PipelineConfig", final_statuses=(3,)),
    "evaluate": JobTask(
        settings="esmm_dist.inference.evaluate:EvaluateConfig", stored={"data": StoredPlace(use="read")}
    ),
    "predict": JobTask(
        settings="esmm_dist.inference.predict:PredictConfig",
        stored={"data": StoredPlace(use="read"), "out": StoredPlace(use="write", kind="file", unless="raw")},
    ),
    "export": JobTask(settings="esmm_dist.inference.export:ExportConfig", stored={"out": StoredPlace(use="write")}),
}
