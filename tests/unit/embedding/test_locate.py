"""Rows found ahead of the pull, and pushes that start from what was pulled: shortcuts that must not show."""

import threading

import numpy as np

from esmm_dist.arrays import F32, I64
from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.table import EmbeddingTable

CONFIG = EmbeddingConfig(embedding_dim=2, embedding_learning_rate=0.5, start_scale=0.1, embedding_optimizer="adam")


def gradients(ids: I64, step: int) -> F32:
    return np.random.default_rng(step).normal(size=(len(ids), 2)).astype(np.float32)


def assert_same(found: EmbeddingTable, expected: EmbeddingTable) -> None:
    rows, reference = found.export(0, 4096), expected.export(0, 4096)
    for column in ("ids", "rows", "slots", "last_step", "count"):
        np.testing.assert_array_equal(getattr(rows, column), getattr(reference, column))


def test_an_id_located_while_unseen_and_created_since_is_pulled_as_it_is_now():
    table = EmbeddingTable("t", CONFIG, seed=6)
    ids = np.array([1, 5, 9])
    table.locate(ids)
    table.push(ids[:2].copy(), gradients(ids[:2], 1), impressions=1, step=1)
    expected = table.pull(ids.copy())
    np.testing.assert_array_equal(table.pull(ids), expected)
    # were 1 and 5 still held for unseen, this push would give them second rows
    table.push(ids, gradients(ids, 2), impressions=1, step=2)
    assert len(table) == 3
    assert table.export(0, 4096).count.tolist() == [2, 2, 1]


def test_training_with_rows_located_ahead_equals_training_without():
    plain, ahead = EmbeddingTable("t", CONFIG, seed=6), EmbeddingTable("t", CONFIG, seed=6)
    batches = [np.unique(np.random.default_rng(step).integers(0, 300, 120)) for step in range(12)]
    for ids in batches[:3]:
        ahead.locate(ids)
    for number, ids in enumerate(batches):
        if number + 3 < len(batches):  # three batches ahead, as the prefetcher does
            thread = threading.Thread(target=ahead.locate, args=(batches[number + 3],))
            thread.start()
        for table in (plain, ahead):
            table.pull(ids)
            table.push(ids, gradients(ids, number), impressions=4, step=number + 1)
        thread.join()
    assert_same(ahead, plain)


def test_a_push_of_other_ids_than_were_pulled_reads_its_own_rows():
    table, expected = EmbeddingTable("t", CONFIG, seed=6), EmbeddingTable("t", CONFIG, seed=6)
    ids, others = np.array([1, 5, 9]), np.array([1, 5, 10])
    table.pull(ids)
    for each in (table, expected):
        each.push(others, gradients(others, 1), impressions=1, step=1)
    assert_same(table, expected)


def test_a_push_between_pull_and_push_is_not_undone():
    table, expected = EmbeddingTable("t", CONFIG, seed=6), EmbeddingTable("t", CONFIG, seed=6)
    ids, others = np.array([1, 5, 9]), np.array([1, 5])
    table.pull(ids)
    for each in (table, expected):
        each.push(others, gradients(others, 1), impressions=1, step=1)
        each.push(ids, gradients(ids, 2), impressions=1, step=2)
    assert_same(table, expected)


def test_a_pulled_array_is_the_callers_own():
    table = EmbeddingTable("t", CONFIG, seed=6)
    ids = np.array([1, 5])
    start = table.pull(ids)
    kept = start.copy()
    start[:] = 99.0
    np.testing.assert_array_equal(table.pull(ids), kept)
    pulled = table.pull(ids)
    table.push(ids, gradients(ids, 1), impressions=1, step=1)
    np.testing.assert_array_equal(pulled, kept)
