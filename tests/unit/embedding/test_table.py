"""Pull, push, export and load of one table, and of the store that holds several."""

import numpy as np
import pytest

from esmm_dist.arrays import F32
from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.embedded_store import EmbeddedStore
from esmm_dist.embedding.placement import bucket_of, bucket_ranges
from esmm_dist.embedding.start_values import StartValues
from esmm_dist.embedding.table import EmbeddingTable
from esmm_dist.embedding.table_rows import TableRows
from esmm_dist.errors import StackError

CONFIG = EmbeddingConfig(embedding_dim=2, embedding_learning_rate=0.5, start_scale=0.1)
SGD = EmbeddingConfig(embedding_dim=2, embedding_learning_rate=0.5, start_scale=0.1, embedding_optimizer="sgd")
IDS = np.array([-4, 1, 9])


def ones(rows: int, value: float = 1.0) -> F32:
    return np.full((rows, 2), value, dtype=np.float32)


def test_pull_of_unseen_id_returns_its_start_value_and_creates_no_row():
    table = EmbeddingTable("t", CONFIG, seed=6)
    np.testing.assert_array_equal(
        table.pull(table.prepare(IDS)), StartValues(embedding_dim=2, scale=0.1, seed=6).rows(IDS)
    )
    assert len(table) == 0
    assert len(table.export(0, 4096).ids) == 0


def test_push_creates_rows_that_go_on_from_their_start_values():
    table = EmbeddingTable("t", SGD, seed=6)
    start = table.pull(table.prepare(IDS))
    table.push(table.prepare(IDS[:2]), ones(2, 3.0), impressions=6, step=1)
    assert len(table) == 2
    np.testing.assert_allclose(table.pull(table.prepare(IDS))[:2], start[:2] - 0.5 * 3 / 6, rtol=1e-6)
    np.testing.assert_array_equal(table.pull(table.prepare(IDS))[2], start[2])  # still unseen, beside rows that exist


def test_gradient_sums_are_divided_by_the_impressions_of_the_step():
    one, many = EmbeddingTable("t", SGD, seed=6), EmbeddingTable("t", SGD, seed=6)
    one.push(one.prepare(IDS), ones(3), impressions=1, step=1)
    many.push(many.prepare(IDS), ones(3, 8.0), impressions=8, step=1)
    np.testing.assert_array_equal(one.pull(one.prepare(IDS)), many.pull(many.prepare(IDS)))


def test_a_pushs_rate_factor_multiplies_the_learning_rate():
    table = EmbeddingTable("t", SGD, seed=6)
    start = table.pull(table.prepare(IDS))
    table.push(table.prepare(IDS), ones(3), impressions=1, step=1, rate_factor=0.25)
    np.testing.assert_allclose(table.pull(table.prepare(IDS)), start - 0.5 * 0.25, rtol=1e-6)


def test_a_push_in_several_threads_equals_the_formula():
    ids = np.arange(0, 60_001, 3)  # enough for more than one
    gradients = np.random.default_rng(0).normal(size=(len(ids), 2)).astype(np.float32)
    table = EmbeddingTable("t", SGD, seed=6)
    start = table.pull(table.prepare(ids))
    table.push(table.prepare(ids), gradients, impressions=1, step=1)
    np.testing.assert_allclose(table.pull(table.prepare(ids)), start - 0.5 * gradients, rtol=1e-5, atol=1e-7)


def test_nothing_pulled_and_nothing_pushed_are_harmless():
    table = EmbeddingTable("t", CONFIG, seed=6)
    nothing = np.empty(0, dtype=np.int64)
    assert table.pull(table.prepare(nothing)).shape == (0, 2)
    table.push(table.prepare(nothing), np.empty((0, 2), np.float32), impressions=1, step=1)
    assert len(table) == 0


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([1, 5, 3], "Table 't': ids must be strictly ascending; id 3 follows 5 at 2"),
        ([1, 1, 3], "Table 't': ids must be strictly ascending; id 1 follows 1 at 1"),
    ],
)
def test_unsorted_or_repeated_ids_are_refused(ids, message):
    table = EmbeddingTable("t", CONFIG, seed=6)
    with pytest.raises(ValueError, match=message):
        table.pull(table.prepare(np.array(ids)))
    with pytest.raises(ValueError, match=message):
        table.push(table.prepare(np.array(ids)), ones(3), impressions=1, step=1)
    assert len(table) == 0


@pytest.mark.parametrize("shape", [(2, 2), (3, 4)])
def test_gradients_of_another_shape_are_refused(shape):
    table = EmbeddingTable("t", CONFIG, seed=6)
    with pytest.raises(ValueError, match=rf"gradients have shape \[{shape[0]}, {shape[1]}\], expected \[3, 2\]"):
        table.push(table.prepare(IDS), np.zeros(shape, np.float32), impressions=1, step=1)


def test_a_table_that_is_full_says_what_to_do_and_stays_as_it_was():
    table = EmbeddingTable("t", CONFIG, seed=6, max_rows=4)
    table.push(table.prepare(IDS), ones(3), impressions=1, step=1)
    before = table.export(0, 4096)
    with pytest.raises(StackError, match=r"Table 't' would need 5 rows; this machine's memory holds 4\. .*--min-count"):
        table.push(table.prepare(np.array([1, 20, 30])), ones(3), impressions=1, step=2)
    assert len(table) == 3
    np.testing.assert_array_equal(table.export(0, 4096).rows, before.rows)


