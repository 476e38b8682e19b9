"""Which steps of a demo are done, so that a second start continues instead of starting over."""

import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from esmm_dist.errors import ConfigError
from esmm_dist.storage.whole_file import make_folder_durable, write_durable
from launcher.demo.plan import Step

JOURNAL_NAME = "demo.json"


@dataclass(frozen=True, kw_only=True)
class DoneStep:
    """A finished step."""

    seconds: float
    result: dict[str, Any]
    """What its command prints with ``--json``."""


@dataclass(kw_only=True)
class Journal:
    """The steps of one demo folder. Written after each step, all or nothing."""

    path: Path
    lines: list[str]
    done: dict[str, DoneStep]

    def add(self, step: Step, done: DoneStep) -> None:
        """Record a finished step, and write the journal."""
        self.done[step.name] = done
        self.write()

    def write(self) -> None:
        """Write the journal, by which a folder is known as a demo's."""
        steps = {name: {"seconds": d.seconds, "result": d.result} for name, d in self.done.items()}
        make_folder_durable(self.path.parent)
        write_durable(self.path, (json.dumps({"lines": self.lines, "done": steps}, indent=1) + "\n").encode())


def open_journal(folder: Path, plan: Callable[[Path], Sequence[Step]]) -> Journal:
    """Read the journal of a demo, or begin one. Writes nothing.

    A folder with a demo of other settings (or of another version) is left alone: its subfolder ``2``, ``3``, ... is
    used instead.

    Args:
        folder: a new or empty folder, or that of an earlier demo
        plan: returns the demo's steps below a folder

    Raises:
        ConfigError: the folder holds something else; nothing in it is touched
    """
    for tried in itertools.chain([folder], (folder / str(i) for i in itertools.count(2))):
        path, lines = tried / JOURNAL_NAME, [step.line for step in plan(tried)]
        if not path.is_file():
            _refuse_if_used(tried)
            return Journal(path=path, lines=lines, done={})
        journal = _read(path)
        if journal.lines == lines:
            return journal
    raise AssertionError("the loop over subfolders does not end")


def _refuse_if_used(folder: Path) -> None:
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise ConfigError(f"{folder} exists and is not the folder of a demo. Give a new folder: esmm demo OTHER_FOLDER")


def _read(path: Path) -> Journal:
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        done = {name: DoneStep(seconds=d["seconds"], result=d["result"]) for name, d in stored["done"].items()}
        return Journal(path=path, lines=list(stored["lines"]), done=done)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as e:
        raise ConfigError(f"{path} cannot be read ({e!r}). Remove {path.parent}, or give another folder.") from e
