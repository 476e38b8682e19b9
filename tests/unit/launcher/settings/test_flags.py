"""Flags and files become one settings object."""

from pathlib import Path

import pytest

from esmm_dist.config import Named, typed_settings
from esmm_dist.errors import ConfigError
from esmm_dist.train.config import TrainConfig
from launcher.command import Command
from launcher.settings import flags
from launcher.settings.twin import CommonFlags
from tests.unit.launcher.settings.sample_settings import SampleConfig, TableConfig


def command_of(settings, name="sample", positional=()):
    return Command(
        name=name, group="", summary="", example="", settings=settings, work="not:run", positional=positional
    )


def parse(*args, base=None, positional=()):
    typed = typed_settings(Named("my.yaml"), SampleConfig, base or {})
    values, common = flags.parse(command_of(SampleConfig, positional=positional), args, typed)
    return flags.finish(SampleConfig, values), common


def test_defaults_hold_where_no_flag_is_given():
    settings, common = parse("--data", "d")
    assert settings == SampleConfig(data=Path("d"))
    assert common == CommonFlags(config=None, print_config=False, json=False, debug=False)


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["--no-shuffle"], SampleConfig(data=Path("d"), shuffle=False)),
        (["--towers", "3", "4", "5"], SampleConfig(data=Path("d"), towers=(3, 4, 5))),
        (["--towers", "3,4", "5"], SampleConfig(data=Path("d"), towers=(3, 4, 5))),
        (["--towers"], SampleConfig(data=Path("d"), towers=())),
        (["--limit", "1e-3"], SampleConfig(data=Path("d"), limit=0.001)),
        (["--limit=2"], SampleConfig(data=Path("d"), limit=2.0)),
        (["--task-weights", "{ctr: 1, ctcvr: 2}"], SampleConfig(data=Path("d"), task_weights={"ctr": 1, "ctcvr": 2})),
        # A group's settings have flat flags, in either spelling.
        (["--embedding-dim", "8"], SampleConfig(data=Path("d"), table=TableConfig(embedding_dim=8))),
        (["--embedding_dim", "8"], SampleConfig(data=Path("d"), table=TableConfig(embedding_dim=8))),
    ],
)
def test_a_flag_sets_its_setting(args, expected):
    assert parse("--data", "d", *args)[0] == expected


def test_a_setting_of_the_file_replaces_a_default_and_a_flag_replaces_both():
    base = {"data": "from-file", "limit": 7, "towers": [1], "table": {"optimizer": "sgd"}}
    settings, _ = parse("--limit", "8", base=base)
    assert settings == SampleConfig(
        data=Path("from-file"), limit=8.0, towers=(1,), table=TableConfig(optimizer="sgd", embedding_dim=16)
    )


def test_a_positional_setting_needs_no_flag():
    assert parse("d", "--limit", "1", positional=("data",))[0] == SampleConfig(data=Path("d"), limit=1.0)


@pytest.mark.parametrize("args", [("--data", "d"), ("--data=d",)])
def test_a_positional_setting_as_a_flag_is_told_how_it_is_given(args):
    with pytest.raises(ConfigError, match=r"^'data' is given without a flag: esmm sample DATA\."):
        parse(*args, "--limit", "1", positional=("data",))


def test_an_unknown_flag_names_the_nearest_known_one_even_if_another_setting_is_missing():
    with pytest.raises(ConfigError, match=r"Unknown flag '--embeding-dim'\. Did you mean '--embedding-dim'\?"):
        parse("--embeding-dim", "3")


def test_an_unknown_flag_that_resembles_nothing_points_to_the_help():
    with pytest.raises(ConfigError, match=r"Unknown flag '--xyzzy'\. esmm sample --help lists all"):
        parse("--data", "d", "--xyzzy=1")


@pytest.mark.parametrize(
    ("flag", "near"),
    [
        ("--learning-rate", "'--dense-learning-rate' or '--embedding-learning-rate'"),
        ("--lr", "'--dense-learning-rate' or '--embedding-learning-rate'"),
        ("--batch-size", "'--global-batch-records'"),
        ("--num-epochs", "'--epochs'"),
        ("--hidden-layers", "'--hidden-units'"),
        ("--embeding-dim", "'--embedding-dim'"),
    ],
)
def test_a_word_of_another_system_leads_to_the_flags_that_mean_it(flag, near):
    with pytest.raises(ConfigError, match=rf"Unknown flag '{flag}'\. Did you mean {near}\?"):
        flags.parse(command_of(TrainConfig, "train"), [flag, "1"], {})


