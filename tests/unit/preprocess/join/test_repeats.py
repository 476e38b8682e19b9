"""Lines that repeat an earlier line's name."""

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from preprocess.join.repeats import find_repeats, later_positions, load_repeats, merge_repeats
from preprocess.read.feature_rows import FeatureEntries
from preprocess.read.row_files import ChunkId, RawRows, RowFile, Targets, rows_path, write_rows

NO_FEATURES = FeatureEntries(
    row=np.zeros(0, np.int64),
    field=np.zeros(0, np.uint8),
    ids=np.zeros(0, np.int64),
    values=np.zeros(0, np.float32),
)


@given(st.lists(st.integers(0, 5), max_size=20))
def test_the_first_line_of_a_name_is_no_repeat_and_all_later_ones_are(names: list[int]):
    positions = np.arange(len(names)) * 7
    expected = [7 * place for place, name in enumerate(names) if name in names[:place]]
    assert later_positions(np.array(names, np.int64), positions).tolist() == expected


def test_repeats_are_found_across_chunks_and_files_whatever_the_partitions(tmp_path: Path):
    (tmp_path / "chunks").mkdir()
    chunks = [ChunkId(split="train", file=f, chunk=c) for f, c in ((0, 0), (0, 1), (1, 0))]
    sample_ids = [[4, 5, 4], [6], [5, 7]]
    for chunk, ids in zip(chunks, sample_ids, strict=True):
        targets = Targets(sample_ids=np.array(ids), labels=np.zeros((len(ids), 2), np.uint8))
        keys = np.arange(len(ids), dtype=np.uint64)
        raw = RawRows(lines=np.arange(len(ids)), keys=keys, features=NO_FEATURES, targets=targets)
        write_rows(rows_path(tmp_path, "skeleton", chunk), raw, 1, 3)
    files = [RowFile(path=rows_path(tmp_path, "skeleton", chunk), base=chunk.base) for chunk in chunks]
    found = [find_repeats(tmp_path, "skeleton", "train", files, p)["repeats"] for p in range(3)]
    assert sum(found) == 2
    assert merge_repeats(tmp_path, "skeleton", "train", 3) == {"repeats": 2}
    # line 2 of the first chunk repeats id 4, line 0 of the second file repeats id 5
    assert load_repeats(tmp_path, "skeleton", "train").tolist() == [chunks[0].base + 2, chunks[2].base]


def test_a_log_whose_impressions_are_numbered_here_has_no_file_of_repeats(tmp_path: Path):
    assert load_repeats(tmp_path, "skeleton", "test").tolist() == []
