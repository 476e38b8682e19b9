"""Read a data set once, and compute its statistics."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from esmm_dist.arrays import I64
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.input.config import InputConfig
from esmm_dist.input.order import RankShare
from esmm_dist.input.pipeline import BatchReader
from esmm_dist.input.users import BatchUsers
from esmm_dist.kernels.id_counts import hash_lists
from esmm_dist.progress import Progress
from esmm_dist.report.data_statistics.config import StatsConfig
from esmm_dist.report.data_statistics.context_counter import ContextCounter
from esmm_dist.report.data_statistics.field_results import CountedField
from esmm_dist.report.data_statistics.id_counter import IdCounter
from esmm_dist.report.data_statistics.id_spaces import shared_ids
from esmm_dist.report.data_statistics.preprocess_report import PreprocessReport
from esmm_dist.report.data_statistics.split_tally import SplitTally
from esmm_dist.report.data_statistics.statistics import DataStatistics, FieldStatistics, Funnel, SplitStatistics
from esmm_dist.schema.feature_id import missing_id
from esmm_dist.schema.fields import Field, Schema
from esmm_dist.schema.manifest import DatasetManifest
from esmm_dist.schema.sources import SPLITS

_BATCH_RECORDS = 1024
"""Records that are decoded together, about: enough that calls of kernels cost little, few enough for the caches."""


@dataclass(frozen=True, kw_only=True)
class _Counters:
    """What is counted in all splits together."""

    ids: dict[str, IdCounter]
    """By field."""
    contexts: ContextCounter | None
    """None: the schema has no user fields."""


def data_set_statistics(
    folder: Path, manifest: DatasetManifest, config: StatsConfig, progress: Progress
) -> DataStatistics:
    """Read a data set once, in memory for ``config.most_ids`` ids a field.

    Args:
        folder: folder of the data set
        manifest: its manifest
        config: share to read, limit of the ids, what to do with damaged records
        progress: receives the progress

    Raises:
        InputDataError: A shard is missing or damaged.
    """
    schema, splits = manifest.schema, [split for split in SPLITS if split in manifest.splits]
    lanes = _chosen_lanes(manifest, config.sample)
    share = _share_read(manifest, lanes)
    counters = _Counters(
        ids={field.name: IdCounter(len(splits), config.most_ids, pinned=_pinned(field)) for field in schema.fields},
        contexts=ContextCounter(len(splits), config.most_ids) if schema.user_fields else None,
    )
    tallies, skipped = {}, 0
    progress.start(
        "Reading the data set", sum(split.impressions for split in manifest.splits.values()) * share, "impressions"
    )
    for column, split in enumerate(splits):
        reader = _reader(folder, manifest, split, config, lanes)
        tallies[split] = _read_split(reader, schema, column, counters, progress)
        skipped += sum(each.impressions for each in reader.skipped)
    progress.finish()
    report = PreprocessReport(folder, manifest, share)
    return DataStatistics(
        source=str(config.data),
        source_kind="data set",
        schema=schema.name,
        label_names=schema.labels,
        label_parents=schema.label_tree.parents,
        splits={
            split: _split_statistics(manifest, split, column, tallies[split], counters, report)
            for column, split in enumerate(splits)
        },
        fields=_fields(manifest, tallies, counters, report),
        days=report.days(),
        sample_share=share,
        rejected=report.rejected(),
        left_out={**({"impressions of records that cannot be read": skipped} if skipped else {}), **report.left_out()},
        user_field=_user_field(schema),
    )


@dataclass(frozen=True, kw_only=True)
class _FirstLanes(RankShare):
    """The first lanes of a data set, as the share of one reader."""

    number: int

    def lanes(self, lanes: int) -> range:
        """Return the lanes."""
        return range(min(self.number, lanes))


def _chosen_lanes(manifest: DatasetManifest, sample: float) -> "_FirstLanes":
    """Return so many lanes that their records are about the share of all; records are dealt to lanes by a hash."""
    return _FirstLanes(number=max(1, round(sample * manifest.lanes)))


def _share_read(manifest: DatasetManifest, lanes: RankShare) -> float:
    """Return the share of the impressions that lanes have, in all splits together."""
    chosen = set(lanes.lanes(manifest.lanes))
    shards = [shard for split in manifest.splits.values() for shard in split.shards]
    everything = sum(shard.impressions for shard in shards)
    read = sum(shard.impressions for shard in shards if shard.lane in chosen)
    return read / everything if everything else 1.0


def _pinned(field: Field) -> list[int]:
    return [missing_id(field.name)] if field.missing == "id" else []


def _reader(
    folder: Path, manifest: DatasetManifest, split: str, config: StatsConfig, lanes: "_FirstLanes"
) -> BatchReader:
    each = -(-_BATCH_RECORDS // lanes.number)
    settings = InputConfig(global_batch_records=each * manifest.lanes, on_bad_record=config.on_bad_record)
    reader = BatchReader(folder, manifest, split, settings, share=lanes)
    reader.leave_out_weights()
    return reader


def _read_split(
    reader: BatchReader, schema: Schema, column: int, counters: _Counters, progress: Progress
) -> SplitTally:
    """Read a split, and count what is in it."""
    tally, users = SplitTally(schema), BatchUsers(schema)
    with closing(reader.epoch(0, seed=None)) as batches:
        for batch in batches:
            tally.add(batch)
            for fields, lists, impressions in _parts(schema, batch):
                _count_fields(fields, lists, impressions, column, counters, tally)
            if counters.contexts is not None:
                hashes = np.empty(batch.num_groups, np.int64)
                hash_lists((batch.user_ids, batch.user_lengths), len(schema.user_fields), hashes)
                counters.contexts.count(column, hashes, users.of_groups(batch), batch.impressions_per_group)
            progress.advance(batch.num_impressions)
    return tally


def _parts(schema: Schema, batch: GroupedBatch) -> Iterator[tuple[Sequence[Field], tuple[I64, I64], I64]]:
    """Yield the fields of users and of impressions, their ids and lengths, and how many impressions have each."""
    yield schema.user_fields, (batch.user_ids, batch.user_lengths), batch.impressions_per_group
    ones = np.ones(batch.num_impressions, np.int64)
    yield schema.impression_fields, (batch.impression_ids, batch.impression_lengths), ones


def _count_fields(
    fields: Sequence[Field],
    lists: tuple[I64, I64],
    impressions: I64,
    column: int,
    counters: _Counters,
    tally: SplitTally,
) -> None:
    """Count the lists of some fields, as ``GroupedBatch`` has them: ids, and lengths int64 [R * F]."""
    ids, all_lengths = lists
    begins = np.cumsum(all_lengths) - all_lengths
    for place, field in enumerate(fields):
        lengths = all_lengths[place :: len(fields)]
        tally.fields[field.name].add(lengths, impressions)
        counters.ids[field.name].count(column, (ids, begins[place :: len(fields)], lengths), impressions)


def _user_field(schema: Schema) -> str | None:
    field = BatchUsers(schema).field
    return field.name if field is not None else None


def _split_statistics(
    manifest: DatasetManifest, split: str, column: int, tally: SplitTally, counters: _Counters, report: PreprocessReport
) -> SplitStatistics:
    broken, left_out = report.funnel_of_log(split)
    names, contexts = manifest.schema.labels, counters.contexts if report.is_whole else None
    weighted = tally.weight is not None
    return SplitStatistics(
        funnel=Funnel(
            impressions=tally.impressions,
            labels=dict(zip(names, tally.labels.tolist(), strict=True)),
            broken=broken,
            left_out_negatives=left_out,
            weight=tally.weight,
            label_weights=dict(zip(names, tally.label_weights.tolist(), strict=True)) if weighted else {},
        ),
        contexts=None if contexts is None else round(contexts.contexts(column)),
        impressions_a_context=None if contexts is None else contexts.impressions_a_context(column),
        contexts_a_user=(
            None if contexts is None or _user_field(manifest.schema) is None else contexts.contexts_a_user(column)
        ),
        contexts_are_estimates=contexts is not None and contexts.is_sample,
    )


def _fields(
    manifest: DatasetManifest, tallies: Mapping[str, SplitTally], counters: _Counters, report: PreprocessReport
) -> list[FieldStatistics]:
    schema, splits = manifest.schema, list(tallies)
    impressions = {split: tally.impressions for split, tally in tallies.items()}
    counted = {name: counter.counted() for name, counter in counters.ids.items()}
    contexts = counters.contexts
    users = {} if contexts is None else {each: contexts.effective_users(i) for i, each in enumerate(splits)}
    shared = shared_ids(schema.fields, counted, splits.index("train")) if "train" in splits else {}
    found = []
    for field in schema.fields:
        of_field = CountedField(
            field=field,
            splits=splits,
            counted=counted[field.name],
            tallies={split: tally.fields[field.name] for split, tally in tallies.items()},
            impressions=impressions,
            sizes=users if field.owner == "user" else impressions,
            dropped=report.dropped(field),
            shared=shared.get(field.name),
            is_whole=report.is_whole,
        )
        found.append(of_field.statistics())
    return found
