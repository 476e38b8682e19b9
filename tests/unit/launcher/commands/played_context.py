"""A command's context for tests: progress whose messages are kept, and no other command line."""

from collections.abc import Sequence
from typing import Any

from esmm_dist.progress import NoProgress
from launcher.command import CommandContext, Outcome


class Messages(NoProgress):
    """Keeps the messages."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def message(self, text: str) -> None:
        self.texts.append(text)


def no_line(line: Sequence[str]) -> Outcome:
    """Fail: the command of the test runs no other one."""
    raise AssertionError(f"runs {line}")


def make_context(progress: Any = None, run_line: Any = no_line, settings_of_line: Any = no_line) -> CommandContext:
    """Return a context."""
    return CommandContext(progress=progress or NoProgress(), run_line=run_line, settings_of_line=settings_of_line)


CONTEXT = make_context()
