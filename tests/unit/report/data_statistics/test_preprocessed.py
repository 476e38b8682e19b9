"""The statistics of what preprocess has made, against the raw log itself, read by pandas."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from esmm_dist.progress import NoProgress
from esmm_dist.report.data_statistics.config import StatsConfig
from esmm_dist.report.data_statistics.gather import data_statistics
from esmm_dist.report.data_statistics.statistics import DataStatistics, FieldStatistics
from esmm_dist.schema.manifest import read_manifest
from preprocess.config import PreprocessConfig
from preprocess.run import preprocess
from preprocess.synthetic.config import SynthConfig
from preprocess.synthetic.synthesize import synthesize
from tests.support.shop_log import shop_rows, write_shop_parquet, write_shop_schema

MIN_COUNT = 4
FIELDS = {"205": "item_id", "101": "user_id", "110_14": "user_shops", "216": "item_brand"}


def field_of(statistics: DataStatistics, name: str) -> FieldStatistics:
    return next(field for field in statistics.fields if field.name == name)


def stats_of(data: Path, **settings: Any) -> DataStatistics:
    return data_statistics(StatsConfig(data=data, **settings), NoProgress())


def features(texts: pd.Series) -> pd.DataFrame:
    """Return a row for each feature of the lines of a file of the Ali-CCP form: line, field, id."""
    each = texts.str.split("\x01").explode().str.split("\x02", expand=True)
    return pd.DataFrame({"field": each[0], "id": each[1].str.split("\x03").str[0]}).rename_axis("line").reset_index()


class AliCcpLog:
    """A split of a synthetic log, its bad lines left out: impressions, and a row for each id that one holds."""

    def __init__(self, raw: Path, rejects: pd.DataFrame, split: str) -> None:
        def lines(stem: str, names: list[str]) -> pd.DataFrame:
            path = raw / f"{stem}_{split}.csv"
            bad = (rejects.loc[rejects["file"] == path.name, "line"] - 1).tolist()
            return pd.read_csv(path, header=None, names=names, skiprows=bad, dtype=str, keep_default_na=False)

        self.impressions = lines("sample_skeleton", ["sample", "click", "conversion", "key", "n", "features"])
        common = lines("common_features", ["key", "n", "features"])
        own, of_users = features(self.impressions["features"]), features(common["features"])
        users = self.impressions.reset_index(names="line")[["line", "key"]].merge(
            of_users.assign(key=common["key"].loc[of_users["line"]].to_numpy()).drop(columns="line"), on="key"
        )
        held = pd.concat([own, users[["line", "field", "id"]]])
        self.held = held.drop_duplicates()

    def counts(self, field: str) -> "pd.Series[int]":
        """Return how many impressions hold each id of a field."""
        return self.held[self.held["field"] == field]["id"].value_counts()


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("aliccp") / "raw"
    synthesize(SynthConfig(out=folder, impressions=3000, seed=5), NoProgress())
    return folder


@pytest.fixture(scope="module")
def data(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared(raw, tmp_path_factory.mktemp("prepared") / "data")


@pytest.fixture(scope="module")
def logs(raw: Path, data: Path) -> dict[str, AliCcpLog]:
    rejects = pd.concat([pd.read_json(data / f"rejects/{split}.jsonl", lines=True) for split in ("train", "test")])
    return {split: AliCcpLog(raw, rejects, split) for split in ("train", "test")}


def prepared(raw: Path, data: Path, **settings: Any) -> Path:
    given: dict[str, Any] = {
        "schema": "aliccp",
        "min_count": MIN_COUNT,
        "lanes": 16,
        "group_size": 8,
        "workers": 1,
    } | settings
    preprocess(PreprocessConfig(raw=raw, out=data, **given), NoProgress())
    return data


@pytest.fixture(scope="module")
def statistics(data: Path) -> DataStatistics:
    return stats_of(data)


def test_funnel_of_a_synthetic_log_is_that_of_its_lines(statistics: DataStatistics, logs: dict[str, AliCcpLog]):
    for split, log in logs.items():
        click, conversion = (log.impressions[label] == "1" for label in ("click", "conversion"))
        funnel = statistics.splits[split].funnel
        assert funnel.impressions == len(log.impressions)
        assert dict(funnel.labels) == {"click": click.sum(), "conversion": (click & conversion).sum()}
        assert dict(funnel.broken) == {"conversion": (~click & conversion).sum()}


@pytest.mark.parametrize("name", FIELDS)
def test_ids_and_what_was_dropped_add_up_to_the_log(statistics: DataStatistics, logs: dict[str, AliCcpLog], name: str):
    field, train = field_of(statistics, name), logs["train"].counts(name)
    assert field.alias == FIELDS[name]
    assert field.min_count == MIN_COUNT
    kept = train[train >= MIN_COUNT]
    assert field.dropped_ids == len(train) - len(kept)
    for split, log in logs.items():
        counts, found = log.counts(name), field.splits[split]
        known = counts[counts.index.isin(kept.index)]
        assert found.distinct_ids == len(known)
        assert found.occurrences == known.sum()
        held = log.held[log.held["field"] == name]
        with_kept = held[held["id"].isin(kept.index)]["line"].nunique()
        assert found.covered == with_kept
        assert found.not_kept == held["line"].nunique() - with_kept
        assert found.dropped_occurrences == counts.sum() - known.sum()


@pytest.mark.parametrize("name", FIELDS)
def test_frequency_has_the_ids_that_were_dropped_too(statistics: DataStatistics, logs: dict[str, AliCcpLog], name: str):
    train, found = logs["train"].counts(name), field_of(statistics, name).frequency
    assert list(found.min_counts[:4]) == [1, 2, 3, 5]
    for least, ids, occurrences in zip(found.min_counts, found.ids, found.occurrences, strict=True):
        assert (ids, occurrences) == ((train >= least).sum(), train[train >= least].sum())


@pytest.mark.parametrize("name", ["205", "216"])
def test_drift_is_the_sum_over_frequent_other_new_and_no_ids(
    statistics: DataStatistics, logs: dict[str, AliCcpLog], name: str
):
    """New in train are ids that would be dropped without one impression: those of MIN_COUNT and fewer."""
    train, test = (logs[split].counts(name) for split in ("train", "test"))
    kept = train[train >= MIN_COUNT]
    order = sorted(kept.index, key=lambda id_: (-kept[id_], int(id_)))
    top, is_rare = order[:50], train <= MIN_COUNT
    is_rare[top] = False
    rest = train.index.difference([*top, *train.index[is_rare]])
    lines, held = [len(log.impressions) for log in logs.values()], [log.held for log in logs.values()]
    empty = [n - each.loc[each["field"] == name, "line"].nunique() for n, each in zip(lines, held, strict=True)]
    new_in_test = test[~test.index.isin(kept.index)].sum()
    other_in_test = test.sum() - test.reindex(top, fill_value=0).sum() - new_in_test
    bins = np.array(
        [
            [*train[top], train[rest].sum(), train[is_rare].sum(), empty[0]],
            [*test.reindex(top, fill_value=0), other_in_test, new_in_test, empty[1]],
        ],
        float,
    )
    bins = bins[:, bins.any(axis=0)]
    shares = (bins + 0.5) / (bins.sum(axis=1, keepdims=True) + bins.shape[1] / 2)
    found = field_of(statistics, name).splits["test"]
    assert found.psi == pytest.approx(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())
    assert found.psi_noise == pytest.approx((bins.shape[1] - 1) * (1 / lines[0] + 1 / lines[1]))


def test_contexts_are_those_of_the_log(statistics: DataStatistics, logs: dict[str, AliCcpLog]):
    """Where no user field lost an id: fields of few values, which all occur often."""
    for split, log in logs.items():
        found = statistics.splits[split]
        assert found.contexts is not None
        assert found.contexts <= log.impressions["key"].nunique()
        assert found.contexts >= 0.9 * log.impressions["key"].nunique()
        assert found.impressions_a_context is not None
        assert found.impressions_a_context.mean == pytest.approx(len(log.impressions) / found.contexts)


def test_a_sample_reads_some_lanes_and_says_how_much(data: Path, statistics: DataStatistics):
    found = stats_of(data, sample=0.25)
    manifest = read_manifest(data)
    shards = {split: manifest.splits[split].shards for split in ("train", "test")}
    read = {split: sum(shard.impressions for shard in of if shard.lane < 4) for split, of in shards.items()}
    assert {split: found.splits[split].funnel.impressions for split in read} == read
    whole = sum(of_split.impressions for of_split in manifest.splits.values())
    assert found.sample_share == pytest.approx(sum(read.values()) / whole)
    assert 0.2 < found.sample_share < 0.3
    assert (found.splits["train"].contexts, found.splits["train"].contexts_a_user) == (None, None)
    for name in FIELDS:
        test = field_of(found, name).splits["test"]
        assert (test.unseen_ids, test.unseen_occurrences) == (0, 0)  # train has all kept ids, if not in these lanes
        dropped = field_of(statistics, name).splits["test"].dropped_occurrences
        assert dropped is not None
        assert test.dropped_occurrences == round(dropped * found.sample_share)
        assert test.psi is not None
        of_users = field_of(found, name).owner == "user"  # of whom a fourth may be too few to tell
        assert test.psi_noise is not None or of_users
        assert test.psi_noise is None or test.psi < 4 * test.psi_noise or name == "101"  # the users of test are others


def test_negatives_that_were_left_out_are_counted_in_the_funnel(raw: Path, tmp_path: Path, logs: dict[str, AliCcpLog]):
    found = stats_of(prepared(raw, tmp_path / "data", keep_negatives=0.3))
    funnel = found.splits["train"].funnel
    assert funnel.left_out_negatives > 0
    repeats = 10  # of a negative that is left out preprocess does not know that its line is a repeated one
    assert 0 <= funnel.impressions + funnel.left_out_negatives - len(logs["train"].impressions) <= repeats
    assert found.left_out == {"negatives left out by preprocess": funnel.left_out_negatives}
    assert found.splits["test"].funnel.left_out_negatives == 0


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[DataStatistics, dict[str, pd.DataFrame]]:
    folder = tmp_path_factory.mktemp("shop")
    rows = {"train": shop_rows(900, users=60), "test": shop_rows(300, seed=2, first=5000, users=60)}
    for split, of_split in rows.items():
        write_shop_parquet(folder / f"{split}.parquet", of_split)
    schema = write_shop_schema(folder, "parquet")
    settings = {"schema": str(schema), "min_count": 1, "days": "2024-03-30..2024-03-31"}
    data = prepared(folder, folder / "data", max_reject_share=0.1, **settings)
    frames = {split: pd.DataFrame(of_split) for split, of_split in rows.items()}
    for split, frame in frames.items():
        days = pd.to_datetime(frame["shown at"]).dt.tz_convert("Europe/Berlin").dt.date.astype(str)
        frames[split] = frame.assign(day=days)[days.isin(["2024-03-30", "2024-03-31"])]
    return stats_of(data), frames


Shop = tuple[DataStatistics, dict[str, pd.DataFrame]]


def test_numbers_are_in_their_buckets_and_missing_ones_apart(shop: Shop):
    statistics, frames = shop
    for name, edges in (("age", [18, 25.5, 40]), ("price", None), ("views", None)):
        field = field_of(statistics, name)
        assert field.kind == "numeric"
        assert field.numeric is not None
        if edges is not None:
            assert field.numeric.edges == edges
        for split, frame in frames.items():
            values = frame[name].astype(float).dropna().to_numpy()
            buckets = np.bincount(np.digitize(values, field.numeric.edges), minlength=len(field.numeric.edges) + 1)
            present = field.numeric.impressions[split]
            if split == "train":
                assert present == buckets.tolist()
            missing = int(frame[name].isna().sum())
            assert field.numeric.missing[split] == missing
            assert field.splits[split].covered + field.numeric.not_kept[split] == len(frame) - missing


def test_kinds_of_fields_are_named(shop: Shop):
    kinds = {field.name: field.kind for field in shop[0].fields}
    assert kinds["user id"] == "one-hot"
    assert kinds["history"] == "multi-hot"
    assert kinds["interests"] == "weighted multi-hot"
    assert kinds["gender x age"] == "cross"
    assert kinds["hour"] == "time"


def test_ids_of_a_history_count_as_those_of_the_item(shop: Shop):
    statistics, frames = shop
    train = frames["train"]
    counts = Counter(train["item"])
    counts.update(item for items in train["history"] for item in set(items))
    for name in ("item", "history"):
        found = field_of(statistics, name).frequency
        assert (found.ids[0], found.occurrences[0]) == (len(counts), counts.total())
    assert field_of(statistics, "history").ids_of == "item"
    found_in_train = field_of(statistics, "history").splits["train"]
    assert found_in_train.occurrences == sum(len(set(items)) for items in train["history"])
    assert found_in_train.ids_an_impression.mean == pytest.approx(train["history"].map(len).mean())


def test_missing_values_are_no_coverage_though_they_have_an_id(shop: Shop):
    statistics, frames = shop
    for split, frame in frames.items():
        assert field_of(statistics, "gender").splits[split].covered == frame["gender"].notna().sum()
        interests = field_of(statistics, "interests").splits[split]
        assert interests.covered == (frame["interests"].map(len) > 0).sum()


def test_days_are_those_of_the_times_in_their_zone(shop: Shop):
    statistics, frames = shop
    for split, frame in frames.items():
        days = frame["day"].value_counts().sort_index()
        assert {day: funnel.impressions for day, funnel in statistics.days[split].items()} == days.to_dict()
    assert statistics.left_out["impressions of other days"] > 0
