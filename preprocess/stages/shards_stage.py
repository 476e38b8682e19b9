"""Stages 6 and 7: deal the records of a split into lanes, and write the lanes as shards."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from esmm_dist.arrays import I64
from esmm_dist.config import build
from esmm_dist.errors import InputDataError
from esmm_dist.schema.manifest import Shard, Split
from esmm_dist.schema.shuffle_blocks import shuffle_block_records
from preprocess.report import total
from preprocess.stages.context import RunContext
from preprocess.work.blocks import save_array
from preprocess.work.workers import PoolTask, Result
from preprocess.write.lanes import (
    LANES_TASK_BYTES,
    PIECE_COLUMNS,
    LanesJob,
    cut_slices,
    deal_slice,
    num_parts,
    num_slices,
    write_lanes,
)
from preprocess.write.merge_records import group_names, merge_records
from preprocess.write.records import index_path, records_path


def write_shards(run: RunContext, split: str, records: Mapping[str, Result], lanes: int) -> Split:
    """Write the shards of a split; return what the manifest says of it.

    Args:
        run: the run
        split: name of the split
        records: what ``write_records`` counted, by name of the partition
        lanes: number of lanes
    """
    job = LanesJob(
        work=run.work,
        split=split,
        names=_merge(run, split, tuple(records)),
        slices=num_slices(total(list(records.values()), "bytes")),
        lanes=lanes,
        compression=run.config.compression,
    )
    shards = _write_lanes(run, job, _deal(run, job, total(list(records.values()), "bytes")))
    return _describe(run.schema.labels, list(records.values()), shards, lanes)


def _deal(run: RunContext, job: LanesJob, record_bytes: int) -> I64:
    """Deal all slices; return what ``deal_slice`` says of them, int64 [slices, lanes, len(PIECE_COLUMNS)].

    The records are deleted then.
    """
    path = run.work / "pieces" / f"{job.split}.npy"
    run.pool.once(f"all-pieces-{job.split}", lambda: _deal_all(run, job, float(record_bytes), path))
    _delete(run, job.names)
    pieces: I64 = np.load(path)
    return pieces


def _merge(run: RunContext, split: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """Merge the records of many partitions; return the names of what is then to be dealt."""
    groups = group_names(names)
    if len(groups) == len(names):
        return names
    merged = {f"{split}-merged-{number:03d}": group for number, group in enumerate(groups)}
    run.pool.once(f"all-merged-records-{split}", lambda: _merge_all(run, split, merged))
    return tuple(merged)


def _merge_all(run: RunContext, split: str, merged: Mapping[str, Sequence[str]]) -> Result:
    tasks = (
        PoolTask(
            name=f"records-{name}",
            function=merge_records,
            arguments={"work": run.work, "names": group, "merged": name, "room_bytes": run.plan.merge_bytes},
            size=float(len(group)),
        )
        for name, group in merged.items()
    )
    run.progress.start(f"merge records ({split})", float(sum(map(len, merged.values()))), "partitions")
    for name, _ in run.pool.run(tasks, run.progress):  # one by one, so that the disk does not hold all records twice
        _delete(run, merged[name.removeprefix("records-")])
    return {"merged": len(merged)}


def _delete(run: RunContext, names: Sequence[str]) -> None:
    run.delete_read(path(run.work, name) for name in names for path in (records_path, index_path))


def _deal_all(run: RunContext, job: LanesJob, record_bytes: float, path: Path) -> Result:
    """Deal all slices; write what ``deal_slice`` returned for all, int64 [slices, lanes, len(PIECE_COLUMNS)]."""
    cuts = cut_slices(run.work, job.names, job.slices)
    before = np.concatenate(([0], np.cumsum(np.diff(cuts, axis=1).sum(axis=0))))
    tasks = (
        PoolTask(
            name=f"deal-{job.split}-{k:06d}",
            function=deal_slice,
            arguments={
                "job": job,
                "number": k,
                "first_record": int(before[k]),
                "begins": cuts[:, k],
                "ends": cuts[:, k + 1],
            },
            size=record_bytes / job.slices,
        )
        for k in range(job.slices)
    )
    pieces = np.zeros((job.slices, job.lanes, len(PIECE_COLUMNS)), np.int64)
    run.progress.start(f"deal into lanes ({job.split})", record_bytes, "B")
    for name, result in run.pool.run(tasks, run.progress):
        pieces[int(name.rpartition("-")[2])] = result["lanes"]
    save_array(path, pieces)
    return {"slices": job.slices}


def _write_lanes(run: RunContext, job: LanesJob, pieces: I64) -> list[Result]:
    """Write the lanes; return their shards as the manifest lists them."""
    lane_bytes = pieces[:, :, PIECE_COLUMNS.index("piece_bytes")]
    offsets = np.cumsum(lane_bytes, axis=1) - lane_bytes
    total_bytes = int(lane_bytes.sum())
    shared = {
        "job": job,
        "folder": run.final / job.split,
        "parts": num_parts(total_bytes, job.lanes, job.slices, run.config.shard_bytes),
    }
    at_once = max(1, LANES_TASK_BYTES * job.lanes // max(1, total_bytes))
    some = [slice(first, first + at_once) for first in range(0, job.lanes, at_once)]
    tasks = (
        PoolTask(
            name=f"lanes-{job.split}-{lanes.start:04d}",
            function=write_lanes,
            arguments={
                **shared,
                "first_lane": lanes.start,
                "offsets": offsets[:, lanes],
                "pieces": pieces[:, lanes],
            },
            size=float(lane_bytes[:, lanes].sum()),
        )
        for lanes in some
    )
    written = run.run_all(f"write shards ({job.split})", tasks, float(total_bytes), "B")
    return [shard for name in sorted(written) for shard in written[name]["shards"]]


def _describe(labels: Sequence[str], records: Sequence[Result], shards: Sequence[Result], lanes: int) -> Split:
    counts = np.sum([r["label_counts"] for r in records], axis=0).tolist()
    broken = np.sum([r["broken_chains"] for r in records], axis=0).tolist()
    return Split(
        records=total(records, "records"),
        impressions=total(records, "impressions"),
        label_counts=dict(zip(labels, counts, strict=True)),
        broken_chains=dict(zip(labels[1:], broken[1:], strict=True)),
        shards=tuple(build(Shard, shard, where="shards", error=InputDataError) for shard in shards),
        shuffle_block_records=shuffle_block_records(total(records, "records"), total(records, "bytes"), lanes),
    )
