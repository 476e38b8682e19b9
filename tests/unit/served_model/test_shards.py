"""Tables are written in shards of limited size, whatever the parts that they come in, and in limited memory."""

import tracemalloc

import numpy as np
import pytest

from esmm_dist.embedding.placement import NUM_BUCKETS, bucket_of, bucket_ranges
from esmm_dist.errors import CheckpointError, ServedModelError
from esmm_dist.schema.checksum import file_crc32c
from esmm_dist.served_model.layers import in_bucket_order
from esmm_dist.served_model.mapped_model import MappedModel
from esmm_dist.served_model.row_parts import RowsPart
from esmm_dist.served_model.writing import TableRowsToServe, write_full
from tests.support.served_models import DIMS, arrays, content, parts_of, random_rows, start_values, to_serve, towers_of

ROW_BYTES = 8 + 4 * DIMS["main"]
IDS = range(0, 60_000, 7)


def write(folder, parts, shard_bytes=1 << 30):
    """Write a version whose table "main" has these parts; return its manifest."""
    table = TableRowsToServe(name="main", row_type="float32", start_rows=start_values("main").choices, parts=parts)
    return write_full(towers_of(folder), content(), [table, to_serve("items", {})], shard_bytes=shard_bytes)


def shards_of(manifest):
    """Return (first bucket, last bucket, rows) of each shard of the first table."""
    return [(shard.first_bucket, shard.last_bucket, shard.rows) for shard in manifest.tables[0].shards]


@pytest.mark.parametrize("parts", [1, 2, 7, 300])
def test_files_do_not_depend_on_the_parts_that_rows_come_in(tmp_path, parts):
    rows = random_rows(IDS, DIMS["main"])
    one = write(tmp_path / "one", parts_of(rows, DIMS["main"], 1), shard_bytes=50_000)
    other = write(tmp_path / "other", parts_of(rows, DIMS["main"], parts), shard_bytes=50_000)
    assert other == one  # with the checksums of all files
    assert len(one.tables[0].shards) > 3


def test_small_parts_share_a_shard_and_it_holds_what_numpy_reads_by_bucket_and_id(tmp_path):
    rows = random_rows(IDS, DIMS["main"])
    manifest = write(tmp_path / "1", parts_of(rows, DIMS["main"], 64))
    ids, values = arrays(rows, DIMS["main"])
    order = np.lexsort((ids, bucket_of(ids)))
    [shard] = manifest.tables[0].shards
    assert (shard.first_bucket, shard.last_bucket, shard.rows) == (0, NUM_BUCKETS, len(ids))
    served = tmp_path / "1/served"
    np.testing.assert_array_equal(np.load(served / shard.ids.path), ids[order])
    np.testing.assert_array_equal(np.load(served / shard.values.path), values[order])
    expected = np.searchsorted(bucket_of(ids)[order], np.arange(NUM_BUCKETS + 1))
    np.testing.assert_array_equal(np.load(served / shard.begins.path), expected)
    for file in manifest.files():
        path = served / file.path
        assert (file.file_bytes, file.crc32c) == (path.stat().st_size, file_crc32c(path))


@pytest.mark.parametrize(
    ("ids", "parts", "most"),
    [
        (IDS, 3, 1000),
        (IDS[:300], 500, 2),  # many parts begin with a bucket that the shard before has no room for
    ],
)
def test_a_shard_is_as_large_as_it_may_be_and_ends_between_buckets(tmp_path, ids, parts, most):
    rows = random_rows(ids, DIMS["main"])
    shards = shards_of(write(tmp_path / "1", parts_of(rows, DIMS["main"], parts), shard_bytes=most * ROW_BYTES))
    counts = np.bincount(bucket_of(np.array(ids)), minlength=NUM_BUCKETS)
    assert counts.max() <= most
    assert sum(size for _, _, size in shards) == len(ids)
    for (first, last, size), following in zip(shards, [*shards[1:], None], strict=True):
        assert size == counts[first:last].sum() <= most
        if following is not None:
            assert following[0] >= last
            assert counts[last : following[0]].sum() == 0
            assert size + counts[following[0]] > most


def test_a_bucket_that_is_larger_than_a_shard_makes_one_alone(tmp_path):
    ids = np.arange(100_000)
    counts = np.bincount(bucket_of(ids), minlength=NUM_BUCKETS)
    rows = random_rows(ids[bucket_of(ids) < 4], DIMS["main"])
    shards = shards_of(write(tmp_path / "1", parts_of(rows, DIMS["main"], 2), shard_bytes=5 * ROW_BYTES))
    assert [shard[2] for shard in shards] == counts[:4].tolist()
    assert min(counts[:4]) > 5


