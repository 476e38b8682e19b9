"""What a command is: a settings class, a function that does the work, and the outcome that it returns."""

import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from esmm_dist.errors import ConfigError
from esmm_dist.progress import Progress
from esmm_dist.ranks.environment import process_rank
from esmm_dist.storage.stored_place import StoredPlace

RUN_AGAIN = "Run the same command again to continue or start over."
"""What to do after a command was interrupted."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a command did."""

    lines: Sequence[str]
    """Report for a reader."""

    result: Mapping[str, Any]
    """The same for a program: printed as one JSON line with ``--json``."""

    done: bool = True
    """False: the work was not done (a check failed), and the process exits with ``failed_status``."""

    failed_status: int = 1
    """Exit status of work that was not done."""


RunLine = Callable[[Sequence[str]], Outcome]
"""Runs the words after ``esmm`` within this process."""


def own_rank(command: "Command | None") -> tuple[int, int]:
    """Return this process's rank in a command's work and the number of ranks; (0, 1) for work of one process.

    Also (0, 1) where the environment makes no sense: the command itself reports that.
    """
    if command is None or not command.in_ranks:
        return 0, 1
    try:
        return process_rank()
    except ConfigError:
        return 0, 1


@dataclass(frozen=True, kw_only=True)
class CommandContext:
    """What a command's work gets beside its settings."""

    progress: Progress

    run_line: RunLine
    """Runs another command line within this process."""

    settings_of_line: Callable[[Sequence[str]], Any]
    """Returns the checked settings of another command line without running it, or raises what is wrong with it."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """One word after ``esmm``.

    What it is made of is named as ``package.module:name`` and imported when it is needed, so that ``esmm --help`` takes
    no time. The thing itself can stand in the place of its name.
    """

    name: str

    group: str
    """Heading in ``esmm --help``."""

    summary: str
    """One line, shown by ``esmm --help``."""

    example: str
    """A line that a user can type, shown by ``esmm NAME --help``."""

    settings: str | type
    """The settings class, a frozen dataclass."""

    work: str | Callable[[Any, CommandContext], Outcome]
    """Does the work: (settings, context) -> outcome."""

    positional: Sequence[str] = field(default=())
    """Settings that are given without a flag, in this order."""

    file_first: bool = False
    """Whether the first word, if it is no flag, is the file of ``--config``: ``esmm tune search.yaml``."""

    main: Sequence[str] = field(default=())
    """Settings that are used most: ``esmm NAME --help`` begins with them."""

    short: Mapping[str, str] = field(default_factory=dict)
    """Settings that have a short flag too: ``{"follow": "-f"}``."""

    rest: str | None = None
    """Setting that takes the words after ``--`` as they are: another command's line."""

    rest_settings: str | type | None = None
    """Settings class whose flags stand behind ``--``, where they begin with no command's name."""

    stored: Mapping[str, StoredPlace] = field(default_factory=dict)
    """Settings that may name a place in an object store though the work reads and writes files."""

    in_ranks: bool = False
    """Whether several processes (ranks) may do its work together. Each process of another command works and reports for
    itself, whatever HOROVOD_RANK says in its environment."""

    earlier_settings: str | Callable[[Mapping[str, str]], Mapping[str, Any] | None] | None = None
    """From the flags as typed, finds settings stored by an earlier run; flags and ``--config`` override them."""

    def load_settings(self) -> type[Any]:
        """Import and return the settings class."""
        found = _loaded(self.settings)
        assert isinstance(found, type)
        return found

    def load_rest_settings(self) -> type[Any] | None:
        """Import and return the class of the settings behind ``--``, if there is one."""
        found = _loaded(self.rest_settings)
        assert found is None or isinstance(found, type)
        return found

    def run(self, settings: Any, context: CommandContext) -> Outcome:
        """Do the work.

        Raises:
            EsmmError: whatever the work raises
        """
        outcome = _loaded(self.work)(settings, context)
        assert isinstance(outcome, Outcome)
        return outcome

    def find_earlier_settings(self, flags: Mapping[str, str]) -> Mapping[str, Any]:
        """Return the settings stored by an earlier run that the flags name; none if they name none."""
        return (self.earlier_settings and _loaded(self.earlier_settings)(flags)) or {}


def _loaded(named: Any) -> Any:
    return pkgutil.resolve_name(named) if isinstance(named, str) else named
