"""Documentation of settings, from the strings that follow them in their class: for help and for printed settings."""

import ast
import dataclasses
import inspect
import textwrap
from functools import cache
from typing import get_type_hints

from launcher.command import Command

_HELP_WIDTH = 80


@cache
def setting_docs(cls: type) -> dict[str, str]:
    """Return the string that follows each setting in the class's source, as one line each.

    Args:
        cls: a dataclass; settings without a string are left out, as are all settings of a class without source
    """
    docs: dict[str, str] = {}
    for base in reversed(cls.__mro__[:-1]):
        docs |= _own_docs(base)
    return docs


def nested_docs(cls: type) -> dict[str, str]:
    """Return the same of a class and of the groups within it."""
    docs = dict(setting_docs(cls))
    for hint in get_type_hints(cls).values():
        if isinstance(hint, type) and dataclasses.is_dataclass(hint):
            docs |= nested_docs(hint)
    return docs


def command_doc(command: Command, cls: type) -> str:
    """Return what stands above a command's flags: what it does, an example, and the flags that are used most."""
    parts = [command.summary, f"Example: {command.example}"]
    if command.rest_settings is not None and command.rest is not None:
        parts.append(f"Behind --: {nested_docs(cls)[command.rest]}")
    if command.main:
        docs = nested_docs(cls)
        flags = {name: f"--{name.replace('_', '-')}" for name in command.main}
        width = max(len(flag) for flag in flags.values())
        lines = [_help_line(flag, docs[name], width) for name, flag in flags.items()]
        parts.append("\n".join(["Most used:", *lines]))
    return "\n\n".join(parts)


def _help_line(flag: str, doc: str, width: int) -> str:
    """Return a flag with the first sentence of what it means, on lines of at most 80 characters."""
    first = doc.split(". ")[0].rstrip(".")
    return textwrap.fill(
        f"{first}.", _HELP_WIDTH, initial_indent=f"  {flag:<{width}}  ", subsequent_indent=" " * (width + 4)
    )


def class_doc(cls: type) -> str:
    """Return the first paragraph of a class's docstring as one line; empty if it has none of its own."""
    first = inspect.cleandoc(cls.__doc__ or "").split("\n\n")[0]
    made_by_dataclass = first.startswith(f"{cls.__name__}(")
    return "" if made_by_dataclass else " ".join(first.split())


def _own_docs(cls: type) -> dict[str, str]:
    try:
        source = textwrap.dedent(inspect.getsource(cls))
    except (OSError, TypeError):  # made at run time: no file holds it
        return {}
    body = ast.parse(source).body[0]
    assert isinstance(body, ast.ClassDef)
    docs = {}
    for statement, after in zip(body.body, body.body[1:], strict=False):
        if (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
            and isinstance(after.value.value, str)
        ):
            docs[statement.target.id] = " ".join(after.value.value.replace("``", "").split())
    return docs
