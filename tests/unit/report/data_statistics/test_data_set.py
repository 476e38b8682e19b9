"""The statistics of a data set, against counts made one impression at a time."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from esmm_dist.errors import InputDataError, SchemaError
from esmm_dist.progress import NoProgress
from esmm_dist.report.data_statistics.config import StatsConfig
from esmm_dist.report.data_statistics.gather import data_statistics
from esmm_dist.report.data_statistics.statistics import DataStatistics, FieldStatistics
from esmm_dist.schema.fields import Field
from esmm_dist.schema.manifest import read_manifest
from tests.support.damage import remove
from tests.support.tiny_dataset import (
    Group,
    Impression,
    tiny_groups,
    tiny_schema,
    weighted,
    weighted_schema,
    write_dataset,
)

TRAIN, TEST = tiny_groups(300), tiny_groups(90, seed=7, first_sample=10_000)
FIELDS = ("user", "history", "item", "tags")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stats") / "data"
    write_dataset(folder, {"train": TRAIN, "test": TEST})
    return folder


@pytest.fixture(scope="module")
def statistics(data: Path) -> DataStatistics:
    return stats_of(data)


def stats_of(data: Path, **settings: Any) -> DataStatistics:
    return data_statistics(StatsConfig(data=data, **settings), NoProgress())


def lists_of(groups: list[Group], field: str) -> list[list[int]]:
    """Return the ids of a field of each impression."""
    place = FIELDS.index(field)
    if place < 2:
        return [[id_ for id_, _ in group.fields[place]] for group in groups for _ in group.impressions]
    return [[id_ for id_, _ in i.fields[place - 2]] for group in groups for i in group.impressions]


def counts_of(groups: list[Group], field: str) -> Counter[int]:
    """Return how many impressions hold each id."""
    return Counter(id_ for ids in lists_of(groups, field) for id_ in set(ids))


def field_of(statistics: DataStatistics, name: str) -> FieldStatistics:
    return next(field for field in statistics.fields if field.name == name)


def test_funnel_is_that_of_the_impressions(statistics: DataStatistics):
    for split, groups in (("train", TRAIN), ("test", TEST)):
        labels = [i.labels for group in groups for i in group.impressions]
        funnel = statistics.splits[split].funnel
        assert funnel.impressions == len(labels)
        assert dict(funnel.labels) == {"click": sum(a for a, _ in labels), "conversion": sum(b for _, b in labels)}
        assert funnel.weight is None


def test_records_of_one_context_count_as_one(statistics: DataStatistics):
    for split, groups in (("train", TRAIN), ("test", TEST)):
        contexts: Counter[tuple[tuple[int, ...], ...]] = Counter()
        for group in groups:
            contexts[tuple(tuple(id_ for id_, _ in ids) for ids in group.fields)] += len(group.impressions)
        assert len(contexts) < len(groups)  # else nothing is tested
        found = statistics.splits[split]
        assert found.contexts == len(contexts)
        assert found.impressions_a_context is not None
        sizes = Counter(contexts.values())
        assert found.impressions_a_context.counts == sorted(sizes)
        assert found.impressions_a_context.things == [sizes[size] for size in sorted(sizes)]
        of_user = Counter(user for user, _ in contexts)
        assert found.contexts_a_user is not None
        assert found.contexts_a_user.total == len(of_user)
        assert found.contexts_a_user.mean == pytest.approx(len(contexts) / len(of_user))


@pytest.mark.parametrize("name", FIELDS)
def test_ids_of_a_field_are_counted_by_impression(statistics: DataStatistics, name: str):
    field, train = field_of(statistics, name), counts_of(TRAIN, name)
    for split, groups in (("train", TRAIN), ("test", TEST)):
        lists, counts, found = lists_of(groups, name), counts_of(groups, name), field.splits[split]
        lengths = [len(ids) for ids in lists]
        assert found.distinct_ids == len(counts)
        assert found.occurrences == counts.total()
        assert found.covered == sum(length > 0 for length in lengths)
        assert found.ids_an_impression.total == len(lists)
        assert found.ids_an_impression.mean == pytest.approx(np.mean(lengths))
        assert found.ids_an_impression.p99 == np.percentile(lengths, 99, method="inverted_cdf")
        histogram = dict(zip(found.ids_an_impression.counts, found.ids_an_impression.things, strict=True))
        assert histogram == Counter(lengths)
        if split == "test":
            unseen = {id_: count for id_, count in counts.items() if id_ not in train}
            assert (found.unseen_ids, found.unseen_occurrences) == (len(unseen), sum(unseen.values()))
        else:
            assert (found.unseen_ids, found.unseen_occurrences, found.psi) == (None, None, None)
    for least, ids, occurrences in zip(
        field.frequency.min_counts, field.frequency.ids, field.frequency.occurrences, strict=True
    ):
        kept = [count for count in train.values() if count >= least]
        assert (ids, occurrences) == (len(kept), sum(kept))
    assert field.frequency.min_counts[0] == 1
    assert not field.ids_are_estimates


def test_ids_that_train_lacks_are_unseen(tmp_path: Path):
    """The test split alone has users 1000 .. 1019; train has a few of them."""
    few = [group for group in TRAIN if group.fields[0][0][0] < 1003]
    write_dataset(tmp_path / "data", {"train": few, "test": TEST})
    found = field_of(stats_of(tmp_path / "data"), "user").splits["test"]
    test = counts_of(TEST, "user")
    assert found.unseen_ids == sum(user >= 1003 for user in test)
    assert found.unseen_occurrences == sum(count for user, count in test.items() if user >= 1003)


def test_sample_weights_are_added_up(tmp_path: Path):
    groups = weighted(TRAIN, lambda sample: 0.5 + sample % 4)
    write_dataset(tmp_path / "data", {"train": groups}, schema=weighted_schema())
    funnel = stats_of(tmp_path / "data").splits["train"].funnel
    impressions = [i for group in groups for i in group.impressions]
    assert funnel.weight == pytest.approx(sum(i.weight for i in impressions))
    assert funnel.label_weights["click"] == pytest.approx(sum(i.weight for i in impressions if i.labels[0]))


def test_data_set_without_train_compares_nothing(tmp_path: Path):
    write_dataset(tmp_path / "data", {"test": TEST})
    found = stats_of(tmp_path / "data")
    for field in found.fields:
        assert (field.splits["test"].unseen_ids, field.splits["test"].psi) == (None, None)
        assert field.frequency.min_counts == []


def test_a_missing_shard_is_an_error_or_is_left_out_and_counted(tmp_path: Path):
    write_dataset(tmp_path / "data", {"train": TRAIN, "test": TEST})
    shard = read_manifest(tmp_path / "data").splits["train"].shards[0]
    remove(tmp_path / "data" / shard.path)
    with pytest.raises(InputDataError, match=shard.path):
        stats_of(tmp_path / "data")
    found = stats_of(tmp_path / "data", on_bad_record="skip")
    assert found.left_out == {"impressions of records that cannot be read": shard.impressions}
    everything = sum(len(group.impressions) for group in TRAIN)
    assert found.splits["train"].funnel.impressions == everything - shard.impressions
    assert field_of(found, "item").splits["train"].ids_an_impression.total == everything - shard.impressions


def test_a_folder_that_is_no_data_set_is_refused(tmp_path: Path):
    with pytest.raises(SchemaError, match="holds neither a data set nor a log"):
        stats_of(tmp_path)


def test_users_without_a_name_have_contexts_and_fields_without_users_have_none(tmp_path: Path):
    history, item, tags = (next(f for f in tiny_schema().fields if f.name == n) for n in ("history", "item", "tags"))
    nameless = [Group(fields=group.fields[1:], impressions=group.impressions) for group in TRAIN]
    write_dataset(tmp_path / "nameless", {"train": nameless}, schema=tiny_schema(fields=(history, item, tags)))
    found = stats_of(tmp_path / "nameless")
    contexts = {tuple(id_ for id_, _ in group.fields[0]) for group in nameless}
    assert found.user_field is None
    assert (found.splits["train"].contexts, found.splits["train"].contexts_a_user) == (len(contexts), None)
    userless = [Group(fields=[], impressions=group.impressions) for group in TRAIN]
    write_dataset(tmp_path / "userless", {"train": userless}, schema=tiny_schema(fields=(item, tags)))
    split = stats_of(tmp_path / "userless").splits["train"]
    assert (split.contexts, split.impressions_a_context, split.contexts_a_user) == (None, None, None)


def test_three_labels_are_counted_in_their_order(tmp_path: Path):
    schema = tiny_schema(
        labels=("click", "buy", "favourite after click"), fields=(*tiny_schema().fields, Field(name="x", owner="item"))
    )
    groups = [
        Group(
            fields=group.fields,
            impressions=[
                Impression(
                    sample_id=i.sample_id, labels=(*i.labels, i.labels[0] * (i.sample_id % 2)), fields=[*i.fields, []]
                )
                for i in group.impressions
            ],
        )
        for group in TRAIN
    ]
    write_dataset(tmp_path / "data", {"train": groups}, schema=schema)
    found = stats_of(tmp_path / "data")
    labels = np.array([i.labels for group in groups for i in group.impressions])
    assert list(found.label_names) == ["click", "buy", "favourite"]
    assert list(found.label_parents) == [-1, 0, 0]
    assert list(found.splits["train"].funnel.labels.values()) == labels.sum(axis=0).tolist()
    empty = field_of(found, "x").splits["train"]  # a field without any id
    assert (empty.distinct_ids, empty.occurrences, empty.covered) == (0, 0, 0)


def test_noise_of_a_field_of_users_is_by_users_and_of_items_by_impressions(statistics: DataStatistics):
    users = [np.array(list(Counter(ids[0] for ids in lists_of(g, "user")).values())) for g in (TRAIN, TEST)]
    effective = [numbers.sum() ** 2 / (numbers**2).sum() for numbers in users]
    impressions = [numbers.sum() for numbers in users]
    for name, sizes in (("user", effective), ("item", impressions)):
        bins = len(counts_of(TRAIN, name))  # fewer than 50, all frequent, and none is empty
        noise = field_of(statistics, name).splits["test"].psi_noise
        assert noise == pytest.approx((bins - 1) * (1 / sizes[0] + 1 / sizes[1]))


def test_a_frequent_id_that_occurs_once_has_a_bin_and_is_not_new(tmp_path: Path):
    """Three items, once each in train and in test: both splits are alike."""
    groups = [group for group in TRAIN if len(group.impressions) == 1]
    items = {group.impressions[0].fields[0][0][0]: group for group in groups}
    once = list(items.values())[:3]
    write_dataset(tmp_path / "data", {"train": once, "test": once}, lanes=1, parts=1)
    assert field_of(stats_of(tmp_path / "data"), "item").splits["test"].psi == 0
