"""The sentence above a comparison, and what it must not claim."""

import math

from launcher.compare.headline import headline
from tests.unit.launcher.compare.test_table import comparison_of


def test_a_difference_below_the_luck_of_the_split_is_said_to_be(tmp_path):
    assert headline(comparison_of(tmp_path, error=0.0312)) == (
        "Of 2 models, large has the highest CTCVR AUC on validation, 0.7215: 0.0200 above small (p < 0.001), less than "
        "the standard error of one CTCVR AUC on this split, 0.0312"
    )


def test_a_difference_above_it_is_said_to_be(tmp_path):
    assert headline(comparison_of(tmp_path, error=0.0021)).endswith(
        "0.0200 above small (p < 0.001), more than the standard error of one CTCVR AUC on this split, 0.0021"
    )


def test_without_a_standard_error_nothing_is_said_of_it(tmp_path):
    assert headline(comparison_of(tmp_path, error=math.nan)).endswith("0.7215: 0.0200 above small (p < 0.001)")


def test_equal_models_are_equal(tmp_path):
    found = headline(comparison_of(tmp_path, large=0.70001))
    assert found == "small and large have the same CTCVR AUC on validation, 0.7015"


def test_the_first_model_may_be_the_best(tmp_path):
    assert headline(comparison_of(tmp_path, large=0.6)) == (
        "No model is above small, which has CTCVR AUC 0.7015 on validation"
    )


def test_without_an_auc_there_is_no_best_model(tmp_path):
    assert headline(comparison_of(tmp_path, small=math.nan, large=math.nan)).startswith(
        "No model has a CTCVR AUC on validation"
    )
