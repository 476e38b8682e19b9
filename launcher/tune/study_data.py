"""The data set of a study: the split that trials are compared on, and when they are evaluated."""

import math
from dataclasses import dataclass
from pathlib import Path

from esmm_dist.errors import ConfigError
from esmm_dist.input.defaults import batch_plan
from esmm_dist.input.order import steps_in_epoch
from esmm_dist.schema.checksum import file_crc32c
from esmm_dist.schema.manifest import MANIFEST_NAME, DatasetManifest, read_manifest
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.step_count import count_steps


@dataclass(frozen=True, kw_only=True)
class StudyData:
    """A data set that trials train on."""

    folder: Path
    manifest: DatasetManifest
    manifest_crc32c: int
    """Checksum of the manifest's file, by which a study knows its data set wherever that lies."""
    split: str
    """Split that trials are compared on."""

    @classmethod
    def read(cls, folder: Path) -> "StudyData":
        """Read a data set's manifest.

        Raises:
            InputDataError: it cannot be read
            ConfigError: the data set has no split to choose by
        """
        manifest = read_manifest(folder)
        return cls(
            folder=folder,
            manifest=manifest,
            manifest_crc32c=file_crc32c(folder / MANIFEST_NAME),
            split=tuning_split(manifest, folder),
        )

    @property
    def tasks(self) -> list[str]:
        """Names of the tasks that an evaluation measures."""
        return self.manifest.schema.label_tree.task_names

    def total_steps(self, config: TrainConfig) -> int:
        """Return the steps of a training.

        Raises:
            ConfigError: the settings do not fit the data set
        """
        plan = batch_plan(config.input, self.manifest)
        per_epoch = steps_in_epoch(self.manifest, "train", plan.global_batch_records)
        return count_steps(config, per_epoch=per_epoch, epochs=plan.epochs).total

    def eval_every_steps(self, config: TrainConfig, evaluations: int) -> int:
        """Return the steps between so many evaluations of a training, the last of them at its end."""
        return math.ceil(self.total_steps(config) / evaluations)


def tuning_split(manifest: DatasetManifest, folder: Path) -> str:
    """Return the split by which settings are chosen.

    Raises:
        ConfigError: there is none: the test split is for the end
    """
    if "validation" in manifest.splits and manifest.splits["validation"].impressions:
        return "validation"
    raise ConfigError(
        f"{folder} has no validation split, and settings chosen by the test split would make its figures too good. "
        "Make the data set with one: esmm preprocess RAW DATA --validation-share 0.1 ..."
    )
