"""Check a preset's training before its preprocess begins, which may take an hour."""

from collections.abc import Sequence

from esmm_dist.schema.files import load_schema
from esmm_dist.schema.manifest import DatasetManifest, Split
from esmm_dist.train.model_check import check_model
from launcher.command import CommandContext
from launcher.steps.step import Step
from preprocess.config import PreprocessConfig

_LARGE_LOG = 10**7
"""Impressions of the log for which settings are chosen; those of a smaller one fit the schemas of presets too."""


def check_training(steps: Sequence[Step], context: CommandContext) -> None:
    """Make the model that a preset trains, on the schema that it preprocesses by.

    Args:
        steps: ``preprocess`` and ``train`` first
        context: reads settings from lines

    Raises:
        ConfigError: a setting is wrong, or they do not fit each other
    """
    preprocess, train = (context.settings_of_line(step.args) for step in steps[:2])
    check_model(train, _expected_manifest(preprocess))


def _expected_manifest(config: PreprocessConfig) -> DatasetManifest:
    """Return what is known beforehand of the data set that a preset makes."""
    split = Split(records=_LARGE_LOG, impressions=_LARGE_LOG, label_counts={}, broken_chains={}, shards=())
    return DatasetManifest(
        schema=load_schema(config.schema or "aliccp"),
        compression="ZLIB",
        lanes=config.lanes or 1,
        group_size=config.group_size or 1,
        splits=dict.fromkeys(("train", "validation", "test"), split),
        vocabulary_file="",
        vocabulary_size=0,
    )