def test_a_table_without_rows_has_no_shards(tmp_path):
    manifest = write(tmp_path / "1", iter(()))
    assert [len(table.shards) for table in manifest.tables] == [0, 0]
    model = MappedModel.open([tmp_path / "1"])
    assert model.tables["main"].num_rows == 0
    rows, found = model.tables["main"].find(np.array([3]))
    np.testing.assert_array_equal(rows, start_values("main").rows(np.array([3])))
    assert not found.any()


def test_buckets_without_a_part_have_no_rows(tmp_path):
    rows = random_rows(IDS, DIMS["main"])
    [_, second, _, fourth, _] = parts_of(rows, DIMS["main"], 5)
    manifest = write(tmp_path / "1", iter([second, fourth]))
    assert manifest.tables[0].rows == len(second.ids) + len(fourth.ids)
    knows = MappedModel.open([tmp_path / "1"]).tables["main"].knows(np.array(IDS))
    np.testing.assert_array_equal(knows, np.isin(np.array(IDS), np.concatenate([second.ids, fourth.ids])))


def test_writing_takes_no_more_memory_for_more_parts(tmp_path):
    ids = np.unique(np.random.default_rng(0).integers(0, 2**62, 300_000))
    ids = ids[np.argsort(bucket_of(ids), kind="stable")]
    buckets, rows = bucket_of(ids), np.zeros((len(ids), DIMS["main"]), np.float32)

    def peak_of(ranges):
        parts = []
        for first, last in ranges:
            places = slice(*np.searchsorted(buckets, [first, last]))
            parts.append(RowsPart(first_bucket=first, last_bucket=last, ids=ids[places], rows=rows[places]))
        tracemalloc.start()
        try:
            manifest = write(tmp_path / str(len(ranges)), iter(parts), shard_bytes=1_000_000)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert manifest.tables[0].rows == sum(len(part.ids) for part in parts)
        return peak

    ranges = bucket_ranges(24)
    few = peak_of(ranges[:4])
    assert peak_of(ranges) < 1.1 * few
    assert peak_of(bucket_ranges(1)) > 2 * few  # so what a part takes is seen


def part(first, last, ids):
    return RowsPart(
        first_bucket=first,
        last_bucket=last,
        ids=np.array(ids, np.int64),
        rows=np.ones((len(ids), DIMS["main"]), np.float32),
    )


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ([part(0, 2, []), part(1, 3, [])], "Table 'main': buckets 1 to 3 come after bucket 2"),
        ([part(5, 3, [])], "Table 'main': buckets 5 to 3 come after bucket 0"),
        ([part(0, 5000, [])], "Table 'main': buckets 0 to 5000 come after bucket 0"),
        ([part(0, 4096, [9, 4, 9])], "Table 'main': buckets 0 to 4096 have two rows of id 9"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(tmp_path, parts, text):
    with pytest.raises(CheckpointError, match=text):
        write(tmp_path / "1", iter(parts))
    assert not (tmp_path / "1/served/manifest.json").exists()


def test_an_id_of_another_bucket_is_refused(tmp_path):
    bucket = int(bucket_of(np.array([42]))[0])
    assert write(tmp_path / "1", iter([part(bucket, bucket + 1, [42])])).tables[0].rows == 1
    for number, (first, last) in enumerate([(bucket + 1, bucket + 2), (bucket - 1, bucket)]):
        with pytest.raises(CheckpointError, match=rf"buckets {first} to {last} hold an id of bucket {bucket}\."):
            write(tmp_path / f"wrong{number}", iter([part(first, last, [42])]))


def test_a_row_that_is_not_finite_leaves_no_version(tmp_path):
    rows = {**random_rows(range(50), DIMS["main"]), 7: np.full(DIMS["main"], np.nan, np.float32)}
    with pytest.raises(ServedModelError, match="id 7 "):
        write(tmp_path / "1", parts_of(rows, DIMS["main"], 2))
    assert not (tmp_path / "1/served/manifest.json").exists()


def test_ids_come_into_the_order_of_buckets_from_any_order():
    ids = np.random.default_rng(1).integers(-(2**63), 2**63 - 1, 500)
    for given in (ids, np.sort(ids)):
        ordered = given[in_bucket_order(given)]
        keys = list(zip(bucket_of(ordered).tolist(), ordered.tolist(), strict=True))
        assert keys == sorted(keys)
