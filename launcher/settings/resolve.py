"""Resolve a command's settings: defaults, then an earlier run's, then the ``--config`` file's, then the flags'."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from esmm_dist.api.shipped_settings import settings_path
from esmm_dist.config import Named, typed_settings
from esmm_dist.flat_settings import merge
from esmm_dist.yaml_text import YamlText, read_text
from launcher.command import Command
from launcher.settings import flags
from launcher.settings.twin import CommonFlags

_NAMING = ("like", "data")
"""Settings of a file that name where other settings are stored. ``run`` is not one: a file starts new runs."""


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """A command's settings and where they go."""

    cls: type
    values: Mapping[str, Any]
    """Nested and typed, not yet checked by the class itself."""
    common: CommonFlags


def resolve(command: Command, args: Sequence[str]) -> Resolved:
    """Read every source of settings for one command line.

    Raises:
        ConfigError: a file cannot be read, or has an unknown setting or a value of the wrong type
        SystemExit: after ``--help``
    """
    cls = command.load_settings()
    if command.file_first and args and not args[0].startswith("-"):
        args = ["--config", *args]
    args, rest = split_rest(args) if command.rest else (args, ())
    given: dict[str, str] = flags.peek(args)
    file = _read_settings(given["config"], cls) if "config" in given else None
    data = file.data if file is not None else {}
    named = {name: data[name] for name in _NAMING if isinstance(data.get(name), str)}
    named |= {name: "true" for name in ("continue", "again") if data.get(name) is True}
    base = typed_settings(Named("the run's stored settings"), cls, command.find_earlier_settings({**named, **given}))
    if file is not None:
        base = merge(base, typed_settings(file, cls, data))
    if command.rest and (rest or "--print-config" not in args):
        base[command.rest] = tuple(rest) or base.get(command.rest, ())
    values, common = flags.parse(command, args, base)
    return Resolved(cls=cls, values=values, common=common)


def _read_settings(name_or_path: str, cls: type) -> YamlText:
    path = settings_path(name_or_path, cls)
    return YamlText(read_text(path), where=str(path))


def split_rest(args: Sequence[str]) -> tuple[list[str], list[str]]:
    """Cut a line at its first ``--``.

    Returns:
        The words before it and those after it. ``--json`` and ``--debug`` on either side apply to both: the result of
        the whole is the result of the line after ``--``.
    """
    words = list(args)
    cut = words.index("--") if "--" in words else len(words)
    own, rest = words[:cut], words[cut + 1 :]
    for flag in ("--json", "--debug"):
        if rest and flag in own + rest:
            own, rest = ([*part, flag] if flag not in part else part for part in (own, rest))
    return own, rest
