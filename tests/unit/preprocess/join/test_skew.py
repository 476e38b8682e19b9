"""A partition that memory does not hold is cut, and no part that is loaded is larger than the limit."""

from pathlib import Path

import pytest

import preprocess.join.count
import preprocess.run
import preprocess.write.records
from preprocess.join.partition import Partition, PartitionSource, load_partition
from tests.unit.preprocess.plans import use_plan
from tests.unit.preprocess.raw_logs import item, key_of, make_log, run, skeleton_line

LIMIT = 6000


@pytest.mark.parametrize("heavy_users", [1, 3])
def test_no_partition_that_is_loaded_is_larger_than_the_limit(tmp_path: Path, monkeypatch, heavy_users: int):
    """The users have 900 impressions, of some 100 bytes on disk; contexts are cut into ranges of about 16."""
    log = make_log(30, 4)
    log.skeleton["train"] += [
        skeleton_line(n, n % 2, 0, key_of(n % heavy_users), item(n)).encode() for n in range(31, 931)
    ]
    loaded: list[int] = []

    def measured(work: Path, source: PartitionSource) -> Partition:
        partition = load_partition(work, source)
        rows = partition.impressions
        features = rows.features
        targets = rows.targets
        arrays = (rows.keys, rows.positions, targets.sample_ids, targets.labels, features.lengths, features.ids)
        loaded.append(sum(array.nbytes for array in (*arrays, features.values)))
        return partition

    for module in (preprocess.join.count, preprocess.write.records):
        monkeypatch.setattr(module, "load_partition", measured)
    monkeypatch.setattr("preprocess.join.groups.RANGE_IMPRESSIONS", 16)
    use_plan(monkeypatch, partitions=2, partition_limit_bytes=LIMIT, chunk_bytes=4000)
    manifest = run(log.write(tmp_path / "raw"), tmp_path / "out")
    assert manifest.splits["train"].impressions == 930
    assert sum(loaded) > 12 * LIMIT  # counted and written: twice
    assert max(loaded) <= LIMIT
