"""Which steps are done, so that a second start continues instead of starting over."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from esmm_dist.errors import ConfigError
from esmm_dist.storage.whole_file import make_folder_durable, write_durable
from launcher.steps.step import Step


@dataclass(frozen=True, kw_only=True)
class DoneStep:
    """A finished step."""

    seconds: float
    result: dict[str, Any]
    """What its command prints with ``--json``."""


@dataclass(kw_only=True)
class Journal:
    """The steps of one folder. Written after each step, all or nothing."""

    path: Path
    lines: list[str]
    done: dict[str, DoneStep]

    def add(self, step: Step, done: DoneStep) -> None:
        """Record a finished step, and write the journal."""
        self.done[step.name] = done
        self.write()

    def write(self) -> None:
        """Write the journal, by which a folder is known as that of its command."""
        steps = {name: {"seconds": d.seconds, "result": d.result} for name, d in self.done.items()}
        make_folder_durable(self.path.parent)
        write_durable(self.path, (json.dumps({"lines": self.lines, "done": steps}, indent=1) + "\n").encode())


def open_journal(path: Path, steps: Sequence[Step], *, refused: str) -> Journal:
    """Read a journal, or begin one. Writes nothing.

    Args:
        path: file of the journal, in the folder that the steps write below
        steps: steps of a journal that begins
        refused: error for a folder without a journal that holds something else

    Raises:
        ConfigError: the journal cannot be read, or the folder holds something else; nothing in it is touched
    """
    if path.is_file():
        return _read(path)
    folder = path.parent
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise ConfigError(refused)
    return Journal(path=path, lines=lines_of(steps), done={})


def lines_of(steps: Sequence[Step]) -> list[str]:
    """Return the lines of steps as a user types them: two journals with equal ones are of the same work."""
    return [step.line for step in steps]


def _read(path: Path) -> Journal:
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        done = {name: DoneStep(seconds=d["seconds"], result=d["result"]) for name, d in stored["done"].items()}
        return Journal(path=path, lines=list(stored["lines"]), done=done)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as e:
        raise ConfigError(f"{path} cannot be read ({e!r}). Remove {path.parent}, or give another folder.") from e
