"""Ids that are counted but not admitted are forgotten by the rules by which rows are removed."""

import numpy as np
import pyarrow as pa
import pytest

from esmm_dist.arrays import I64
from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.embedded_store import EmbeddedStore
from esmm_dist.embedding.eviction import EvictionPlan, EvictionRule, MinimumCount, RowBudget, TimeToLive
from esmm_dist.embedding.placement import server_of
from esmm_dist.embedding.table import EmbeddingTable
from esmm_dist.embedding.table_files import TableFile, restore_table, save_table
from esmm_dist.errors import CheckpointError
from esmm_dist.storage.folder import Folder

CONFIG = EmbeddingConfig(embedding_dim=2, embedding_optimizer="sgd", admit_after=3)
ALL = (0, 4096)


@pytest.fixture
def folder(tmp_path) -> Folder:
    folder = Folder.open(tmp_path / "saved")
    folder.make()
    return folder


def push(table: EmbeddingTable, held: dict[int, int], step: int) -> None:
    """Push ids, each with the number of impressions that hold it."""
    ids = np.array(sorted(held), dtype=np.int64)
    counts = np.array([held[id_] for id_ in ids.tolist()])
    table.push(table.prepare(ids, counts), np.ones((len(ids), 2), np.float32), impressions=1, step=step)


def table_after(pushes: list[dict[int, int]], *, keep_undo: bool = False) -> EmbeddingTable:
    table = EmbeddingTable("t", CONFIG, seed=6, keep_undo=keep_undo)
    for step, held in enumerate(pushes, start=1):
        push(table, held, step)
    return table


def waiting(*tables: EmbeddingTable) -> dict[int, tuple[int, int]]:
    """Return (impressions, last step) of each candidate."""
    found = {}
    for table in tables:
        candidates = table.export_candidates(*ALL)
        columns = (candidates.ids.tolist(), candidates.impressions.tolist(), candidates.last_step.tolist())
        found |= {id_: (impressions, step) for id_, impressions, step in zip(*columns, strict=True)}
    return found


def ids_seen_once(steps: int) -> list[dict[int, int]]:
    return [{1000 * step + i: 1 for i in range(100)} for step in range(steps)]


def test_a_candidates_last_step_is_that_of_the_push_that_counted_it_last():
    table = table_after([{1: 1, 2: 1}, {2: 1, 3: 1}, {9: 3}])
    assert waiting(table) == {1: (1, 1), 2: (2, 2), 3: (1, 2)}
    push(table, {2: 1}, 4)  # its third impression
    assert waiting(table) == {1: (1, 1), 3: (1, 2)}


def test_ids_that_are_seen_once_do_not_pile_up():
    plan = EvictionPlan(time_to_live=TimeToLive(ttl_steps=10))
    table = table_after([])
    for step, held in enumerate(ids_seen_once(50), start=1):
        push(table, held, step)
        if step % 5 == 0:
            plan.apply([table], step=step)
    assert (len(table), len(table._index)) == (0, 10 * 100)
    assert {last for _, last in waiting(table).values()} == set(range(41, 51))


def test_a_forgotten_candidate_is_counted_anew():
    table = table_after([{1: 2, 2: 2}, {2: 0}])
    assert table.remove(EvictionRule(older_than_step=2)) == 0  # the return value counts rows
    assert waiting(table) == {2: (2, 2)}
    push(table, {1: 1, 2: 1}, 3)
    assert table.export(*ALL).ids.tolist() == [2]
    assert waiting(table) == {1: (1, 3)}


@pytest.mark.parametrize(
    ("plan", "left"),
    [
        (EvictionPlan(time_to_live=TimeToLive(ttl_steps=2)), [3, 4]),
        # no step has changed a candidate: one is too few for any minimum, once the grace is over
        (EvictionPlan(minimum_count=MinimumCount(min_count=1, grace_steps=3)), [2, 3, 4]),
        # 20 rows of step 1 and one of step 4; the cut is at step 1, and nothing is older
        (EvictionPlan(row_budget=RowBudget(max_rows=15)), [1, 2, 3, 4]),
        # the 20 rows go and the cut is within step 4: older candidates go too, those of the step itself stay
        (EvictionPlan(row_budget=RowBudget(max_rows=0)), [4]),
        (EvictionPlan(row_budget=RowBudget(max_rows=21)), [1, 2, 3, 4]),
    ],
)
def test_what_each_policy_means_for_candidates(plan, left):
    table = table_after([{1: 1} | dict.fromkeys(range(100, 120), 3), {2: 1}, {3: 1}, {4: 1, 200: 3}])
    plan.apply([table], step=4)
    assert sorted(waiting(table)) == left


