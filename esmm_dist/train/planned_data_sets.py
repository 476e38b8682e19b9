"""Find out which data set of its run a training learns from: reads what the run holds, and asks ``next_data_sets``."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from esmm_dist.checkpoint.best_checkpoint import best_evaluation
from esmm_dist.checkpoint.early_stopping import EarlyStopping
from esmm_dist.checkpoint.format import CheckpointManifest
from esmm_dist.checkpoint.reader import newest_checkpoint
from esmm_dist.errors import ConfigError, EsmmError
from esmm_dist.input.order import steps_in_epoch
from esmm_dist.progress import NoProgress
from esmm_dist.schema.checksum import file_crc32c
from esmm_dist.schema.data_set_id import data_set_id
from esmm_dist.schema.differences import record_differences
from esmm_dist.schema.fields import Schema
from esmm_dist.schema.manifest import MANIFEST_NAME, DatasetManifest, read_manifest
from esmm_dist.storage.folder import Folder
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.data_sets import DataSetRecord, next_data_sets, records_from_mapping
from esmm_dist.train.run_folder import read_data_sets


@dataclass(frozen=True, kw_only=True)
class PlannedDataSets:
    """What a training learns from, and what its run has learned from before."""

    data_sets: tuple[DataSetRecord, ...]
    """The data sets of the run, the one to learn from last."""
    settings: Mapping[str, Any] | None
    """Resolved settings with which the run was trained last; None if it learns from its first data set."""


def planned_data_sets(config: TrainConfig, manifest: DatasetManifest, run: Folder) -> PlannedDataSets:
    """Return the data sets of a run up to the one that the settings name.

    Args:
        config: settings as they were given
        manifest: manifest of the data set that they name
        run: folder of the run

    Raises:
        ConfigError: The run is not to learn from this data set now; the message says why, and what to do.
        CheckpointError: All checkpoints of the run, or its list of data sets, are damaged.
        StorageError: The storage refuses.
    """
    crc32c = file_crc32c(config.data / MANIFEST_NAME)
    checkpoint = newest_checkpoint(run, NoProgress())  # a damaged one is reported when the run is restored
    saved = _records_of(checkpoint.manifest, config, manifest, crc32c) if checkpoint is not None else ()
    found = next_data_sets(
        _record_of(config.data, manifest, crc32c),
        saved,
        read_data_sets(run),
        run=str(run),
        continues=config.continue_,
        again=config.again,
    )
    if checkpoint is None or len(found) == 1:
        return PlannedDataSets(data_sets=found, settings=None)
    if config.init_from is not None:
        raise ConfigError(
            f"init_from is {config.init_from}, but {run} goes on from its own weights, those of step "
            f"{found[-1].first_step:,}. Leave it out, or start a new run with another --run."
        )
    if len(found) > len(saved):
        _refuse_other_records(manifest.schema, checkpoint.manifest.schema, config.data, found[-2])
        if found[-1].first_step == saved[-1].last_step and found[-1].last_step == found[-1].first_step:
            best = best_evaluation(run)
            found = (*found[:-1], replace(found[-1], from_step=best.step)) if best is not None else found
    return PlannedDataSets(data_sets=found, settings=checkpoint.manifest.settings)


def _record_of(data: Path, manifest: DatasetManifest, crc32c: int) -> DataSetRecord:
    """Return the record of a data set as the first of a run."""
    train = manifest.splits.get("train")
    return DataSetRecord(
        id=data_set_id(manifest),
        data=str(data),
        manifest_crc32c=crc32c,
        impressions=0 if train is None else train.impressions,
        first_step=0,
        last_step=0,
        from_step=0,
    )


def _records_of(
    checkpoint: CheckpointManifest, config: TrainConfig, manifest: DatasetManifest, crc32c: int
) -> tuple[DataSetRecord, ...]:
    """Return the data sets that a checkpoint lists; of one from before there was a list, that of its settings."""
    stored = checkpoint.state.get("data_sets")
    if stored is not None:
        return records_from_mapping(stored, where=f"the checkpoint of step {checkpoint.step}")
    data, before = Path(str(checkpoint.settings["data"])), int(checkpoint.state["data_manifest_crc32c"])
    if before == crc32c:
        data, found = config.data, manifest
    else:
        try:
            found = read_manifest(data)
            if file_crc32c(data / MANIFEST_NAME) != before:
                found = None
        except (EsmmError, OSError):
            found = None
    record = DataSetRecord(
        id="", data=str(data), manifest_crc32c=before, impressions=0, first_step=0, last_step=0, from_step=0
    )
    if found is not None:
        record = _record_of(data, found, before)
    return (replace(record, last_step=checkpoint.step, finished=found is None or _is_finished(checkpoint, found)),)


def _is_finished(checkpoint: CheckpointManifest, manifest: DatasetManifest) -> bool:
    """Return whether a checkpoint is that of the last step that its settings meant, on the only data set of its run."""
    settings, step = checkpoint.settings, checkpoint.step
    steps = steps_in_epoch(manifest, "train", settings["input"]["global_batch_records"]) * settings["input"]["epochs"]
    stopping = EarlyStopping.of_settings(settings)
    early = stopping is not None and stopping.is_over(checkpoint.state.get("evaluations", ()), step)
    return early or step >= min(steps, settings.get("max_steps") or steps)


def _refuse_other_records(now: Schema, before: Schema, data: Path, last: DataSetRecord) -> None:
    """Check that the records of a data set mean what those of the data set before meant.

    Raises:
        ConfigError: They do not: other fields, labels, edges of numbers or columns of rows.
    """
    different = record_differences(now, before)
    if different:
        raise ConfigError(
            f"{data} cannot be the next data set of the run, which learned from {last.data}: {different[0]}"
            f"{f' (and {len(different) - 1} more)' if different[1:] else ''}. Make it with the schema and the numeric "
            f"edges of that one: esmm preprocess RAW {data} --like {last.data}."
        )
