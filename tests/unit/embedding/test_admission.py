"""When an id gets a row: the policy, and the table that obeys it."""

import numpy as np
import pytest

from esmm_dist.embedding.admission import OccurrenceThreshold
from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.embedded_store import EmbeddedStore
from esmm_dist.embedding.start_values import StartValues
from esmm_dist.embedding.table import EmbeddingTable
from esmm_dist.storage.folder import Folder

CONFIG = EmbeddingConfig(
    embedding_dim=2, embedding_learning_rate=0.5, start_scale=0.1, embedding_optimizer="sgd", admit_after=5
)
IDS = np.array([-4, 1, 9])


def ones(rows: int) -> np.ndarray:
    return np.ones((rows, 2), dtype=np.float32)


def push(table: EmbeddingTable, counts: list[int], *, step: int, ids: np.ndarray = IDS) -> None:
    table.push(table.prepare(ids, np.array(counts)), ones(len(ids)), impressions=2, step=step)


@pytest.mark.parametrize(
    ("threshold", "so_far", "admitted"),
    [
        (1, [1, 7], [True, True]),
        (3, [1, 2, 3, 4], [False, False, True, True]),  # the third impression is enough
    ],
)
def test_a_threshold_admits_from_its_number_on(threshold, so_far, admitted):
    assert OccurrenceThreshold(impressions=threshold).admits(np.array(so_far)).tolist() == admitted


def test_a_threshold_of_one_asks_for_no_counts():
    assert not OccurrenceThreshold(impressions=1).counts
    assert OccurrenceThreshold(impressions=2).counts


def test_an_unadmitted_id_reads_its_start_value_and_learns_nothing():
    table = EmbeddingTable("t", CONFIG, seed=6)
    for step in (1, 2):
        push(table, [1, 2, 2], step=step)
    assert len(table) == 0
    np.testing.assert_array_equal(
        table.pull(table.prepare(IDS)), StartValues(embedding_dim=2, scale=0.1, seed=6).rows(IDS)
    )


def test_an_id_is_admitted_with_the_push_that_reaches_the_number_and_learns_from_that_one_on():
    table = EmbeddingTable("t", CONFIG, seed=6)
    start = table.pull(table.prepare(IDS))
    push(table, [4, 5, 1], step=1)
    assert table.export(0, 4096).ids.tolist() == [1]
    push(table, [1, 1, 3], step=2)  # -4 has now 5; 9 has 4
    assert table.export(0, 4096).ids.tolist() == [-4, 1]
    # SGD: each step moves a row by 0.5 · 1/2
    np.testing.assert_allclose(table.pull(table.prepare(IDS)), start - np.array([[0.25], [0.5], [0.0]]), rtol=1e-6)
    push(table, [1, 1, 1], step=3)
    assert len(table) == 3


def test_counts_far_apart_add_up_exactly_beside_rows_that_exist():
    table = EmbeddingTable("t", CONFIG, seed=6)
    many = np.arange(1000)
    for step in range(1, 5):
        push(table, [1] * 1000, step=step, ids=many)
        push(table, [7, 7, 7], step=step, ids=np.array([2000, 2001, 2002]))
    assert len(table) == 3
    assert table.export_candidates(0, 4096).impressions.tolist() == [4] * 1000
    push(table, [1] * 1000, step=5, ids=many)
    assert len(table) == 1003
    assert len(table.export_candidates(0, 4096).ids) == 0


def test_a_push_without_counts_is_refused_where_admission_counts():
    table = EmbeddingTable("t", CONFIG, seed=6)
    with pytest.raises(ValueError, match="Table 't': admit_after is 5, but the push does not say how many impressions"):
        table.push(table.prepare(IDS), ones(3), impressions=2, step=1)
    assert len(table) == 0


def test_counts_survive_a_checkpoint(tmp_path):
    folder = Folder.open(tmp_path / "saved")
    folder.make()
    store = EmbeddedStore(("t",), CONFIG, seed=6)
    push(store.table("t"), [4, 5, 1], step=1)
    files = store.save(folder, step=1)
    assert [(file.kind, file.rows) for file in files] == [("rows", 1), ("candidates", 2)]

    back = EmbeddedStore(("t",), CONFIG, seed=6)
    back.restore(folder, files, step=1)
    for each in (store, back):
        push(each.table("t"), [1, 1, 3], step=2)
    assert back.table("t").export(0, 4096).ids.tolist() == [-4, 1]
    for column in ("ids", "rows", "count"):
        found, expected = (getattr(each.export("t", 0, 4096), column) for each in (back, store))
        np.testing.assert_array_equal(found, expected)
    assert back.table("t").export_candidates(0, 4096).impressions.tolist() == [4]


def test_saved_counts_are_dropped_by_a_table_that_admits_every_id(tmp_path):
    folder = Folder.open(tmp_path / "saved")
    folder.make()
    store = EmbeddedStore(("t",), CONFIG, seed=6)
    push(store.table("t"), [4, 4, 1], step=1)
    open_to_all = EmbeddedStore(("t",), EmbeddingConfig(embedding_dim=2, embedding_optimizer="sgd"), seed=6)
    open_to_all.restore(folder, store.save(folder, step=1), step=1)
    open_to_all.push(open_to_all.prepare("t", IDS), ones(3), impressions=1, step=2)
    assert open_to_all.num_rows("t") == 3
