"""Files of NumPy columns that are cut into partitions."""

from pathlib import Path

import numpy as np

from preprocess.work.blocks import Column, read_block, write_blocks


def test_block_file_gives_back_each_partition(tmp_path: Path):
    splits, feature_splits = np.array([0, 2, 2, 3]), np.array([0, 3, 3, 4])
    columns = {
        "key": Column(data=np.array([7, 8, 9], np.uint64), splits=splits),
        "lengths": Column(data=np.array([[1, 0], [0, 2], [1, 0]], np.int32), splits=splits),
        "ids": Column(data=np.arange(4, dtype=np.int64), splits=feature_splits),
    }
    sizes = write_blocks(tmp_path / "b", columns)
    assert sizes.tolist() == [2 * 8 + 4 * 4 + 3 * 8, 0, 8 + 2 * 4 + 8]
    first = read_block(tmp_path / "b", 0, ("key", "lengths", "ids"))
    assert [first[name].tolist() for name in first] == [[7, 8], [[1, 0], [0, 2]], [0, 1, 2]]
    assert read_block(tmp_path / "b", 1, ("lengths",))["lengths"].shape == (0, 2)
    assert read_block(tmp_path / "b", 2, ("ids",))["ids"].tolist() == [3]
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_the_file_of_one_partition_holds_the_columns_as_they_are(tmp_path: Path):
    some = np.arange(12, dtype=np.int32).reshape(6, 2)[::2]  # not one after the other in memory
    columns = {
        "key": Column(data=np.array([7, 8, 9], np.uint64), splits=np.array([0, 3])),
        "lengths": Column(data=some, splits=np.array([0, 3])),
        "ids": Column(data=np.arange(4, dtype=np.int64), splits=np.array([0, 4])),
    }
    assert write_blocks(tmp_path / "b", columns).tolist() == [3 * 8 + 3 * 8 + 4 * 8]
    read = read_block(tmp_path / "b", 0, ("key", "lengths", "ids"))
    assert [read[name].tolist() for name in read] == [[7, 8, 9], some.tolist(), [0, 1, 2, 3]]
