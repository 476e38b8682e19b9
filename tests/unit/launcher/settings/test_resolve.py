"""Which source of a setting wins, and what is said of one that is wrong."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esmm_dist.errors import ConfigError
from esmm_dist.flat_settings import merge
from launcher.command import Command
from launcher.settings.flags import finish
from launcher.settings.resolve import resolve, split_rest
from tests.unit.launcher.settings.sample_settings import SampleConfig, TableConfig


@dataclass(frozen=True, kw_only=True)
class AroundConfig:
    """Settings of a command around another one."""

    count: int = 1
    """How many."""

    command: tuple[str, ...] = ()
    """The other command's line."""

    like: str | None = None
    """Where stored settings are."""


STORED = {"limit": 1.0, "towers": [1], "table": {"embedding_dim": 1, "optimizer": "sgd"}}


def sample(**changes):
    earlier = {"earlier_settings": lambda flags: STORED if flags.get("run") == "old" else None}
    return Command(
        name="sample", group="G", summary="Sample.", example="esmm sample", settings=SampleConfig, work="no:work",
        positional=("data",), **{**earlier, **changes}
    )  # fmt: skip


def around(finds=None):
    return Command(
        name="around", group="G", summary="S.", example="e", settings=AroundConfig, work="no:work", rest="command",
        earlier_settings=finds,
    )  # fmt: skip


def settings_of(command, *args):
    resolved = resolve(command, args)
    return finish(resolved.cls, resolved.values)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("data: from-file\nlimit: 2\ntable:\n  embedding_dim: 2\n")
    return path


def test_a_default_is_below_a_stored_setting_below_the_file_below_a_flag(file):
    found = resolve(sample(), ["--config", str(file), "--embedding-dim", "3"])
    assert (found.values["limit"], found.values["table"]) == (2.0, {"embedding_dim": 3, "optimizer": "adagrad"})
    command = sample(earlier_settings=lambda flags: STORED)
    settings = settings_of(command, "--config", str(file), "--embedding-dim", "3")
    assert settings.limit == 2.0  # the file's
    assert settings.towers == (1,)  # stored
    assert settings.table == TableConfig(embedding_dim=3, optimizer="sgd")  # the flag's; stored
    assert settings.shuffle is True  # the default


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data: d\nlimmit: 3\n", r"c\.yaml:2: unknown setting 'limmit'\. Did you mean 'limit'\?"),
        ("table:\n  embedding_dim: wide\n", r"c\.yaml:2: table\.embedding_dim: Input should be a valid integer"),
        ("towers:\n- 1\n- x\n", r"c\.yaml:3: towers\[1\]: Input should be a valid integer.* \(got 'x'\)"),
        ("limit: true\n", r"c\.yaml:1: limit is true, but it takes neither true nor false"),
        ("data: ''\n", r"c\.yaml:1: data is empty\. Give a path, or leave the setting out"),
        ("limit: 1\nlimit: 2\n", r"c\.yaml:2: limit is set in line 1 already\. Keep one of them"),
        ("limit: [\n", r"c\.yaml:2: this is not YAML"),
    ],
)
def test_a_mistake_in_a_file_is_told_with_its_line(tmp_path, text, message):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        resolve(sample(), ["d", "--config", str(tmp_path / "c.yaml")])


def test_what_the_class_refuses_is_refused_only_after_the_flags_had_their_say(file):
    file.write_text("data: d\ntable: {embedding_dim: 0}\n")
    assert settings_of(sample(), "--config", str(file), "--embedding-dim", "4").table.embedding_dim == 4
    with pytest.raises(ConfigError, match=r"^embedding_dim is 0\. Set 1 or more\.$"):
        settings_of(sample(), "--config", str(file))


def test_a_stored_setting_of_the_wrong_type_is_told_as_stored():
    command = sample(earlier_settings=lambda flags: {"limit": "much"})
    with pytest.raises(ConfigError, match=r"^the run's stored settings: limit: .*\(got 'much'\)"):
        resolve(command, ["d"])


def test_a_file_names_where_other_settings_are_stored_but_not_the_run_that_it_begins(tmp_path):
    asked = []
    command = around(lambda flags: asked.append(dict(flags)))
    (tmp_path / "c.yaml").write_text("like: yesterday\n")
    resolve(command, ["--config", str(tmp_path / "c.yaml"), "--", "train"])
    assert asked == [{"like": "yesterday", "config": str(tmp_path / "c.yaml")}]
    resolve(command, ["--like", "other", "--config", str(tmp_path / "c.yaml"), "--", "train"])
    assert asked[1]["like"] == "other"  # the flag wins


def test_the_words_after_two_dashes_are_another_commands_line(tmp_path):
    settings = settings_of(around(), "--count", "2", "--", "train", "--data", "d")
    assert settings == AroundConfig(count=2, command=("train", "--data", "d"))
    (tmp_path / "c.yaml").write_text("command: [evaluate, --run, r]\n")
    assert settings_of(around(), "--config", str(tmp_path / "c.yaml")).command == ("evaluate", "--run", "r")
    assert settings_of(around(), "--config", str(tmp_path / "c.yaml"), "--", "train").command == ("train",)


@pytest.mark.parametrize(
    ("args", "own", "rest"),
    [
        (["--count", "2"], ["--count", "2"], []),
        (["--", "train"], [], ["train"]),
        (["--count", "2", "--", "train", "--", "x"], ["--count", "2"], ["train", "--", "x"]),  # the first one cuts
        (["--json", "--", "train"], ["--json"], ["train", "--json"]),  # meant for both
        (["--", "train", "--debug"], ["--debug"], ["train", "--debug"]),
        (["--json", "--", "train", "--json"], ["--json"], ["train", "--json"]),
        (["--json"], ["--json"], []),
        (["--print-config", "--", "train"], ["--print-config"], ["train"]),
    ],
)
def test_a_line_is_cut_at_its_first_two_dashes(args, own, rest):
    assert split_rest(args) == (own, rest)


def test_a_line_without_another_commands_line_can_still_be_printed():
    assert "command" in resolve(around(), ["--print-config"]).values
    assert resolve(around(), []).values["command"] == ()


def test_merge_lays_groups_over_groups_and_replaces_the_rest():
    below = {"a": 1, "group": {"x": 1, "y": 2}, "list": [1, 2]}
    above = {"group": {"y": 3}, "list": [4], "b": 5}
    assert merge(below, above) == {"a": 1, "group": {"x": 1, "y": 3}, "list": [4], "b": 5}
    assert below["group"] == {"x": 1, "y": 2}


LEAVES = st.integers() | st.lists(st.integers(), max_size=2)
NESTED = st.recursive(
    st.dictionaries(st.sampled_from("abc"), LEAVES),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner | LEAVES),
)


@given(NESTED, NESTED, NESTED)
def test_layers_can_be_laid_one_by_one_or_the_upper_two_first(below, middle, above):
    # Only where no group lies over a single value or the other way: there the order decides which values come back
    if has_same_shape(below, middle) and has_same_shape(middle, above) and has_same_shape(below, above):
        assert merge(merge(below, middle), above) == merge(below, merge(middle, above))


def has_same_shape(one, other):
    return all(
        has_same_shape(one[key], other[key])
        if isinstance(one[key], dict) and isinstance(other[key], dict)
        else not isinstance(one[key], dict) and not isinstance(other[key], dict)
        for key in one.keys() & other.keys()
    )


@given(NESTED)
def test_a_layer_of_nothing_changes_nothing(layer):
    assert merge({}, layer) == merge(layer, {}) == merge(layer, layer) == layer
