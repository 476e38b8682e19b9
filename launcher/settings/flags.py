"""Turn a command line and settings read from files into one settings object.

tyro parses and writes the help; it works on a twin of the settings class (``twin.py``). The finished values go through
``esmm_dist.config.build``, so that a value from a flag meets the checks of one from a file.
"""

import argparse
import dataclasses
import io
import itertools
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from typing import Any, get_type_hints

import tyro

from esmm_dist.api.shipped_settings import shipped_names
from esmm_dist.config import build, setting_name
from esmm_dist.errors import ConfigError
from esmm_dist.flat_settings import flat_settings
from esmm_dist.near_names import near_names
from launcher.command import Command
from launcher.settings.flag_values import takes_many
from launcher.settings.setting_docs import command_doc
from launcher.settings.twin import CommonFlags, make_twin, read_twin, twin_defaults


def peek(args: Sequence[str]) -> dict[str, str]:
    """Return the values of the flags that say which files of settings to read, before anything else is parsed."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for name in ("--config", "--run", "--like", "--data"):
        parser.add_argument(name, nargs="?")
    for name in ("continue", "again"):
        parser.add_argument(f"--{name}", action="store_const", const="true")
        parser.add_argument(f"--no-{name}", dest=name, action="store_const", const="false")
    try:
        known, _ = parser.parse_known_args(list(args))
    except argparse.ArgumentError:  # tyro will say what is wrong with the line
        return {}
    return {key: value for key, value in vars(known).items() if value is not None}


def parse(command: Command, args: Sequence[str], base: Mapping[str, Any]) -> tuple[dict[str, Any], CommonFlags]:
    """Parse a command's flags on top of settings from files.

    Args:
        command: the command
        args: the command line after the command's name
        base: settings from files, typed: groups are mappings

    Returns:
        The settings as a nested mapping of typed values (``finish`` checks them), and the common flags. A required
        setting is missing from the mapping only with ``--print-config``.

    Raises:
        ConfigError: a flag is unknown, missing or has a wrong value
        SystemExit: 0 after ``--help``
    """
    cls, prog = command.load_settings(), f"esmm {command.name}"
    _refuse_unknown_flags(command, cls, args)
    _refuse_repeated_lists(cls, args)
    optional = "--print-config" in args
    twin = make_twin(command, cls, shipped_names(cls), optional=optional)
    with _refused_in_a_sentence(prog):
        parsed = tyro.cli(
            twin,
            prog=prog,
            description=command_doc(command, cls),
            args=list(args),
            default=twin_defaults(twin, cls, base, optional=optional),
            config=(tyro.conf.OmitArgPrefixes, tyro.conf.AvoidSubcommands),
        )
    common = CommonFlags(**{f.name: getattr(parsed, f.name) for f in dataclasses.fields(CommonFlags)})
    return read_twin(parsed, cls, optional=optional), common


def finish(cls: type, values: Mapping[str, Any]) -> Any:
    """Build the settings object and run its checks.

    Raises:
        ConfigError: a value is refused
    """
    return build(cls, values, where="settings")


def missing(cls: type, values: Mapping[str, Any]) -> list[str]:
    """Return the settings without a value (dotted): required ones, not given with ``--print-config``."""
    found: list[str] = []
    hints = get_type_hints(cls)
    for f in dataclasses.fields(cls):
        setting = setting_name(f.name)
        if setting not in values:
            found.append(setting)
        elif dataclasses.is_dataclass(hints[f.name]):
            found += [f"{setting}.{name}" for name in missing(hints[f.name], values[setting])]
    return found


def _flag_names(cls: type) -> dict[str, Any]:
    """Return the types of the flags of a settings class and of its groups; names have no dashes in front."""
    return {name.replace("_", "-"): setting.hint for name, setting in flat_settings(cls).items()}


def _refuse_repeated_lists(cls: type, args: Sequence[str]) -> None:
    """Check that no flag of a list is given twice: the later one would replace the values of the earlier."""
    types = _flag_names(cls)
    given: set[str] = set()
    for arg in itertools.takewhile(lambda word: word != "--", args):
        name = arg.removeprefix("--").split("=")[0].replace("_", "-")
        if not arg.startswith("--") or name not in types or not takes_many(types[name]):
            continue
        if name in given:
            raise ConfigError(f"--{name} is given twice. Give all its values to one: --{name} A,B.")
        given.add(name)


def _refuse_unknown_flags(command: Command, cls: type, args: Sequence[str]) -> None:
    """Check flags' names first: tyro would name a missing setting before a misspelt one."""
    without_flag = {name.replace("_", "-") for name in (*command.positional, command.rest or "")}
    known = {*_flag_names(cls), *_flag_names(CommonFlags), "help"} - without_flag
    for arg in itertools.takewhile(lambda word: word != "--", args):
        name = arg.removeprefix("--").split("=")[0].replace("_", "-")
        if not arg.startswith("--") or name.removeprefix("no-") in known:
            continue
        if name.replace("-", "_") in command.positional:
            places = " ".join(each.upper() for each in command.positional)
            raise ConfigError(
                f"'{name}' is given without a flag: esmm {command.name} {places}. esmm {command.name} --help lists all."
            )
        behind = command.load_rest_settings()
        if behind is not None and name.removeprefix("no-") in _flag_names(behind):
            raise ConfigError(f"'{arg}' stands before --. Put it behind: {command.example} -- {arg} ...")
        near = " or ".join(f"'--{each}'" for each in near_names(name, known))
        hint = f" Did you mean {near}?" if near else ""
        raise ConfigError(f"Unknown flag '--{name}'.{hint} esmm {command.name} --help lists all.")


@contextmanager
def _refused_in_a_sentence(prog: str) -> Iterator[None]:
    """Turn the box that tyro prints about a line it refuses into an error of one sentence."""
    printed = io.StringIO()
    try:
        with redirect_stderr(printed):
            yield
    except SystemExit as e:
        if not e.code:
            raise
        raise ConfigError(f"{_first_section(printed.getvalue())} {prog} --help lists all flags.") from None
    sys.stderr.write(printed.getvalue())


def _first_section(box: str) -> str:
    """Return what a box says before its first rule, without the help of flags, which stands further to the right.

    tyro draws the frame with other characters, or none, where the terminal has no better ones.
    """
    below_title = (line[1:-1] for line in box.splitlines()[1:])
    said = itertools.takewhile(lambda line: not _is_rule(line), itertools.dropwhile(_is_rule, below_title))
    text = " ".join(line.strip() for line in said if line.strip() and not line.startswith(" " * 8))
    return text if text.endswith(".") else f"{text}."


def _is_rule(line: str) -> bool:
    return bool(line.strip()) and not set(line.strip()) - set("─-")
