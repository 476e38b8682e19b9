"""The data set of a comparison: its split, its tasks, and the truth of a planted log."""

from dataclasses import dataclass
from pathlib import Path

from esmm_dist.errors import ConfigError
from esmm_dist.near_names import nearest_hint
from esmm_dist.schema.checksum import file_crc32c
from esmm_dist.schema.label_tree import LabelTask, LabelTree
from esmm_dist.schema.manifest import MANIFEST_NAME, DatasetManifest, read_manifest
from launcher.compare.config import CompareConfig
from launcher.compare.models import ComparedModel
from launcher.compare.truth import PlantedTruth


@dataclass(frozen=True, kw_only=True)
class CompareData:
    """A data set that models are compared on."""

    folder: Path
    manifest: DatasetManifest
    manifest_crc32c: int
    """Checksum of the manifest's file, by which a comparison knows its data set wherever that lies."""
    split: str
    """Split that models are measured on."""
    truth: PlantedTruth | None
    """The true probabilities of its impressions, if they are given."""

    @classmethod
    def read(cls, config: CompareConfig) -> "CompareData":
        """Read a data set's manifest, and find the truth.

        Raises:
            InputDataError: the manifest or the truth cannot be read
            ConfigError: the data set has no such split, or has texts as sample ids, which no truth has
        """
        manifest = read_manifest(config.data)
        split = manifest.split_to_evaluate(config.eval_split)
        if split not in manifest.splits:
            raise ConfigError(f"{config.data} has no split '{split}'.{nearest_hint(split, manifest.splits)}")
        truth = None
        if config.truth is not None:
            truth = PlantedTruth.find(config.truth, split, manifest)
        return cls(
            folder=config.data,
            manifest=manifest,
            manifest_crc32c=file_crc32c(config.data / MANIFEST_NAME),
            split=split,
            truth=truth,
        )

    @property
    def label_tree(self) -> LabelTree:
        """The labels."""
        return self.manifest.schema.label_tree

    @property
    def tasks(self) -> list[LabelTask]:
        """What is measured: for each label but the first the conditional task and the product; the first label last."""
        root, *others = self.label_tree.tasks
        return [*others, root]

    def check(self, model: ComparedModel) -> None:
        """Check that a model can train on it.

        Raises:
            ConfigError: it stops early by a validation split that is not there
        """
        if "validation" not in self.manifest.splits and model.config.evaluation.early_stopping:
            raise ConfigError(
                f"Model '{model.name}' has early stopping, and {self.folder} has no validation split to stop by. Make "
                "the data set with one (esmm preprocess --validation-share 0.1), or leave out early_stopping."
            )
