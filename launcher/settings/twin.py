"""The twin of a settings class, which tyro parses flags with.

It has the same settings without the class's checks, because a required setting may stand in a file, on the command
line, or (with ``--print-config``) nowhere.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, cast, get_type_hints

import tyro

from esmm_dist.config import setting_name
from launcher.command import Command
from launcher.settings.flag_values import reader
from launcher.settings.setting_docs import class_doc, setting_docs

_POSITIONAL = cast(Any, tyro.conf.Positional)
_HIDDEN = cast(Any, tyro.conf.Suppress)


@dataclass(frozen=True, kw_only=True)
class CommonFlags:
    """The flags that every command has."""

    config: str | None = None
    """YAML file of settings; flags override it. An unknown setting in it is an error."""

    print_config: bool = False
    """Print the settings as YAML, with their meaning, and do nothing else."""

    json: bool = False
    """Print the result as one JSON line, last on stdout (the report goes to stderr)."""

    debug: bool = False
    """Show a traceback when something goes wrong."""


def make_twin(command: Command, cls: type, shipped: Sequence[str], *, optional: bool) -> type:
    """Make a class with the settings of a command, their help, and the flags that every command has.

    Args:
        command: the command
        cls: its settings class
        shipped: names of shipped files of settings, for the help of ``--config``
        optional: whether required settings may be missing
    """
    return dataclasses.make_dataclass(
        cls.__name__,
        [*_fields(cls, command, optional=optional), *_common_fields(shipped)],
        kw_only=True,
        namespace={"__doc__": class_doc(cls) or cls.__name__},
    )


def twin_defaults(twin: type, cls: type, base: Mapping[str, Any], *, optional: bool) -> Any:
    """Make an instance of the twin that holds the files' values, else the defaults, else "missing".

    Args:
        twin: twin of the settings class
        cls: the settings class
        base: typed values from files; groups are mappings
        optional: whether required settings may be missing
    """
    hints, twins = get_type_hints(cls), {f.name: f.type for f in dataclasses.fields(twin)}
    values: dict[str, Any] = {}
    for f in dataclasses.fields(cls):
        if dataclasses.is_dataclass(hints[f.name]):
            group, group_twin = cast(type, hints[f.name]), cast(type, twins[f.name])
            given = _instance_mapping(_default(f, optional)) | base.get(setting_name(f.name), {})
            values[f.name] = twin_defaults(group_twin, group, given, optional=optional)
        else:
            name = setting_name(f.name)
            values[f.name] = base[name] if name in base else _default(f, optional)
    return twin(**values)


def read_twin(parsed: Any, cls: type, *, optional: bool) -> dict[str, Any]:
    """Return the settings that a parsed twin holds, as a nested mapping; without required ones that are missing."""
    values: dict[str, Any] = {}
    hints = get_type_hints(cls)
    for f in dataclasses.fields(cls):
        value, name = getattr(parsed, f.name), setting_name(f.name)
        if dataclasses.is_dataclass(hints[f.name]):
            values[name] = read_twin(value, cast(type, hints[f.name]), optional=optional)
        elif not (optional and value is None and _is_required(f)):
            values[name] = value
    return values


def _fields(cls: type, command: Command | None, *, optional: bool) -> list[tuple[str, Any]]:
    """Return name and annotated type of each setting; ``command`` is None within a group."""
    docs, hints = setting_docs(cls), get_type_hints(cls)
    fields: list[tuple[str, Any]] = []
    for f in dataclasses.fields(cls):
        hint: Any = hints[f.name]
        if dataclasses.is_dataclass(hint):
            assert isinstance(hint, type)
            group = dataclasses.make_dataclass(
                hint.__name__,
                _fields(hint, None, optional=optional),
                kw_only=True,
                namespace={"__doc__": class_doc(hint) or hint.__name__},
            )
            fields.append((f.name, group))
            continue
        hint = hint | None if optional and _is_required(f) else hint
        fields.append((f.name, _argument(f, hint, docs.get(f.name, ""), command)))
    return fields


def _argument(f: dataclasses.Field[Any], hint: Any, text: str, command: Command | None) -> Any:
    """Return the type of a setting with what tells tyro how to read and describe it."""
    name = f.name
    if command is not None and name == command.rest:
        return _HIDDEN[hint]
    is_positional = command is not None and name in command.positional
    short = command.short.get(name) if command is not None else None
    place = name.upper() if _is_required(f) else f"[{name.upper()}]"
    described = tyro.conf.arg(
        name=setting_name(name) if setting_name(name) != name else None,
        help=text,
        metavar=place if is_positional else None,
        aliases=[short] if short else None,
    )
    read = reader(hint, name.upper() if is_positional else f"--{setting_name(name).replace('_', '-')}")
    annotated = Annotated[hint, described] if read is None else Annotated[hint, read, described]
    return _POSITIONAL[annotated] if is_positional else annotated


def _common_fields(shipped: Sequence[str]) -> list[tuple[str, Any, Any]]:
    fields: list[tuple[str, Any, Any]] = []
    for f in dataclasses.fields(CommonFlags):
        text = setting_docs(CommonFlags)[f.name]
        if f.name == "config":
            names = f" Shipped ones, by name: {', '.join(shipped)}." if shipped else ""
            described = tyro.conf.arg(help=text + names, help_behavior_hint="", metavar="FILE")
            fields.append((f.name, Annotated[str | None, described], None))
        else:
            described = tyro.conf.arg(help=text, help_behavior_hint="")
            fields.append((f.name, Annotated[bool, described, tyro.conf.FlagCreatePairsOff], False))
    return fields


def _instance_mapping(value: Any) -> dict[str, Any]:
    """Return the settings of a default group; empty if the group has no default (its settings may have)."""
    if not dataclasses.is_dataclass(value):
        return {}
    return {setting_name(f.name): getattr(value, f.name) for f in dataclasses.fields(value)}


def _is_required(f: dataclasses.Field[Any]) -> bool:
    return f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING


def _default(f: dataclasses.Field[Any], optional: bool) -> Any:
    if f.default is not dataclasses.MISSING:
        return f.default
    if f.default_factory is not dataclasses.MISSING:
        return f.default_factory()
    return None if optional else tyro.MISSING
