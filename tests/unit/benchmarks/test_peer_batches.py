"""What the peers train on: the same ids as ours, as row numbers, in the peers' layout."""

import json
from pathlib import Path

import numpy as np

from tests.benchmarks.peers.batches import Export
from tests.benchmarks.peers.export import RowNumbers


def write_batch(folder: Path) -> Export:
    """Two groups, of one impression and of two; two fields of users, one of impressions."""
    np.savez(
        folder / "train-0-00000.npz",
        user_rows=np.array([7, 8, 9, 5]),
        user_lengths=np.array([1, 2, 0, 1]),  # group 0: (7) (8 9); group 1: () (5)
        user_weights=np.array([1, 0.5, 2, 1], dtype=np.float32),
        impression_rows=np.array([3, 4, 6]),
        impression_lengths=np.array([1, 0, 2]),  # (3); (); (4 6)
        impression_weights=np.array([1, 1, 4], dtype=np.float32),
        impressions_per_group=np.array([1, 2]),
        labels=np.array([[0, 0], [1, 0], [1, 1]], dtype=np.float32),
    )
    (folder / "export.json").write_text(json.dumps({"rows": 10, "user_fields": 2, "impression_fields": 1}))
    return Export.open(folder)


def bags_of(bags, examples: int) -> list[list[list[int]]]:
    parts = np.split(bags.rows, bags.offsets[1:-1])
    lists = [part.tolist() for part in parts]
    return [lists[start : start + examples] for start in range(0, len(lists), examples)]


def test_repeated_bags_hold_the_users_ids_once_an_impression_field_by_field(tmp_path: Path):
    (batch,) = write_batch(tmp_path).train(grouped=False)
    assert batch.repeated is not None
    assert bags_of(batch.repeated, 3) == [[[7], [], []], [[8, 9], [5], [5]], [[3], [], [4, 6]]]
    assert batch.repeated.weights.tolist() == [1, 0.5, 2, 1, 1, 1, 1, 4]
    assert batch.user is None


def test_grouped_bags_hold_the_users_ids_once_a_group(tmp_path: Path):
    (batch,) = write_batch(tmp_path).train(grouped=True)
    assert batch.user is not None
    assert batch.impression is not None
    assert bags_of(batch.user, 2) == [[[7], []], [[8, 9], [5]]]
    assert bags_of(batch.impression, 3) == [[[3], [], [4, 6]]]
    assert batch.group_of_impression.tolist() == [0, 1, 1]


def test_known_ids_have_rows_of_their_own_and_unknown_ones_never_share_them():
    known = np.array([50, -3, 12])
    rows = RowNumbers(known, 10)
    of_known = rows.of(known)
    assert len(set(of_known.tolist())) == 3
    assert not set(rows.of(np.array([51, 7, -4, 10**12])).tolist()) & set(of_known.tolist())
    assert rows.of(known[::-1]).tolist() == of_known[::-1].tolist()
