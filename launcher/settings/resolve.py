"""Resolve a command's settings: defaults, then an earlier run's, then the ``--config`` file's, then the flags'."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from esmm_dist.config import read_yaml, refuse_unknown
from launcher.command import Command
from launcher.settings import flags
from launcher.settings.setting_docs import nested_docs
from launcher.settings.shipped_settings import settings_path, shipped_names

_HELP_WIDTH = 80

_NAMING = ("like",)
"""Settings of a file that name where other settings are stored. ``run`` is none: a file starts new runs."""


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """A command's settings and where they go."""

    cls: type
    values: Mapping[str, Any]
    """Nested and typed, not yet checked by the class itself."""
    common: flags.CommonFlags


def resolve(command: Command, args: Sequence[str]) -> Resolved:
    """Read every source of settings for one command line.

    Raises:
        ConfigError: A file cannot be read, or has an unknown setting or a value of the wrong type.
        SystemExit: After ``--help``, or after tyro's message about a wrong flag.
    """
    cls = command.load_settings()
    args, rest = split_rest(args) if command.rest else (args, ())
    typed = flags.peek(args)
    file, path = {}, None
    if "config" in typed:
        path = settings_path(typed["config"], cls)
        file = read_yaml(path)
    named = {name: file[name] for name in _NAMING if isinstance(file.get(name), str)}
    base = command.find_earlier_settings({**named, **typed})
    where = "the run's stored settings"
    # Checked before the file is laid over them, so that the file is not blamed for them.
    refuse_unknown(cls, base, where=where)
    if path is not None:
        base, where = merge(base, file), str(path)
    if command.rest and (rest or "--print-config" not in args):
        base = {**base, command.rest: list(rest) or list(base.get(command.rest, ()))}
    values, common = flags.parse(
        cls,
        args,
        prog=f"esmm {command.name}",
        description=_description(command, cls),
        base=base,
        where=where,
        positional=command.positional,
        short=command.short,
        hidden=command.rest,
        shipped=shipped_names(cls),
    )
    return Resolved(cls=cls, values=values, common=common)


def _description(command: Command, cls: type) -> str:
    """Return what stands above the flags: what the command does, an example, and the flags that are used most."""
    parts = [command.summary, f"Example: {command.example}"]
    if command.main:
        docs = nested_docs(cls)
        flags_ = {name: f"--{name.replace('_', '-')}" for name in command.main}
        width = max(len(flag) for flag in flags_.values())
        lines = [_help_line(flag, docs[name], width) for name, flag in flags_.items()]
        parts.append("\n".join(["Most used:", *lines]))
    return "\n\n".join(parts)


def _help_line(flag: str, doc: str, width: int) -> str:
    """Return a flag with the first sentence of what it means, on lines of at most 80 characters."""
    first = doc.split(". ")[0].rstrip(".")
    return textwrap.fill(
        f"{first}.", _HELP_WIDTH, initial_indent=f"  {flag:<{width}}  ", subsequent_indent=" " * (width + 4)
    )


def split_rest(args: Sequence[str]) -> tuple[list[str], list[str]]:
    """Cut a line at its first ``--``.

    Returns:
        The words before, and those after. ``--json`` and ``--debug`` on either side are meant for both: the result of
        the whole is the result of the line after ``--``.
    """
    words = list(args)
    cut = words.index("--") if "--" in words else len(words)
    own, rest = words[:cut], words[cut + 1 :]
    for flag in ("--json", "--debug"):
        if rest and flag in own + rest:
            own, rest = ([*part, flag] if flag not in part else part for part in (own, rest))
    return own, rest


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one nested mapping over another: groups are merged, everything else is replaced."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged
