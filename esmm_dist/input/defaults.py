"""Choose the batch size and the number of epochs where the settings leave them open."""

from dataclasses import dataclass

from esmm_dist.input.config import InputConfig
from esmm_dist.schema.log_size import SMALL_LOG_IMPRESSIONS
from esmm_dist.schema.manifest import DatasetManifest

_SMALL_BATCH_IMPRESSIONS = 64
_SMALL_LOG_EPOCHS = 3  # a fourth pass overfits the ids
_LARGE_BATCH_RECORDS = 512
_FEWEST_STEPS = 400  # an epoch of the 300,000-impression synthetic log in 55 large steps: CTR 0.70, in 460 small: 0.75
_ONE_EPOCH_STEPS = 2000


@dataclass(frozen=True, kw_only=True)
class BatchPlan:
    """Batch size and number of epochs of a run."""

    global_batch_records: int
    epochs: int


def is_small_log(manifest: DatasetManifest) -> bool:
    """Tell whether most ids of a data set's train split are seen a few times only."""
    train = manifest.splits.get("train")
    return train is not None and train.impressions < SMALL_LOG_IMPRESSIONS


def batch_plan(config: InputConfig, manifest: DatasetManifest) -> BatchPlan:
    """Return the settings' batch size and number of epochs, or those that suit the train split's size.

    The batch is a multiple of the lanes, at least one record a lane: on a small log the largest of up to 64
    impressions, else the largest of up to 512 records that leaves 400 batches a pass.

    Args:
        config: numbers that are given stay
        manifest: manifest of the data set
    """
    train = manifest.splits.get("train")
    records = train.records if train is not None else 0
    small = is_small_log(manifest)
    batch = config.global_batch_records
    if batch is None:
        fitting = min(_LARGE_BATCH_RECORDS, records // _FEWEST_STEPS)
        if small and train is not None and train.impressions:
            fitting = _SMALL_BATCH_IMPRESSIONS * records // train.impressions
        batch = fitting // manifest.lanes * manifest.lanes or manifest.lanes
    epochs = config.epochs
    if epochs is None:
        epochs = _SMALL_LOG_EPOCHS if small else 1 if records / batch >= _ONE_EPOCH_STEPS else 2
    return BatchPlan(global_batch_records=batch, epochs=epochs)
