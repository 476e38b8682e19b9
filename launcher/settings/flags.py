"""Turn a command line and settings read from files into one settings object.

tyro parses and writes the help; it works on a twin of the settings class that has the same settings without their
checks, because a required setting may stand in a file, on the command line, or (with ``--print-config``) nowhere. The
finished values go through ``esmm_dist.config.build``, so that a value from a flag meets the checks of one from a file.
"""

import argparse
import dataclasses
import io
import itertools
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from typing import Annotated, Any, cast, get_type_hints

import tyro

from esmm_dist.config import build, near_names, refuse_unknown
from esmm_dist.errors import ConfigError
from launcher.settings.flag_values import reader, typed
from launcher.settings.setting_docs import class_doc, setting_docs

_COMMON = {
    "config": (str | None, None, "YAML file of settings; flags override it. An unknown setting in it is an error."),
    "print_config": (bool, False, "Print the settings as YAML, with their meaning, and do nothing else."),
    "json": (bool, False, "Print the result as one JSON line, last on stdout (the report goes to stderr)."),
    "debug": (bool, False, "Show a traceback when something goes wrong."),
}

_NO_SHORT: Mapping[str, str] = {}

_POSITIONAL = cast(Any, tyro.conf.Positional)
_HIDDEN = cast(Any, tyro.conf.Suppress)


@dataclass(frozen=True, kw_only=True)
class CommonFlags:
    """The flags that every command has."""

    config: str | None
    print_config: bool
    json: bool
    debug: bool


def peek(args: Sequence[str]) -> dict[str, str]:
    """Return the values of the flags that say which files of settings to read, before anything else is parsed."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for name in ("--config", "--run", "--like"):
        parser.add_argument(name, nargs="?")
    try:
        known, _ = parser.parse_known_args(list(args))
    except argparse.ArgumentError:  # tyro will say what is wrong with the line
        return {}
    return {key: value for key, value in vars(known).items() if value is not None}


def parse(
    cls: type,
    args: Sequence[str],
    *,
    prog: str,
    description: str,
    base: Mapping[str, Any],
    where: str,
    positional: Sequence[str] = (),
    short: Mapping[str, str] = _NO_SHORT,
    hidden: str | None = None,
    shipped: Sequence[str] = (),
) -> tuple[dict[str, Any], CommonFlags]:
    """Parse a command's flags on top of settings from files.

    Args:
        cls: The settings class.
        args: The command line after the command's name.
        prog: As the user typed it: ``esmm train``.
        description: Shown above the flags by ``--help``.
        base: Settings from files, as read from YAML.
        where: Where ``base`` is from, named in errors.
        positional: Settings given without a flag.
        short: Short flags of settings, by their names: ``-f``.
        hidden: A setting that has no flag: it is in ``base`` or missing.
        shipped: names of shipped files of settings, told by the help of ``--config``

    Returns:
        The settings as a nested mapping of typed values (``finish`` checks them), and the common flags. A required
        setting is missing from the mapping only with ``--print-config``.

    Raises:
        ConfigError: A flag is unknown, missing or has a wrong value, or ``base`` has an unknown setting or one of the
            wrong type.
        SystemExit: 0 after ``--help``.
    """
    refuse_unknown(cls, base, where=where)
    _refuse_unknown_flags(cls, args, prog, positional, hidden)
    optional = "--print-config" in args
    twin = _twin(cls, positional, optional=optional, common=shipped, short=short, hidden=hidden)
    with _refused_in_a_sentence(prog):
        parsed = tyro.cli(
            twin,
            prog=prog,
            description=description,
            args=list(args),
            default=_defaults(twin, cls, base, where, optional=optional, common=True),
            config=(tyro.conf.OmitArgPrefixes, tyro.conf.AvoidSubcommands),
        )
    common = CommonFlags(**{name: getattr(parsed, name) for name in _COMMON})
    return _values(parsed, cls, optional), common


def finish(cls: type, values: Mapping[str, Any]) -> Any:
    """Build the settings object and run its checks.

    Raises:
        ConfigError: A value is refused.
    """
    return build(cls, values, where="settings")


def missing(cls: type, values: Mapping[str, Any]) -> list[str]:
    """Return the settings without a value (dotted): required ones, not given with ``--print-config``."""
    found: list[str] = []
    hints = get_type_hints(cls)
    for f in dataclasses.fields(cls):
        if f.name not in values:
            found.append(f.name)
        elif dataclasses.is_dataclass(hints[f.name]):
            found += [f"{f.name}.{name}" for name in missing(hints[f.name], values[f.name])]
    return found


def flag_names(cls: type) -> list[str]:
    """Return the flags of a settings class and of its groups, without dashes in front: ``embedding-dim``."""
    names: list[str] = []
    hints = get_type_hints(cls)
    for f in dataclasses.fields(cls):
        hint: Any = hints[f.name]
        names += (
            flag_names(hint)
            if isinstance(hint, type) and dataclasses.is_dataclass(hint)
            else [f.name.replace("_", "-")]
        )
    return names


def _refuse_unknown_flags(
    cls: type, args: Sequence[str], prog: str, positional: Sequence[str], hidden: str | None
) -> None:
    """Check flags' names first: tyro would name a missing setting before a misspelt one."""
    known = {
        *(name for name in flag_names(cls) if name != hidden and name.replace("-", "_") not in positional),
        *(name.replace("_", "-") for name in _COMMON),
        "help",
    }
    for arg in args:
        if arg == "--":
            return
        name = arg.removeprefix("--").split("=")[0].replace("_", "-")
        if arg.startswith("--") and name.replace("-", "_") in positional:
            places = " ".join(each.upper() for each in positional)
            raise ConfigError(f"'{name}' is given without a flag: {prog} {places}. {prog} --help lists all.")
        if arg.startswith("--") and name.removeprefix("no-") not in known:
            near = " or ".join(f"'--{each}'" for each in near_names(name, known))
            hint = f" Did you mean {near}?" if near else ""
            raise ConfigError(f"Unknown flag '--{name}'.{hint} {prog} --help lists all.")


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


