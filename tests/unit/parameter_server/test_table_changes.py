"""Which rows that were pulled ahead have changed since, by the table's versions."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.eviction import EvictionRule
from esmm_dist.embedding.table import EmbeddingTable
from esmm_dist.parameter_server.table_changes import NO_PUSH, LastPush

IDS = np.arange(8)
PUSH = LastPush(before=4, after=5, ids=np.array([1, 3, 9]))


def test_rows_of_the_same_version_have_not_changed():
    assert PUSH.changed(IDS, since=5, version=5).tolist() == []
    assert NO_PUSH.changed(IDS, since=7, version=7).tolist() == []


def test_after_one_push_the_rows_that_it_named_have_changed():
    assert PUSH.changed(np.array([0, 1, 9]), since=4, version=5).tolist() == [1, 2]


def test_after_anything_else_all_rows_may_have_changed():
    for since, version in ((3, 5), (4, 6), (5, 6), (5, 4)):  # two pushes; one and an eviction; an eviction; none known
        assert PUSH.changed(IDS, since=since, version=version).tolist() == IDS.tolist()
    assert NO_PUSH.changed(IDS, since=1, version=2).tolist() == IDS.tolist()


def test_the_version_before_is_told_while_the_push_is_the_newest_change():
    assert PUSH.version_before(5) == 4
    assert PUSH.version_before(6) == 6


CHANGES = st.sampled_from(["push", "push nothing", "evict", "undo", "clear", "fail"])


@given(
    changes=st.lists(CHANGES, max_size=6),
    read_at=st.integers(0, 6),
    admit_after=st.sampled_from([1, 2]),
    data=st.data(),
)
def test_rows_that_are_not_named_are_those_of_the_table(changes, read_at, admit_after, data):
    """Whatever happens to a table between two reads, what ``changed`` leaves out reads the same."""
    config = EmbeddingConfig(embedding_dim=2, embedding_optimizer="adagrad", admit_after=admit_after)
    table, last = EmbeddingTable("t", config, seed=1, max_rows=100, keep_undo=True), NO_PUSH
    rows, version = table.pull(table.prepare(IDS)), table.version
    for number, change in enumerate(changes, start=1):
        if change in ("push", "push nothing", "fail"):
            size = 0 if change == "push nothing" else 6
            ids = np.array(sorted(data.draw(st.sets(st.integers(0, 9), max_size=size))), dtype=np.int64)
            ticket, before = table.prepare(ids, np.ones(len(ids), np.int64)), table.version
            gradients = np.ones((len(ids), 3 if change == "fail" else 2), np.float32)
            try:
                table.push(ticket, gradients, impressions=1, step=number)
            except ValueError:
                continue
            last = LastPush(before=before, after=table.version, ids=ids)
        elif change == "evict":
            table.remove(EvictionRule(older_than_step=number))
        elif change == "undo" and table.undoable_step is not None:
            table.undo_push()
        elif change == "clear":
            table.clear()
        if number <= read_at:
            rows, version = table.pull(table.prepare(IDS)), table.version
    now, changed = table.pull(table.prepare(IDS)), last.changed(IDS, since=version, version=table.version)
    rows[changed] = now[changed]
    np.testing.assert_array_equal(rows, now)
