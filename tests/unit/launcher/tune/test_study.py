"""What a study keeps: its trials outlive the process, and belong to one search."""

from contextlib import contextmanager

import pytest

from esmm_dist.errors import ConfigError, StorageError
from launcher.tune.study import Study, newest_report, result_of
from launcher.tune.study_data import StudyData
from tests.unit.launcher.tune.searches import LEARNING_RATE, make_data, tune_config

SEARCH = {
    LEARNING_RATE: {"low": 0.001, "high": 1.0, "log": True},
    "model.hidden_units": {"choices": [[], [64], [128, 64]]},
    "embedding.embedding_dim": {"low": 4, "high": 32, "step": 4},
    "model.dropout": {"low": 0, "high": 0.6, "step": 0.1},
}


@contextmanager
def opened(tmp_path, **changes):
    folder = tmp_path / "data"
    data = StudyData.read(folder if folder.exists() else make_data(folder))
    study = Study(tmp_path / "study.db", tune_config(tmp_path, **{"search": SEARCH, **changes}), data)
    yield study
    study.close()


def finish(study, trial):
    """Complete a trial by a value that depends on what it tries."""
    values = study.values(trial)
    study.complete(trial, values[LEARNING_RATE] + len(values["model.hidden_units"]), {"seconds": 1.0})


def tried(study):
    return [study.values(each) for each in study.trials]


def test_a_trial_has_a_value_of_each_range_as_the_setting_takes_it(tmp_path):
    with opened(tmp_path) as study:
        for _ in range(5):
            values = study.values(study.ask())
            assert 0.001 <= values[LEARNING_RATE] <= 1
            assert values["model.hidden_units"] in ([], [64], [128, 64])
            assert values["embedding.embedding_dim"] in range(4, 33, 4)
            assert round(values["model.dropout"] * 10, 9) in range(7)
        rates = {each[LEARNING_RATE] for each in tried(study)}
        assert len(rates) == 5


def test_a_study_that_was_stopped_goes_on_as_if_it_had_not_been(tmp_path):
    (tmp_path / "twice").mkdir()
    with opened(tmp_path) as study:
        for _ in range(14):  # the first ten are random, the others depend on the trials before
            finish(study, study.ask())
        once = tried(study)
    with opened(tmp_path / "twice") as study:
        for _ in range(11):
            finish(study, study.ask())
        study.ask()  # and the process is killed
    with opened(tmp_path / "twice") as study:
        (left,) = study.unfinished()
        finish(study, left)
        for _ in range(2):
            finish(study, study.ask())
        assert tried(study) == once


def test_a_trial_that_had_not_got_its_values_yet_gets_those_that_it_would_have_had(tmp_path):
    (tmp_path / "killed").mkdir()
    with opened(tmp_path) as study:
        once = study.values(study.ask())
    with opened(tmp_path / "killed") as study:
        study.optuna_study.ask()  # and the process is killed
    with opened(tmp_path / "killed") as study:
        assert [study.values(each) for each in study.unfinished()] == [once]


def test_another_seed_of_the_sampler_tries_other_values(tmp_path):
    (tmp_path / "other").mkdir()
    with opened(tmp_path) as study, opened(tmp_path / "other", sampler_seed=2) as other:
        assert study.values(study.ask()) != other.values(other.ask())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"search": {**SEARCH, LEARNING_RATE: {"low": 0.001, "high": 2.0, "log": True}}},
            f"search.{LEARNING_RATE}.high was 1.0 and is 2.0.",
        ),
        (
            {"search": {LEARNING_RATE: SEARCH[LEARNING_RATE]}},
            "search.model.hidden_units.choices was .* and is not there",
        ),
        ({"objective": "ctr.auc"}, "objective was ctcvr.auc and is ctr.auc"),
        ({"settings": {"input": {"epochs": 2}}}, "settings.input.epochs was not there and is 2"),
        ({"seeds": 2}, "seeds was 1 and is 2"),
        ({"sampler_seed": 2}, "sampler_seed was 1 and is 2"),
        ({"pruner": "none"}, "pruner was median and is none"),
    ],
)
def test_the_study_of_another_search_is_refused_by_what_differs(tmp_path, changes, message):
    with opened(tmp_path):
        pass
    with pytest.raises(ConfigError, match=f"is the study of another search: .*{message}"), opened(tmp_path, **changes):
        pass