@pytest.mark.parametrize("parts", [2, 3, 5])
def test_a_table_in_parts_forgets_the_same_candidates_as_one_in_one_piece(parts):
    random = np.random.default_rng(3)
    pushes = [{int(i): 1 + int(i) % 3 for i in random.integers(0, 3000, 80)} for _ in range(12)]
    plan = EvictionPlan(
        time_to_live=TimeToLive(ttl_steps=9),
        minimum_count=MinimumCount(min_count=2, grace_steps=6),
        row_budget=RowBudget(max_rows=150),
    )

    def share(held: dict[int, int], part: int) -> dict[int, int]:
        ids: I64 = np.array(list(held))
        return {id_: held[id_] for id_ in ids[server_of(ids, parts) == part].tolist()}

    whole = table_after(pushes)
    shards = [table_after([share(held, part) for held in pushes]) for part in range(parts)]
    before = waiting(whole)
    assert plan.apply(shards, step=12) == plan.apply([whole], step=12) > 0
    assert 0 < len(waiting(whole)) < len(before)
    assert waiting(*shards) == waiting(whole)


def test_an_eviction_goes_on_after_a_checkpoint_as_before(folder):
    config = EmbeddingConfig(embedding_dim=2, admit_after=3, evict_every_steps=2, ttl_steps=3)
    store, back = (EmbeddedStore(("t",), config, seed=6) for _ in range(2))
    for step in range(1, 7):
        push(store.table("t"), {step: 1, step + 1: 1}, step)
    back.restore(folder, store.save(folder, step=6), step=6)
    assert waiting(back.table("t")) == waiting(store.table("t"))
    for each in (store, back):
        each.evict(step=6)
    assert sorted(waiting(back.table("t"))) == sorted(waiting(store.table("t"))) == [4, 5, 6, 7]


def test_candidates_of_another_run_count_as_old_in_a_run_that_starts_from_them(folder):
    table, new = table_after(ids_seen_once(3)), table_after([])
    restore_table(folder, new, save_table(folder, table, *ALL), ALL, step=0)
    assert {last for _, last in waiting(new).values()} == {0}


def test_candidates_of_a_file_without_last_steps_count_as_held_at_the_checkpoints_step(folder):
    """Files of release 0.1 have ids and impressions only."""
    table = table_after([{5: 2, 8: 1}])
    (file,) = (each for each in save_table(folder, table, *ALL) if each.kind == "candidates")
    old = rewritten(folder, file, pa.table({"id": np.array([5, 8]), "impressions": np.array([2, 1])}))
    back = table_after([])
    restore_table(folder, back, [old], ALL, step=70)
    assert waiting(back) == {5: (2, 70), 8: (1, 70)}


def test_a_file_of_candidates_without_impressions_is_refused(folder):
    table = table_after([{5: 2, 8: 1}])
    (file,) = (each for each in save_table(folder, table, *ALL) if each.kind == "candidates")
    wrong = rewritten(folder, file, pa.table({"id": np.array([5, 8]), "last_step": np.array([2, 1])}))
    with pytest.raises(CheckpointError, match="it has the columns id, last_step, expected id, impressions, last_step"):
        restore_table(folder, table_after([]), [wrong], ALL, step=70)


def rewritten(folder: Folder, file: TableFile, arrow: pa.Table) -> TableFile:
    """Return the description of a file that now holds ``arrow``."""
    from dataclasses import replace

    import google_crc32c

    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, arrow.schema) as writer:
        writer.write_table(arrow)
    data = sink.getvalue().to_pybytes()
    folder.write_bytes(file.path, data)
    return replace(file, file_bytes=len(data), crc32c=google_crc32c.value(data))


def test_forgotten_candidates_end_the_undoing_of_a_push_and_kept_ones_do_not():
    table = table_after([{1: 1}, {2: 1}], keep_undo=True)
    table.remove(EvictionRule(older_than_step=1))
    assert table.undoable_step == 2
    table.remove(EvictionRule(older_than_step=2))
    assert table.undoable_step is None


def test_a_ticket_that_found_a_candidate_learns_that_it_is_forgotten():
    table = table_after([{1: 2}])
    ticket = table.prepare(np.array([1]), np.array([2]))
    table.remove(EvictionRule(older_than_step=2))
    table.push(ticket, np.ones((1, 2), np.float32), impressions=1, step=2)
    assert waiting(table) == {1: (2, 2)}  # with the forgotten two it would have been admitted


def test_candidates_are_counted_with_their_memory():
    table = table_after([{1: 1, 2: 1, 3: 3}])
    assert (table.num_candidates, len(table)) == (2, 1)
    assert table.candidate_bytes == 2 * 100
    everybody = EmbeddingTable("t", EmbeddingConfig(embedding_dim=2), seed=6)
    assert (everybody.num_candidates, everybody.candidate_bytes) == (0, 0)
