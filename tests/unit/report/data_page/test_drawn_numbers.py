"""The numbers behind the pictures of a data set, against pandas on its impressions."""

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from esmm_dist.progress import NoProgress
from esmm_dist.report.data_page.page import data_page
from esmm_dist.report.data_statistics.config import StatsConfig
from esmm_dist.report.data_statistics.gather import data_statistics
from tests.support.tiny_dataset import Group, tiny_groups, write_dataset

GROUPS = {"train": tiny_groups(12), "test": tiny_groups(90, seed=7, first_sample=10_000)}
FIELDS = ("user", "history", "item", "tags")


def impressions_of(split: str, groups: list[Group]) -> list[dict[str, Any]]:
    return [
        {
            "split": split,
            "click": impression.labels[0],
            "conversion": impression.labels[1],
            **{
                name: [id_ for id_, _ in ids]
                for name, ids in zip(FIELDS, [*group.fields, *impression.fields], strict=True)
            },
        }
        for group in groups
        for impression in group.impressions
    ]


LOG = pd.DataFrame([row for split, groups in GROUPS.items() for row in impressions_of(split, groups)])


def ids_of(field: str) -> pd.DataFrame:
    """Return a row for each id of each impression, once."""
    ids = LOG[["split", field]].explode(field).reset_index().drop_duplicates().dropna()
    return ids.rename(columns={field: "id"})


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder: Path = tmp_path_factory.mktemp("drawn") / "data"
    write_dataset(folder, GROUPS)
    page = data_page(data_statistics(StatsConfig(data=folder), NoProgress()))
    return {picture.name: picture.numbers for picture in page.pictures()}


def test_the_funnel_counts_labels(numbers):
    drawn = numbers["funnel"]
    assert drawn["labels"] == ["impressions", "click", "conversion"]
    for split, log in LOG.groupby("split"):
        assert drawn["counts"][split] == [len(log), log["click"].sum(), log["conversion"].sum()]


def test_rates_have_the_standard_error_of_a_mean(numbers):
    for split, log in LOG.groupby("split"):
        clicked = log[log["click"] == 1]
        for label, values in (("click", log["click"]), ("conversion", clicked["conversion"])):
            drawn = numbers["label-rates"][label][split]
            assert drawn["rate"] == pytest.approx(values.mean())
            assert drawn["standard_error"] == pytest.approx(values.sem(ddof=0))


def test_coverage_is_the_share_with_an_id(numbers):
    drawn = numbers["coverage"]
    assert sorted(drawn["fields"]) == sorted(FIELDS)
    for split, log in LOG.groupby("split"):
        expected = [(log[field].str.len() > 0).mean() for field in drawn["fields"]]
        assert drawn["coverage"][split] == pytest.approx(expected)


def test_new_ids_are_those_that_train_lacks(numbers):
    drawn = numbers["new-ids"]
    assert drawn["split"] == "test"
    assert drawn["shares"]["occurrences"][0] > 0
    for place, field in enumerate(drawn["fields"]):
        ids = ids_of(field)
        test, known = ids[ids["split"] == "test"]["id"], set(ids[ids["split"] == "train"]["id"])
        new = ~test.isin(known)
        assert drawn["shares"]["occurrences"][place] == pytest.approx(new.mean())
        of_ids = (~pd.Series(test.unique()).isin(known)).mean()
        assert drawn["shares"]["distinct ids"][place] == pytest.approx(of_ids)


def test_kept_ids_are_those_of_value_counts(numbers):
    counts = [ids_of(field).query("split == 'train'")["id"].value_counts() for field in FIELDS]
    every = pd.concat(counts)
    drawn = numbers["min-count"]
    assert drawn["min_counts"][:4] == [1, 2, 3, 5]
    for place, least in enumerate(drawn["min_counts"]):
        kept = every[every >= least]
        assert drawn["share_of_ids"][place] == pytest.approx(len(kept) / len(every))
        assert drawn["share_of_occurrences"][place] == pytest.approx(kept.sum() / every.sum())
    for field, of_field in zip(FIELDS, counts, strict=True):
        curve = numbers["id-frequency"][field]
        assert curve["ids"] == [(of_field >= least).sum() for least in curve["at_least"]]


def test_list_lengths_are_shares_of_doubling_bins(numbers):
    for field in ("history", "tags"):
        drawn = numbers["list-lengths"][field]
        for split, log in LOG.groupby("split"):
            lengths = log[field].str.len()
            for low, share in zip(drawn["lowest"], drawn["shares"][split], strict=True):
                assert share == pytest.approx(((lengths >= low) & (lengths < max(2 * low, 1))).mean())
        assert drawn["mean"] == pytest.approx(LOG.query("split == 'train'")[field].str.len().mean())


def test_drift_is_that_of_the_fields(numbers):
    assert sorted(numbers["drift"]["fields"]) == sorted(FIELDS)
    psi = numbers["drift"]["psi"]["test"]
    assert psi == sorted(psi, reverse=True)
    known = [each for each in numbers["drift"]["by_chance"]["test"] if not math.isnan(each)]  # of enough users
    assert len(known) > len(psi) / 2
    assert all(each > 0 for each in known)
