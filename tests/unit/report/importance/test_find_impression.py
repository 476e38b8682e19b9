"""An impression is found by its number or its text, reading no more than it takes."""

from collections.abc import Callable, Generator
from typing import Any, cast

import numpy as np
import pytest

from esmm_dist.errors import InputDataError
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.input.pipeline import BatchReader
from esmm_dist.progress import NoProgress
from esmm_dist.report.importance.find_impression import FoundImpression, find_impression, splits_to_search
from esmm_dist.report.importance.lists_of_batch import list_of, with_ids_in
from esmm_dist.schema.fields import Schema
from esmm_dist.schema.impression_text import with_kept
from esmm_dist.schema.manifest import DatasetManifest, Split
from tests.support.tiny_dataset import flat_schema


def split_of(impressions: int) -> Split:
    """Return a split of so many impressions."""
    return Split(records=impressions, impressions=impressions, label_counts={}, broken_chains={}, shards=())


def manifest_of(schema: Schema, splits: dict[str, int]) -> DatasetManifest:
    """Return a manifest of splits of so many impressions."""
    return DatasetManifest(
        schema=schema,
        compression="NONE",
        lanes=1,
        group_size=4,
        splits={name: split_of(size) for name, size in splits.items()},
        vocabulary_file="vocabulary.parquet",
        vocabulary_size=1,
    )


def batch_of(sample_ids: list[int], names: list[bytes] | None = None) -> GroupedBatch:
    """Return two impressions a group, with ids told by the sample ids: user g, history (g), item s, tags (s s)."""
    impressions, groups = len(sample_ids), (len(sample_ids) + 1) // 2
    texts = None
    if names is not None:
        texts = np.empty(impressions, np.object_)
        texts[:] = names
    return GroupedBatch(
        user_ids=np.repeat(np.arange(groups), 2),
        user_lengths=np.ones(2 * groups, np.int64),
        user_weights=np.ones(2 * groups, np.float32),
        impression_ids=np.repeat(sample_ids, 3),
        impression_lengths=np.tile([1, 2], impressions),
        impression_weights=None,
        impressions_per_group=np.array([2] * (impressions // 2) + [1] * (impressions % 2)),
        sample_ids=np.array(sample_ids, np.int64),
        labels=np.zeros((impressions, 2), np.int64),
        sample_names=texts,
    )


class Shards:
    """Opens splits of batches that are in memory, and counts what is read."""

    def __init__(self, splits: dict[str, list[GroupedBatch]]) -> None:
        """Take them."""
        self._splits, self.read = splits, 0

    def open(self, split: str) -> BatchReader:
        """Return a reader."""

        def epoch(_: int, *, seed: int | None) -> Generator[GroupedBatch, None, None]:
            for batch in self._splits[split]:
                self.read += 1
                yield batch

        return cast(BatchReader, cast(Any, type("Reader", (), {"epoch": staticmethod(epoch)})))


NUMBERS = flat_schema("number")
TEXTS = flat_schema("text")


def find(shards: Shards, schema: Schema, sample_id: str, splits: dict[str, int]) -> FoundImpression:
    """Look for an impression in all splits."""
    manifest = manifest_of(schema, splits)
    opened: Callable[[str], BatchReader] = shards.open
    return find_impression(opened, manifest, splits_to_search(manifest, None), sample_id, NoProgress())


def test_search_ends_where_the_impression_is() -> None:
    shards = Shards({"test": [batch_of([5, 6, 7]), batch_of([8, 9]), batch_of([10])], "train": [batch_of([1])]})
    found = find(shards, NUMBERS, "9", {"train": 1, "test": 6})
    assert (found.split, shards.read) == ("test", 2)
    own = found.impression
    assert (own.sample_ids.tolist(), own.impressions_per_group.tolist()) == ([9], [1])
    assert list_of(own, NUMBERS, NUMBERS.field("user"))[0].tolist() == [0]
    assert list_of(own, NUMBERS, NUMBERS.field("tags"))[0].tolist() == [9, 9]


@pytest.mark.parametrize(("sample_id", "user"), [(5, 0), (6, 0), (7, 1)])
def test_an_impression_comes_with_its_own_user(sample_id: int, user: int) -> None:
    found = find(Shards({"test": [batch_of([5, 6, 7])]}), NUMBERS, str(sample_id), {"test": 3})
    assert list_of(found.impression, NUMBERS, NUMBERS.field("user"))[0].tolist() == [user]
    assert list_of(found.impression, NUMBERS, NUMBERS.field("item"))[0].tolist() == [sample_id]


def test_test_is_searched_first_and_train_last() -> None:
    manifest = manifest_of(NUMBERS, {"train": 1, "validation": 1, "test": 1})
    assert splits_to_search(manifest, None) == ["test", "validation", "train"]
    assert splits_to_search(manifest, "train") == ["train"]


def test_a_text_is_found_whether_or_not_columns_are_kept_behind_it() -> None:
    names = [b"ab", with_kept(b"abc", ["x", None]), "ø1".encode()]
    shards = Shards({"test": [batch_of([5, 6, 7], names)]})
    for text, sample_id in (("ab", 5), ("abc", 6), ("ø1", 7)):
        assert find(shards, TEXTS, text, {"test": 3}).impression.sample_ids.tolist() == [sample_id]


def test_a_text_of_digits_comes_before_the_number() -> None:
    shards = Shards({"test": [batch_of([6], [b"a"])], "train": [batch_of([9], [b"6"])]})
    assert find(shards, TEXTS, "6", {"test": 1, "train": 1}).impression.sample_ids.tolist() == [9]
    assert find(shards, TEXTS, "9", {"test": 1, "train": 1}).impression.sample_ids.tolist() == [9]


@pytest.mark.parametrize("sample_id", ["77", "x", "-3", "99999999999999999999"])
def test_what_is_nowhere_is_an_error_that_says_what_there_is(sample_id: str) -> None:
    shards = Shards({"test": [batch_of([5, 6, 7])], "train": [batch_of([])]})
    message = rf"sample_id '{sample_id}' in test \(3 impressions: 5 \.\. 7\) and train \(no impression\)"
    with pytest.raises(InputDataError, match=message):
        find(shards, NUMBERS, sample_id, {"test": 3, "train": 0})
    texts = Shards({"test": [batch_of([5], [b"e\x1b[1mvil"])]})
    with pytest.raises(InputDataError, match=r"in test \(1 impressions: such as e\\x1b\[1mvil\)"):
        find(texts, TEXTS, "nosuch", {"test": 1})


def test_a_list_is_replaced_and_all_others_stay() -> None:
    own = find(Shards({"test": [batch_of([5, 6, 7])]}), NUMBERS, "7", {"test": 3}).impression
    for field in NUMBERS.fields:
        for ids in (np.array([41]), np.empty(0, np.int64)):
            changed = with_ids_in(own, NUMBERS, field, ids)
            for each in NUMBERS.fields:
                expected = ids if each == field else list_of(own, NUMBERS, each)[0]
                assert list_of(changed, NUMBERS, each)[0].tolist() == expected.tolist()
            assert changed.user_weights is not None
            assert len(changed.user_weights) == len(changed.user_ids)
