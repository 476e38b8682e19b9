"""Whether a data set holds anything to learn, and labels that have one value only."""

from dataclasses import replace

import pytest

from esmm_dist.errors import InputDataError
from esmm_dist.schema import Field, Schema
from esmm_dist.schema.learnable import check_learnable, label_warnings
from esmm_dist.schema.manifest import Split
from tests.unit.schema.data_sets import SHOP, data_set, split

RAW = Schema(name="raw", labels=SHOP.labels, fields=(Field(name="item", owner="item"),))


def test_a_data_set_with_ids_and_both_labels_is_learnable():
    check_learnable(data_set({"train": split(10, 4, 1)}))


@pytest.mark.parametrize("splits", [{}, {"test": split(10, 0, 0)}, {"train": split(0, 0, 0)}])
def test_without_train_impressions_there_is_nothing_to_check(splits):
    check_learnable(data_set(splits, vocabulary_size=0))


def test_a_data_set_without_an_id_is_refused_with_the_setting_that_dropped_them():
    nothing = data_set({"train": split(10, 4, 1)}, vocabulary_size=0, settings={"min_count": 20})
    with pytest.raises(InputDataError, match=r"No feature id is kept .*smaller --min-count \(it was 20\)"):
        check_learnable(nothing)
    with pytest.raises(InputDataError, match=r"\(it was not recorded\)"):
        check_learnable(replace(nothing, settings={}))


def test_weights_that_are_all_zero_are_refused():
    report = {"splits": {"train": {"sample_weight": 0.0}}}
    with pytest.raises(InputDataError, match=r"The sample weights of all 10 train impressions are 0"):
        check_learnable(data_set({"train": split(10, 4, 1)}, report=report))
    check_learnable(data_set({"train": split(10, 4, 1)}, report={"splits": {"train": {"sample_weight": 0.5}}}))


def test_a_first_label_that_is_always_zero_is_refused_with_its_column():
    with pytest.raises(InputDataError, match=r"Label 'click' is 0 in all 10 .*Check column 'clicked' of the log"):
        check_learnable(data_set({"train": split(10, 0, 0)}))
    with pytest.raises(InputDataError, match=r"Check the label columns of the sample_skeleton file"):
        check_learnable(replace(data_set({"train": split(10, 0, 0)}), schema=RAW))


def test_labels_of_both_values_need_no_warning():
    assert label_warnings(SHOP, {"train": split(10, 4, 1), "test": split(10, 4, 3)}) == []
    assert label_warnings(SHOP, {"train": split(0, 0, 0)}) == []


@pytest.mark.parametrize(
    ("name", "counts", "texts"),
    [
        ("train", (10, 0, 0), ["Label 'click' is 0 in all 10 impressions of the train split: esmm train refuses it."]),
        (
            "train",
            (10, 10, 4),
            ["Label 'click' is 1 in all 10 impressions of the train split: a model learns nothing about it. A log of"],
        ),
        (
            "train",
            (10, 4, 0),
            [
                "Label 'order' is 0 in all 4 impressions with click of the train split: a model learns that it never "
                "happens. Check column 'bought' of the log"
            ],
        ),
        ("test", (10, 4, 4), ["Label 'order' is 1 in all 4 impressions with click of the test split: its AUC is not"]),
        (
            "test",
            (1, 1, 1),
            ["Label 'click' is 1 in all 1 impressions", "Label 'order' is 1 in all 1 impressions with"],
        ),
    ],
)
def test_a_label_of_one_value_is_told_once_with_its_consequence(
    name: str, counts: tuple[int, int, int], texts: list[str]
):
    lines = label_warnings(SHOP, {name: split(*counts)})
    assert len(lines) == len(texts)
    assert all(line.startswith(text) for line, text in zip(lines, texts, strict=True))


def test_each_branch_of_a_tree_is_measured_among_the_label_before_it():
    """Favourites are told of although there is no order: they come after clicks."""
    item = Field(name="item", owner="item")
    shop = Schema(name="shop", labels=("click", "order", "favourite after click"), fields=(item,))
    split = Split(
        records=1,
        impressions=10,
        label_counts={"click": 4, "order": 0, "favourite": 4},
        broken_chains={"order": 0, "favourite": 0},
        shards=(),
    )
    lines = label_warnings(shop, {"train": split})
    assert [line.partition(" of the train")[0] for line in lines] == [
        "Label 'order' is 0 in all 4 impressions with click",
        "Label 'favourite' is 1 in all 4 impressions with click",
    ]
    assert "A log of impressions with favourite alone lacks those without." in lines[1]


def test_a_label_whose_step_before_never_happens_is_not_told_again():
    """There is no share of orders among 0 clicks."""
    (line,) = label_warnings(SHOP, {"test": split(10, 0, 0)})
    assert "'click'" in line
