"""The twin of a settings class: what its help shows, and what goes in and out of it."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import pytest

from launcher.command import Command
from launcher.settings import flags
from launcher.settings.twin import CommonFlags, make_twin, read_twin, twin_defaults
from tests.unit.launcher.settings.sample_settings import SampleConfig, TableConfig


@dataclass(frozen=True, kw_only=True)
class PlacesConfig:
    """Settings with places of every kind."""

    source: Path
    """Read."""

    target: Path = Path("out")
    """Written."""

    follow: bool = False
    """Whether to go on."""

    command: tuple[str, ...] = ()
    """Another line."""


PLACES = Command(
    name="places", group="G", summary="S.", example="e", settings=PlacesConfig, work="no:work",
    positional=("source", "target"), short={"follow": "-f"}, rest="command",
)  # fmt: skip
SAMPLE = dataclasses.replace(PLACES, settings=SampleConfig, positional=(), short={}, rest=None)


def help_of(command, capsys, **changes):
    with pytest.raises(SystemExit):
        flags.parse(dataclasses.replace(command, **changes), ["--help"], {})
    return capsys.readouterr().out


def test_a_positional_setting_stands_in_brackets_if_it_has_a_default(capsys):
    text = help_of(PLACES, capsys)
    assert text.splitlines()[0].endswith("SOURCE [TARGET]")
    assert "-f, --follow, --no-follow" in text
    assert "--command" not in text  # it is given behind --


def test_every_command_has_the_common_flags_with_the_shipped_files_that_fit_it(capsys):
    text = help_of(SAMPLE, capsys)
    assert all(f"--{f.name.replace('_', '-')}" in text for f in dataclasses.fields(CommonFlags))
    assert "Shipped ones" not in text
    twin = make_twin(SAMPLE, SampleConfig, ["small-data"], optional=False)
    [config] = [f for f in dataclasses.fields(twin) if f.name == "config"]
    assert "Shipped ones, by name: small-data." in str(config.type)


@pytest.mark.parametrize("optional", [True, False])
def test_what_goes_into_a_twin_comes_out_of_it_on_top_of_the_defaults(optional):
    twin = make_twin(SAMPLE, SampleConfig, [], optional=optional)
    base = {"data": Path("d"), "limit": 3.0, "table": {"optimizer": "sgd"}}
    filled = twin_defaults(twin, SampleConfig, base, optional=optional)
    values = read_twin(filled, SampleConfig, optional=optional)
    expected = SampleConfig(data=Path("d"), limit=3.0, table=TableConfig(optimizer="sgd"))
    assert flags.finish(SampleConfig, values) == expected
    assert (filled.config, filled.print_config, filled.json, filled.debug) == (None, False, False, False)


def test_a_required_setting_without_a_value_stays_missing_where_that_is_allowed():
    twin = make_twin(SAMPLE, SampleConfig, [], optional=True)
    values = read_twin(twin_defaults(twin, SampleConfig, {}, optional=True), SampleConfig, optional=True)
    assert "data" not in values
    assert values["limit"] is None  # its default, which is none either