def _twin(
    cls: type,
    positional: Sequence[str],
    *,
    optional: bool,
    common: Sequence[str] | None = None,
    short: Mapping[str, str] = _NO_SHORT,
    hidden: str | None = None,
) -> Any:
    """Make a class with the settings of ``cls`` and their help.

    Args:
        cls: the settings class
        positional: settings given without a flag
        optional: whether required settings may be missing
        common: names of shipped files of settings, if the flags that every command has belong to it; else None
        short: short flags of settings
        hidden: a setting that has no flag
    """
    docs = setting_docs(cls)
    hints = get_type_hints(cls)
    fields: list[tuple[str, Any]] = []
    for f in dataclasses.fields(cls):
        hint = hints[f.name]
        if dataclasses.is_dataclass(hint):
            assert isinstance(hint, type)
            fields.append((f.name, _twin(hint, (), optional=optional)))
            continue
        if optional and _is_required(f):
            hint = cast(Any, hint) | None
        if f.name == hidden:
            fields.append((f.name, _HIDDEN[hint]))
            continue
        argument = _argument(
            hint, docs.get(f.name, ""), f.name, positional=f.name in positional, short=short.get(f.name)
        )
        annotated = Annotated[hint, *argument]  # type: ignore[valid-type]
        fields.append((f.name, _POSITIONAL[annotated] if f.name in positional else annotated))
    if common is not None:
        names = f" Shipped ones, by name: {', '.join(common)}." if common else ""
        texts = {"config": _COMMON["config"][2] + names}
        fields += [(name, _common_argument(kind, texts.get(name, text))) for name, (kind, _, text) in _COMMON.items()]
    twin = dataclasses.make_dataclass(cls.__name__, fields, kw_only=True)
    twin.__doc__ = class_doc(cls) or cls.__name__
    return twin


def _argument(hint: Any, text: str, name: str, *, positional: bool, short: str | None) -> tuple[Any, ...]:
    """Return what tells tyro how to read and describe a setting."""
    shown = name.upper() if positional else f"--{name.replace('_', '-')}"
    described = tyro.conf.arg(
        help=text, metavar=name.upper() if positional else None, aliases=[short] if short else None
    )
    read = reader(hint, shown)
    return (described,) if read is None else (read, described)


def _common_argument(kind: Any, text: str) -> Any:
    if kind is bool:
        return Annotated[bool, tyro.conf.arg(help=text, help_behavior_hint=""), tyro.conf.FlagCreatePairsOff]
    return Annotated[kind, tyro.conf.arg(help=text, help_behavior_hint="", metavar="FILE")]


def _defaults(
    twin: Any, cls: type, base: Mapping[str, Any], where: str, *, optional: bool, common: bool = False
) -> Any:
    """Make an instance of the twin that holds the file's values, else the defaults, else "missing"."""
    hints = get_type_hints(cls)
    values: dict[str, Any] = {name: default for name, (_, default, _) in _COMMON.items()} if common else {}
    twin_types = {f.name: f.type for f in dataclasses.fields(twin)}
    for f in dataclasses.fields(cls):
        hint = hints[f.name]
        if dataclasses.is_dataclass(hint):
            assert isinstance(hint, type)
            given = typed(dict[str, Any], base.get(f.name, {}), f"{where}: {f.name}")
            nested = _instance_mapping(_default(f, optional)) | given
            values[f.name] = _defaults(twin_types[f.name], hint, nested, f"{where}: {f.name}", optional=optional)
        elif f.name in base:
            values[f.name] = typed(hint, base[f.name], f"{where}: {f.name}")
        else:
            values[f.name] = _default(f, optional)
    return twin(**values)


def _instance_mapping(value: Any) -> dict[str, Any]:
    """Return the settings of a default group; empty if the group has no default (its settings may have)."""
    if not dataclasses.is_dataclass(value):
        return {}
    return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}


def _is_required(f: dataclasses.Field[Any]) -> bool:
    return f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING


def _default(f: dataclasses.Field[Any], optional: bool) -> Any:
    if f.default is not dataclasses.MISSING:
        return f.default
    if f.default_factory is not dataclasses.MISSING:
        return f.default_factory()
    return None if optional else tyro.MISSING


def _values(parsed: Any, cls: type, optional: bool) -> dict[str, Any]:
    """Read the parsed twin back into a nested mapping."""
    values: dict[str, Any] = {}
    hints = get_type_hints(cls)
    for f in dataclasses.fields(cls):
        value = getattr(parsed, f.name)
        if dataclasses.is_dataclass(hints[f.name]):
            values[f.name] = _values(value, hints[f.name], optional)
        elif not (optional and value is None and _is_required(f)):
            values[f.name] = value
    return values
