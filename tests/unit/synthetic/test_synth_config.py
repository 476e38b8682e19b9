"""Settings of the synthetic log: what is refused, and which rates follow."""

from pathlib import Path

import pytest

from esmm_dist.errors import ConfigError
from esmm_dist.schema.label_tree import LabelTree
from preprocess.synthetic.config import SynthConfig


def config(**changes):
    return SynthConfig(out=Path("raw"), **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"impressions": 99}, "impressions is 99. Set 100 to 1000000000"),
        ({"seed": -1}, "seed is -1. Set 0 or more"),
        ({"test_share": 0.0}, "test_share is 0.0. Set more than 0 and less than 1"),
        ({"test_share": 1.0}, "test_share is 1.0"),
        ({"list_scale": 0.0}, "list_scale is 0.0. Set more than 0 and at most 4"),
        ({"dimension_scale": 1.5}, "dimension_scale is 1.5. Set more than 0 and at most 1.0"),
        ({"ctr": 0.0}, "ctr is 0.0. Set 0.0005 to 0.9"),
        ({"selection_bias": -5.1}, "selection_bias is -5.1. Set -5 to 5"),
        ({"selection_bias": float("nan")}, "selection_bias is nan"),
        ({"cvr": 1.0}, "cvr is 1.0. Set 0.0005 to 0.9"),
    ],
)
def test_setting_out_of_range_is_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        config(**changes)


@pytest.mark.parametrize(
    ("impressions", "ctr", "cvr"),
    [
        (300_000, 30_000 / 300_000, 6_000 / 30_000),
        (1_000, 0.2, 0.25),  # both at their caps
        (42_300_000, 0.03887, 0.00535),  # the real size has the real rates
    ],
)
def test_rates_are_the_real_ones_raised_until_there_is_enough_to_learn_from(impressions, ctr, cvr):
    assert config(impressions=impressions).click_rate == pytest.approx(ctr)
    assert config(impressions=impressions).conversion_rate == pytest.approx(cvr)


def test_a_given_click_rate_decides_how_far_the_conversion_rate_is_raised():
    # 300,000 x 0.5 = 150,000 clicks; 6,000 of them are 0.04
    assert config(ctr=0.5).click_rate == 0.5
    assert config(ctr=0.5).conversion_rate == pytest.approx(0.04)
    assert config(cvr=0.01).conversion_rate == 0.01


def test_splits_add_up_and_the_smallest_test_has_one_impression():
    assert config(impressions=1001).split_impressions == {"train": 751, "test": 250}
    assert config(impressions=100, test_share=0.001).split_impressions == {"train": 99, "test": 1}


def test_stages_and_labels_name_the_funnel():
    assert config().label_tree == LabelTree.of(("click", "conversion"))
    assert config(stages=3).label_tree == LabelTree.of(("click", "cart", "purchase"))
    tree = config(labels=("click", "purchase", "favourite after click")).label_tree
    assert tree == LabelTree.of(("click", "purchase", "favourite"), {"favourite": "click"})


def test_in_a_longer_funnel_its_end_has_enough_to_learn_from():
    # 3,000,000 impressions, 116,610 clicks: 6,000 / 0.4 of them are 12.9%
    assert config(impressions=3_000_000, stages=3).rates == pytest.approx((0.03887, 0.12863, 0.4), rel=1e-4)
    assert config(stages=4).rates == (0.1, 0.25, 0.4, 0.4)  # 6,000 / 0.16 were more than a quarter of the clicks
    assert config(labels=("click", "order", "favourite after click")).rates == (0.1, 0.2, 0.2)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"stages": 1}, "stages is 1. Set 2 to 4, or list labels"),
        ({"stages": 5}, "stages is 5. Set 2 to 4, or list labels"),
        ({"stages": 3, "labels": ("a", "b")}, "labels are .* and stages is 3. Leave out one of the two"),
        (
            {"labels": ("click", "favourite after clik")},
            r"labels \(--labels\) are click,favourite after clik: .*Did you mean 'click'\?",
        ),
        ({"labels": ("a",)}, "List 2 to 4, such as click,cart,purchase"),
        ({"labels": ("a", "b", "c", "d", "e")}, "List 2 to 4"),
    ],
)
def test_wrong_funnels_are_refused(settings: dict[str, object], text: str):
    with pytest.raises(ConfigError, match=text):
        config(**settings)
