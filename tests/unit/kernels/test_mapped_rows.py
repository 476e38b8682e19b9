"""Rows found in layers of sorted arrays: as plain NumPy finds and reads them, bit for bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esmm_dist.embedding.placement import bucket_of, bucket_ranges
from esmm_dist.embedding.start_values import StartValues
from esmm_dist.served_model.layers import Layer, MappedShard, begins_of, in_bucket_order
from esmm_dist.served_model.mapped_table import MappedTable
from esmm_dist.served_model.row_types import stored_rows
from tests.support.reference import mapped_rows as reference

SEED = 3
START = {dim: StartValues(embedding_dim=dim, scale=0.5, seed=SEED) for dim in (1, 3, 16)}


def layer_of(ids, values, scales, parts):
    """Return a layer of some shards; ``values`` None: of ids that are removed."""
    order = in_bucket_order(ids)
    ids = ids[order]
    buckets, shards = bucket_of(ids), []
    for first, last in bucket_ranges(parts):
        places = (buckets >= first) & (buckets < last)
        shards.append(
            MappedShard(
                first_bucket=first,
                last_bucket=last,
                ids=ids[places],
                begins=begins_of(ids[places], first, last),
                values=None if values is None else values[order][places],
                scales=None if scales is None else scales[order][places],
            )
        )
    return Layer(shards=tuple(shards))


def id_pool(random, size, crowded):
    """Return ids; crowded ones share a few buckets, so that a search has several steps."""
    pool = random.integers(-(2**63), 2**63 - 1, size * (400 if crowded else 1))
    if crowded:
        pool = pool[bucket_of(pool) < 12]
    return np.unique(np.concatenate([pool, [-(2**63), -1, 0, 1, 2**63 - 1]]))


@pytest.mark.parametrize("row_type", ["float32", "float16", "int8"])
@settings(max_examples=40)
@given(
    seed=st.integers(0, 9999),
    dim=st.sampled_from(list(START)),
    num_layers=st.integers(1, 4),
    crowded=st.booleans(),
    parts=st.sampled_from([1, 3]),
)
def test_rows_are_those_that_numpy_finds_and_reads(row_type, seed, dim, num_layers, crowded, parts):
    random = np.random.default_rng(seed)
    pool = id_pool(random, 120, crowded)
    layers = []
    for _ in range(num_layers):
        ids = random.choice(pool, len(pool) // 2, replace=False)
        if random.random() < 0.3:
            layers.append(layer_of(ids, None, None, parts))
            continue
        # Of many sizes, so that float16 has denormals
        rows = random.normal(size=(len(ids), dim)) * 2.0 ** random.integers(-70, 60, (len(ids), dim))
        stored = stored_rows(ids, rows.astype(np.float32), row_type, where="test")
        layers.append(layer_of(ids, stored.values, stored.scales, parts))
    table = MappedTable(layers, num_rows=0, row_type=row_type, start_rows=START[dim].choices, seed=SEED)
    asked = random.permutation(np.concatenate([pool, random.integers(0, 2**63 - 1, 20)]))

    rows, found = table.find(asked)

    expected_rows, expected_found = reference.find(layers, asked, START[dim])
    np.testing.assert_array_equal(found, expected_found)
    np.testing.assert_array_equal(rows.view(np.uint32), expected_rows.view(np.uint32))
    np.testing.assert_array_equal(table.knows(asked), expected_found)


def test_every_float16_is_read_as_numpy_reads_it():
    values = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    values = values[np.isfinite(values)].reshape(-1, 1)
    ids = np.arange(len(values))
    order = in_bucket_order(ids)
    layer = layer_of(ids, values, np.full(len(ids), 0.75, np.float32), 1)
    table = MappedTable([layer], num_rows=0, row_type="float16", start_rows=START[1].choices, seed=SEED)
    rows, _ = table.find(ids)
    np.testing.assert_array_equal(rows, values.astype(np.float32) * np.float32(0.75))
    assert len(order) == 63_488  # 2 signs, 31 exponents that are finite, 1024 fractions


def test_no_ids_and_no_rows_are_harmless():
    empty = np.empty(0, np.int64)
    table = MappedTable([Layer(shards=())], num_rows=0, row_type="int8", start_rows=START[3].choices, seed=SEED)
    rows, found = table.find(empty)
    assert rows.shape == (0, 3)
    assert found.shape == (0,)
    rows, found = table.find(np.array([5, 2**63 - 1]))
    np.testing.assert_array_equal(rows, START[3].rows(np.array([5, 2**63 - 1])))
    assert not found.any()


@pytest.mark.parametrize("seed", [0, 1, -1, 2**63, 2**64 + 5])
def test_start_rows_are_picked_as_a_store_picks_them_for_any_seed(seed):
    start = StartValues(embedding_dim=2, scale=0.5, seed=seed)
    table = MappedTable([Layer(shards=())], num_rows=0, row_type="float32", start_rows=start.choices, seed=seed)
    ids = np.arange(-50, 50)
    np.testing.assert_array_equal(table.find(ids)[0], start.rows(ids))
