"""The tasks that a job can have: the settings of each, and the places that it reads and writes.

Commands and job files (``launcher/cluster/job_file.py``) both read this table.
"""

import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from esmm_dist.api.stored_places import STORED_PLACES
from esmm_dist.storage.stored_place import StoredPlace

TaskName = Literal[
    "train", "synth", "preprocess", "pipeline", "evaluate", "predict", "export", "report", "stats", "serve"
]


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
    "synth": JobTask(settings="preprocess.synthetic.config:SynthConfig", stored=STORED_PLACES["synth"]),
    "preprocess": JobTask(settings="preprocess.config:PreprocessConfig", stored=STORED_PLACES["preprocess"]),
    "pipeline": JobTask(settings="launcher.pipeline.config:PipelineConfig", final_statuses=(3,)),
    "evaluate": JobTask(settings="esmm_dist.inference.evaluate:EvaluateConfig", stored=STORED_PLACES["evaluate"]),
    "predict": JobTask(settings="esmm_dist.inference.predict:PredictConfig", stored=STORED_PLACES["predict"]),
    "export": JobTask(settings="esmm_dist.inference.export:ExportConfig", stored=STORED_PLACES["export"]),
    "report": JobTask(settings="esmm_dist.report.run_page.config:ReportConfig", stored=STORED_PLACES["report"]),
    "stats": JobTask(settings="esmm_dist.report.data_statistics.config:StatsConfig", stored=STORED_PLACES["stats"]),
    "serve": JobTask(settings="esmm_dist.serving.config:ServeConfig"),
}
