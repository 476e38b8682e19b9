"""What a search file may say."""

import pytest

from esmm_dist.errors import ConfigError
from launcher import cli
from tests.unit.launcher.tune.searches import tune_config

FILE = """\
data: data
study: study
trials: 7
search:
  embedding.embedding_learning_rate: {low: 5e-3, high: 0.5, log: true}
  model.hidden_units: {choices: [[], [64]]}
"""


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trials": 0}, "trials is 0. Set 1 or more"),
        ({"jobs": 0}, "jobs is 0"),
        ({"seeds": 0}, "seeds is 0"),
        ({"evaluations": 0}, "evaluations is 0"),
        ({"sampler_seed": -1}, "sampler_seed is -1"),
        ({"search": {}}, "search is empty, so there is nothing to try"),
        ({"objective": "ctr"}, "objective is 'ctr'"),
        ({"objective": "ctr.calibration"}, "no best end"),
        ({"search": {"model.droput": {"low": 0, "high": 1}}}, "unknown setting"),
        ({"search": {"model.dropout": {"low": 0, "high": 1}}}, "search.model.dropout: 1 is refused"),
    ],
)
def test_a_setting_out_of_range_is_refused(tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        tune_config(tmp_path, **changes)


def test_the_first_seed_is_that_of_the_shared_settings(tmp_path):
    assert tune_config(tmp_path).first_seed == 1
    assert tune_config(tmp_path, settings={"seed": 4}).first_seed == 4


def test_the_first_word_is_the_file_and_flags_override_it(tmp_path, capsys):
    (tmp_path / "search.yaml").write_text(FILE)
    assert cli.main(["tune", str(tmp_path / "search.yaml"), "--trials", "9", "--print-config"]) == 0
    printed = capsys.readouterr().out
    assert "\ntrials: 9\n" in printed
    assert "low: 0.005" in printed
    (tmp_path / "again.yaml").write_text(printed)
    assert cli.main(["tune", "--config", str(tmp_path / "again.yaml"), "--print-config"]) == 0
    assert capsys.readouterr().out == printed
    assert cli.main(["tune", str(tmp_path / "search.yaml"), "--help"]) == 0  # with the file's values as defaults
    assert "low: 0.005" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("wrong", "line", "message"),
    [
        (FILE.replace("trials", "trails"), 3, "unknown setting 'trails'. Did you mean 'trials'"),
        (FILE.replace("high: 0.5", "high: 1e-4"), 5, "low is 0.005 and high is 0.0001"),
        (FILE.replace("log: true", "logg: true"), 5, "unknown setting .*logg'. Did you mean 'log'"),
    ],
)
def test_a_mistake_in_the_file_is_named_with_its_line(tmp_path, capsys, wrong, line, message):
    (tmp_path / "search.yaml").write_text(wrong)
    assert cli.main(["tune", str(tmp_path / "search.yaml")]) == 2
    error = capsys.readouterr().err
    assert f"search.yaml:{line}: " in error
    assert message.split(".*")[-1] in error


def test_a_file_that_is_missing_is_named(tmp_path, capsys):
    assert cli.main(["tune", str(tmp_path / "no.yaml")]) == 2
    assert "Cannot read" in capsys.readouterr().err
