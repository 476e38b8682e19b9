"""Stages 6 and 7: deal the records of a split into lanes, and write the lanes as shards."""

from collections.abc import Mapping, Sequence

import numpy as np

from esmm_dist.arrays import I64
from esmm_dist.config import build
from esmm_dist.errors import InputDataError
from esmm_dist.schema.manifest import Shard, Split
from preprocess.report import total
from preprocess.stages.context import RunContext
from preprocess.work.workers import PoolTask, Result
from preprocess.write.lanes import PIECE_COLUMNS, LanesJob, cut_slices, deal_slice, num_parts, num_slices, write_lane
from preprocess.write.records import records_path


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
        names=tuple(records),
        slices=num_slices(total(list(records.values()), "bytes")),
        lanes=lanes,
        compression=run.config.compression,
    )
    shards = _write_lanes(run, job, _deal(run, job, total(list(records.values()), "bytes")))
    return _describe(run.schema.labels, list(records.values()), shards)


def _deal(run: RunContext, job: LanesJob, record_bytes: int) -> I64:
    """Deal all slices; return the pieces, int64 [slices, lanes, len(PIECE_COLUMNS)]. The records are deleted then."""
    kept = run.pool.once(f"all-pieces-{job.split}", lambda: {"pieces": _deal_all(run, job, float(record_bytes))})
    run.delete_read(records_path(run.work, name) for name in job.names)
    return np.array(kept["pieces"], np.int64).reshape(job.slices, job.lanes, len(PIECE_COLUMNS))


def _deal_all(run: RunContext, job: LanesJob, record_bytes: float) -> list[list[list[int]]]:
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
    dealt = run.run_all(f"deal into lanes ({job.split})", tasks, record_bytes, "B")
    return [dealt[name]["lanes"] for name in sorted(dealt)]


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
    tasks = (
        PoolTask(
            name=f"lane-{job.split}-{lane:04d}",
            function=write_lane,
            arguments={**shared, "lane": lane, "offsets": offsets[:, lane], "pieces": pieces[:, lane]},
            size=float(lane_bytes[:, lane].sum()),
        )
        for lane in range(job.lanes)
    )
    written = run.run_all(f"write shards ({job.split})", tasks, float(total_bytes), "B")
    return [shard for name in sorted(written) for shard in written[name]["shards"]]


def _describe(labels: Sequence[str], records: Sequence[Result], shards: Sequence[Result]) -> Split:
    counts = np.sum([r["label_counts"] for r in records], axis=0).tolist()
    broken = np.sum([r["broken_chains"] for r in records], axis=0).tolist()
    return Split(
        records=total(records, "records"),
        impressions=total(records, "impressions"),
        label_counts=dict(zip(labels, counts, strict=True)),
        broken_chains=dict(zip(labels[1:], broken[1:], strict=True)),
        shards=tuple(build(Shard, shard, where="shards", error=InputDataError) for shard in shards),
    )
