"""Records of many partitions become those of one."""

from pathlib import Path

import numpy as np
import pytest

from preprocess.write.merge_records import MOST_FILES, cut_index, group_names, key_bounds, merge_records, read_records
from preprocess.write.records import INDEX_DTYPE, index_path, records_path


def write_partition(work: Path, name: str, keys: list[int]) -> list[tuple[int, bytes]]:
    """Write one record for each key, longer the later; return (key, bytes)."""
    (work / "records").mkdir(exist_ok=True)
    records = [(key, f"{name}/{key}/".encode() * (1 + place)) for place, key in enumerate(sorted(keys))]
    index = np.zeros(len(records), INDEX_DTYPE)
    index["key"] = [key for key, _ in records]
    index["length"] = [len(data) for _, data in records]
    index["offset"] = np.cumsum(index["length"]) - index["length"]
    index["impressions"] = 3
    index.tofile(index_path(work, name))
    records_path(work, name).write_bytes(b"".join(data for _, data in records))
    return records


@pytest.mark.parametrize("room_bytes", [1, 200, 10**6])
def test_merged_records_stand_in_the_order_of_their_keys_with_an_index_that_finds_them(tmp_path: Path, room_bytes: int):
    rng = np.random.default_rng(1)
    keys = {name: rng.integers(0, 2**64, size, np.uint64).tolist() for name, size in (("a", 30), ("b", 0), ("c", 9))}
    expected = sorted(record for name, of_name in keys.items() for record in write_partition(tmp_path, name, of_name))
    merge_records(tmp_path, list(keys), "merged", room_bytes)
    index, data = read_records(tmp_path, ["merged"], np.array([0]), np.array([len(expected)]))
    assert index["key"].tolist() == [key for key, _ in expected]
    assert data.tobytes() == b"".join(record for _, record in expected)
    assert index["offset"].tolist() == (np.cumsum(index["length"]) - index["length"]).tolist()
    assert index["impressions"].tolist() == [3] * len(expected)
    some, part = read_records(tmp_path, ["merged"], np.array([4]), np.array([6]))
    assert part.tobytes() == expected[4][1] + expected[5][1]
    assert some["key"].tolist() == [expected[4][0], expected[5][0]]


def test_an_index_is_cut_where_the_keys_reach_a_bound_however_it_is_read(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("preprocess.write.merge_records._INDEX_ENTRIES", 2)
    bounds = key_bounds(4)
    assert bounds.tolist() == [1 << 62, 2 << 62, 3 << 62]
    write_partition(tmp_path, "a", [0, (1 << 62) - 1, 1 << 62, 3 << 62, (3 << 62) + 1])
    assert cut_index(tmp_path, "a", bounds).tolist() == [0, 2, 3, 3, 5]


@pytest.mark.parametrize("partitions", [1, 64, 65, 1000, 4096])
def test_a_slice_is_read_from_a_bounded_number_of_files(partitions: int):
    names = [f"train-{number:04d}" for number in range(partitions)]
    groups = group_names(names)
    assert len(groups) <= MOST_FILES
    assert [name for group in groups for name in group] == names