def test_another_data_set_makes_another_search_and_another_place_of_it_does_not(tmp_path):
    with opened(tmp_path):
        pass
    (tmp_path / "data").rename(tmp_path / "moved")
    moved = StudyData.read(tmp_path / "moved")
    Study(tmp_path / "study.db", tune_config(tmp_path, search=SEARCH, data=tmp_path / "moved"), moved).close()
    make_data(tmp_path / "data", splits=("train", "validation"))
    with pytest.raises(ConfigError, match="the data set was"), opened(tmp_path):
        pass


@pytest.mark.parametrize("changes", [{"trials": 9}, {"jobs": 2}, {"keep_runs": True}])
def test_what_changes_no_trial_may_change(tmp_path, changes):
    with opened(tmp_path) as study:
        finish(study, study.ask())
    with opened(tmp_path, **changes) as study:
        assert len(study.finished) == 1


def test_trials_are_counted_by_how_they_ended_and_the_first_of_the_best_is_best(tmp_path):
    with opened(tmp_path) as study:
        for value in (0.5, 0.7, 0.7):
            study.complete(study.ask(), value, {"seconds": 2.0})
        pruned = study.ask()
        pruned.report(0.4, 1)
        pruned.report(0.3, 2)
        study.prune(pruned, {"seconds": 1.0})
        study.fail(study.ask(), "it is so")
        running = study.ask()
        assert [study.count(state) for state in ("COMPLETE", "PRUNED", "FAIL")] == [3, 1, 1]
        assert [each.number for each in study.finished] == [0, 1, 2, 3, 4]
        assert study.best.number == 1
        assert newest_report(study.trials[3]) == 0.3
        assert result_of(study.trials[4]) == {"error": "it is so"}
        assert running.number == 5


def reports(study, values):
    """Make a trial with evaluations; return at which of them it would have been pruned."""
    trial = study.ask()
    pruned = []
    for step, value in enumerate(values, start=1):
        trial.report(value, step)
        if trial.should_prune():
            pruned.append(step)
    study.complete(trial, values[-1], {})
    return pruned


def test_median_prunes_from_the_sixth_trial_and_the_second_evaluation_on(tmp_path):
    with opened(tmp_path) as study:
        for _ in range(4):
            reports(study, [0.5, 0.6, 0.7])
        assert reports(study, [0.4, 0.4, 0.4]) == []
        assert reports(study, [0.4, 0.5, 0.65]) == [2, 3]
        assert reports(study, [0.5, 0.6, 0.7]) == []


def test_halving_prunes_at_the_first_and_the_third_evaluation(tmp_path):
    with opened(tmp_path, pruner="halving") as study:
        for value in (0.5, 0.6, 0.7):
            reports(study, [value] * 4)
        assert reports(study, [0.1, 0.1, 0.1, 0.1])[0] == 1
        assert reports(study, [0.9, 0.9, 0.1, 0.1]) == [3]


def test_none_prunes_nothing(tmp_path):
    with opened(tmp_path, pruner="none") as study:
        for _ in range(6):
            reports(study, [0.5, 0.6])
        assert reports(study, [0.1, 0.1]) == []


def test_the_lowest_loss_is_best(tmp_path):
    with opened(tmp_path, objective="ctr.log_loss") as study:
        assert study.best is None
        for value in (0.5, 0.3, 0.7):
            study.complete(study.ask(), value, {})
        best = study.best
        assert best is not None
        assert best.number == 1


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "study.db").write_text("no database" * 1000)
    with (
        pytest.raises(StorageError, match=r"study.db cannot be read or written \(.*not a database\)"),
        opened(tmp_path),
    ):
        pass