def test_growth_keeps_the_rows_that_are_there():
    table = EmbeddingTable("t", CONFIG, seed=6)
    table.push(table.prepare(IDS), ones(3), impressions=1, step=1)
    before = table.pull(table.prepare(IDS))
    table.push(table.prepare(np.arange(100, 40_100)), ones(40_000), impressions=1, step=2)
    assert len(table) == 40_003
    np.testing.assert_array_equal(table.pull(table.prepare(IDS)), before)


def trained_table(config: EmbeddingConfig = CONFIG) -> EmbeddingTable:
    table = EmbeddingTable("t", config, seed=6)
    for step in range(1, 4):
        ids = np.unique(np.random.default_rng(step).integers(-500, 500, 200))
        gradients = np.random.default_rng(step).normal(size=(len(ids), 2)).astype(np.float32)
        table.push(table.prepare(ids), gradients, impressions=1, step=step)
    return table


def assert_same_rows(found: TableRows, expected: TableRows) -> None:
    for column in ("ids", "rows", "slots", "last_step", "count"):
        np.testing.assert_array_equal(getattr(found, column), getattr(expected, column))


@pytest.mark.parametrize("name", ["adagrad", "rowwise_adagrad", "adam", "sgd"])
@pytest.mark.parametrize("parts", [1, 3])
def test_a_table_loaded_from_its_bucket_ranges_goes_on_like_the_original(name, parts):
    config = EmbeddingConfig(embedding_dim=2, embedding_optimizer=name)
    original = trained_table(config)
    copy = EmbeddingTable("t", config, seed=6)
    for first, last in bucket_ranges(parts):
        copy.load(original.export(first, last))
    assert_same_rows(copy.export(0, 4096), original.export(0, 4096))
    ids = np.arange(-510, 510, 2)
    for table in (original, copy):
        table.push(table.prepare(ids), np.full((len(ids), 2), 0.5, np.float32), impressions=1, step=4)
    assert_same_rows(copy.export(0, 4096), original.export(0, 4096))


def test_an_export_holds_the_rows_of_its_buckets_ordered_by_id():
    table = trained_table()
    everything = table.export(0, 4096)
    assert np.all(np.diff(everything.ids) > 0)
    for first, last in bucket_ranges(5):
        part = table.export(first, last)
        inside = (bucket_of(everything.ids) >= first) & (bucket_of(everything.ids) < last)
        assert inside.any()
        np.testing.assert_array_equal(part.ids, everything.ids[inside])
        np.testing.assert_array_equal(part.rows, everything.rows[inside])


def test_an_export_is_a_copy():
    table = EmbeddingTable("t", CONFIG, seed=6)
    table.push(table.prepare(IDS), ones(3), impressions=1, step=1)
    saved = table.export(0, 4096)
    rows = saved.rows.copy()
    table.push(table.prepare(IDS), ones(3), impressions=1, step=2)
    np.testing.assert_array_equal(saved.rows, rows)


def test_last_step_and_count_are_those_of_the_pushes():
    table = EmbeddingTable("t", CONFIG, seed=6)
    table.push(table.prepare(np.array([1, 2])), ones(2), impressions=1, step=5)
    table.push(table.prepare(np.array([2, 3])), ones(2), impressions=1, step=8)
    saved = table.export(0, 4096)
    assert saved.ids.tolist() == [1, 2, 3]
    assert saved.last_step.tolist() == [5, 8, 8]
    assert saved.count.tolist() == [1, 2, 1]


@pytest.mark.parametrize(
    "config",
    [
        EmbeddingConfig(embedding_dim=4),  # another D
        EmbeddingConfig(embedding_dim=2, embedding_optimizer="adam"),  # the same D, other slot variables
    ],
)
def test_rows_of_another_shape_are_not_loaded(config):
    saved = trained_table().export(0, 4096)
    message = r"Table 't': saved rows have 2 columns and 2 slot variables, the table has \d and 4"
    with pytest.raises(ValueError, match=message):
        EmbeddingTable("t", config, seed=6).load(saved)


def test_loading_more_than_fits_is_refused():
    with pytest.raises(StackError, match="Table 't' would need .* rows; this machine's memory holds 10"):
        EmbeddingTable("t", CONFIG, seed=6, max_rows=10).load(trained_table().export(0, 4096))


def test_memory_counts_rows_slot_variables_and_metadata():
    table = EmbeddingTable("t", CONFIG, seed=6)
    table.push(table.prepare(IDS), ones(3), impressions=1, step=1)
    assert table.memory_bytes == 3 * ((2 + 2) * 4 + 2 * 4 + 8)  # row and slot variables; last step and count; id


def test_tables_of_a_store_are_apart_and_have_their_own_dimension():
    config = EmbeddingConfig(embedding_dim=2, embedding_dim_by_table={"wide": 3})
    store = EmbeddedStore(("main", "wide"), config, seed=6)
    store.push(store.prepare("wide", IDS), np.ones((3, 3), np.float32), impressions=1, step=1)
    assert (store.num_rows("main"), store.num_rows("wide")) == (0, 3)
    assert store.pull(store.prepare("main", IDS)).shape == (3, 2)
    copy = EmbeddedStore(("main", "wide"), config, seed=6)
    copy.load("wide", store.export("wide", 0, 4096))
    np.testing.assert_array_equal(copy.pull(copy.prepare("wide", IDS)), store.pull(store.prepare("wide", IDS)))