def test_an_unknown_setting_in_the_file_names_the_file_and_the_nearest_known_one():
    with pytest.raises(ConfigError, match=r"my\.yaml: unknown setting 'table\.optimiser'\. Did you mean 'optimizer'\?"):
        parse("--data", "d", base={"table": {"optimiser": "sgd"}})


def test_a_value_of_the_wrong_type_in_the_file_names_the_file_and_the_setting():
    with pytest.raises(ConfigError, match=r"my\.yaml: limit: .*valid number.*\(got 'much'\)"):
        parse("--data", "d", base={"limit": "much"})


def test_a_group_that_is_no_mapping_names_the_file_and_the_group():
    with pytest.raises(ConfigError, match=r"my\.yaml: table is 3, not a mapping"):
        parse("--data", "d", base={"table": 3})


def test_a_value_that_the_class_refuses_is_refused_from_a_flag_too():
    with pytest.raises(ConfigError, match="embedding_dim is 0. Set 1 or more"):
        parse("--data", "d", "--embedding-dim", "0")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], r"^Missing from esmm sample: --data PATH\. esmm sample --help lists all flags\.$"),
        (
            ["--data"],
            r"^Missing value for argument '--data'\. Expected 1 values\. esmm sample --help lists all flags\.$",
        ),
        (["--data", "d", "word"], r"^Unrecognized options: word\. esmm sample --help lists all flags\.$"),
        (
            ["--data", "d", "--embedding-dim", "many"],
            r"^--embedding-dim: Input should be a valid int.*\(got 'many'\)\.$",
        ),
        (["--data", "d", "--towers", "64,x"], r"^--towers\[1\]: Input should be a valid integer.*\(got 'x'\)\.$"),
        (
            ["--data", "d", "--optimizer", "adamx"],
            r"^--optimizer is 'adamx'\. Known: adagrad, sgd\.$",
        ),
        (
            ["--data", "d", "--task-weights", "[1]"],
            r"^--task-weights: '\[1\]' is not a mapping such as '\{a: 1, b: 2\}'\.$",
        ),
        (["--data", "d", "--task-weights", "{a: "], r"^--task-weights: '\{a: ' is not YAML \("),
        # An unset variable of a shell
        (["--data", ""], r"^--data is empty\. Give a value; if it came from a shell variable, that one is not set\.$"),
        (["--data= "], r"^--data is empty\. Give a value"),
    ],
)
def test_a_line_that_cannot_be_parsed_is_refused_in_one_sentence(args, message, capsys):
    with pytest.raises(ConfigError, match=message):
        parse(*args)
    assert capsys.readouterr() == ("", "")


def test_an_empty_positional_setting_is_refused_by_its_name():
    with pytest.raises(ConfigError, match=r"^DATA is empty\."):
        parse("", positional=("data",))


def test_none_takes_a_default_away():
    assert parse("--data", "d", "--limit", "None", base={"limit": 3})[0].limit is None


def test_help_shows_each_setting_with_its_meaning_and_default(capsys):
    with pytest.raises(SystemExit) as ended:
        parse("--help")
    text = capsys.readouterr().out
    assert ended.value.code == 0
    assert "--embedding-dim INT" in text
    assert "Floats in a row. 16 suits a test." in " ".join(text.replace("│", " ").split())
    assert "(default: 256 128)" in text
    assert "A second paragraph" not in text


def test_a_required_setting_may_be_missing_when_settings_are_printed():
    values, common = flags.parse(command_of(SampleConfig), ["--print-config", "--limit", "3"], {})
    assert common.print_config
    assert flags.missing(SampleConfig, values) == ["data"]
    assert values["limit"] == 3.0


def test_peek_reads_the_files_to_open_and_leaves_the_rest():
    line = ["--data", "d", "--run=r", "--config", "c.yaml", "--json"]
    assert flags.peek(line) == {"data": "d", "run": "r", "config": "c.yaml"}
    assert flags.peek(["--run"]) == {}


def test_peek_does_not_take_a_longer_or_shorter_flag_for_one_of_its_own():
    assert flags.peek(["--run-name", "x", "--ru", "y", "--conf=z"]) == {}


@pytest.mark.parametrize("second", [["--towers", "5"], ["--towers=5"]])
def test_a_list_that_is_given_twice_is_refused_and_a_value_is_the_last_one(second):
    with pytest.raises(ConfigError, match="--towers is given twice. Give all its values to one: --towers A,B"):
        parse("--data", "d", "--towers", "3", *second)
    assert parse("--data", "d", "--data", "e")[0].data == Path("e")
