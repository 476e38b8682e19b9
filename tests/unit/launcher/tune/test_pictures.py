"""The page of a study: whole in one file, and what it says is so."""

import re

import pytest

from launcher.tune.pictures import _log_ticks, _whole_ticks, pictures_html
from launcher.tune.study import Study
from launcher.tune.study_data import StudyData
from tests.unit.launcher.tune.searches import LEARNING_RATE, make_data, tune_config

SEARCH = {
    LEARNING_RATE: {"low": 0.001, "high": 1.0, "log": True},
    "model.hidden_units": {"choices": [[], [64], [128, 64]]},
}


@pytest.fixture
def page(tmp_path):
    data = StudyData.read(make_data(tmp_path / "data"))
    config = tune_config(tmp_path, search=SEARCH, objective="ctr.auc + cvr.auc")
    study = Study(tmp_path / "study.db", config, data)

    def draw(values, pruned=()):
        for value in values:
            study.complete(study.ask(), value, {"seconds": 1.0})
        for value in pruned:
            trial = study.ask()
            trial.report(value, 1)
            study.prune(trial, {"seconds": 1.0})
        return pictures_html(study, config)

    yield draw
    study.close()


def without_plotly(page):
    return re.sub(r"<script[^>]*>/\*\*.*?</script>", "", page, flags=re.DOTALL)


def test_the_page_is_whole_in_one_file_and_asks_for_nothing(page):
    text = page([0.5, 0.7, 0.6, 0.4], pruned=[0.3])
    assert len(text.encode()) < 5_000_000
    assert re.search(r"<(script|link|img)[^>]+(src|href)=", without_plotly(text)) is None
    assert text.count("<script") == text.count("</script")
    assert without_plotly(text) != text


def test_each_picture_has_a_title_that_says_what_it_shows(page):
    text = without_plotly(page([0.5, 0.7, 0.6, 0.4], pruned=[0.3]))
    assert "Trial 1 of 5 reached the best ctr.auc + cvr.auc, 0.7000." in text
    assert re.search(r"(embedding_learning_rate|hidden_units) decides \d+% of the differences", text)
    assert f"The best trial has {LEARNING_RATE} " in text
    assert "The best trial has model.hidden_units [" in text
    assert "4 trials are complete, 1 were pruned and\n0 failed" in text or "1 were pruned and 0 failed" in text
    assert "pruned, at its last evaluation" in text
    assert "higher is better" in text


@pytest.mark.parametrize("values", [[0.5], [0.5, 0.6, 0.7], [0.5] * 6])
def test_what_cannot_be_said_of_few_or_equal_trials_is_not_said(page, values):
    text = without_plotly(page(values))
    assert "Which settings matter cannot be said yet" in text
    assert "decides" not in text


@pytest.mark.parametrize(("count", "distance"), [(1, 1), (10, 1), (11, 2), (50, 5), (120, 20)])
def test_ticks_of_whole_numbers_are_few(count, distance):
    assert _whole_ticks(count) == distance


def test_ticks_of_a_logarithm_are_one_two_and_five():
    assert _log_ticks(0.005, 0.5) == [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5]
