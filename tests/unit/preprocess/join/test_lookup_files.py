"""Which ids are kept, asked of the files that workers map."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esmm_dist.schema.fields import Field, Schema
from preprocess.join.lookup_files import VocabularyFilter, lookup_path, table_lookup_path, write_lookup

SCHEMA = Schema(
    name="s",
    labels=("click", "order"),
    fields=(Field(name="item", owner="item"), Field(name="shop", owner="item", table="shops")),
)


def filter_of(work: Path, item: list[int], shop: list[int], main: list[int], shops: list[int]) -> VocabularyFilter:
    (work / "counts").mkdir(exist_ok=True)
    for path, ids in (
        (lookup_path(work, 0), item),
        (lookup_path(work, 1), shop),
        (table_lookup_path(work, 0), main),
        (table_lookup_path(work, 1), shops),
    ):
        write_lookup(path, np.array(sorted(ids), np.int64))
    return VocabularyFilter(work, SCHEMA)


@given(
    kept=st.sets(st.one_of(st.integers(0, 60), st.integers(0, 2**63 - 1)), max_size=30),
    asked=st.lists(st.one_of(st.integers(0, 60), st.integers(0, 2**63 - 1)), max_size=30),
)
def test_an_id_is_kept_exactly_if_it_is_in_the_file_in_whichever_form(kept: set[int], asked: list[int]):
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        vocabulary = filter_of(Path(folder), list(kept), [], [], [])
        ids = np.array([*asked, *kept], np.int64)
        assert vocabulary.contains(0, ids).tolist() == [int(each) in kept for each in ids]


@pytest.mark.parametrize(
    ("ids", "form"),
    [
        ([10, 12, 20], "uint8"),  # a range of 11 for 3 ids: one byte each is smaller than 16 bytes an id
        ([0, 10**9], "int64"),
        ([], "int64"),
    ],
)
def test_ids_that_stand_close_together_are_a_table(tmp_path: Path, ids: list[int], form: str):
    write_lookup(tmp_path / "lookup.npy", np.array(ids, np.int64))
    assert np.load(tmp_path / "lookup.npy").dtype == form


def test_an_id_that_a_table_knows_is_kept_in_each_of_its_fields_and_no_other(tmp_path: Path):
    vocabulary = filter_of(tmp_path, [1], [2], [], [7])
    ids = np.array([1, 2, 7])
    assert vocabulary.contains(0, ids).tolist() == [True, False, False]
    assert vocabulary.contains(1, ids).tolist() == [False, True, True]
