"""``esmm copy``: a folder or a file, from one place to another."""

from dataclasses import dataclass

from esmm_dist.errors import ConfigError
from esmm_dist.progress import Progress
from esmm_dist.storage.copy import PARALLEL, Copied, copy_file, copy_tree
from esmm_dist.storage.folder import Folder
from esmm_dist.storage.uris import without_credentials
from launcher.command import CommandContext, Outcome
from launcher.terminal.json_line import json_value
from launcher.terminal.progress import short_bytes

MOST_PARALLEL = 128


@dataclass(frozen=True, kw_only=True)
class CopyConfig:
    """Copy a folder, or one file, from or to an object store."""

    source: str
    """Path or URI of a folder, which is copied with all below it, or of one file."""

    target: str
    """Path or URI that the copy gets. What is there and not in the source stays."""

    again: bool = False
    """Copy files too that are there with the same size and time (in a store: and are not older than their source)."""

    parallel: int = PARALLEL
    """Files at once, each with 4 MB of memory."""

    def __post_init__(self) -> None:
        for name in ("source", "target"):
            if not getattr(self, name):
                raise ConfigError(f"{name} is empty. Give a path or a URI.")
        if not 1 <= self.parallel <= MOST_PARALLEL:
            raise ConfigError(f"parallel is {self.parallel}. Set 1 .. {MOST_PARALLEL}.")


def copy_command(settings: CopyConfig, context: CommandContext) -> Outcome:
    """Copy, and report how much."""
    copied = copy(settings, context.progress)
    files = "1 file" if copied.files == 1 else f"{copied.files:,} files"
    kept = f"; {copied.kept:,} were there" if copied.kept else ""
    source, target = (str(without_credentials(each)).partition("?")[0] for each in (settings.source, settings.target))
    return Outcome(
        lines=[f"Copied {files}, {short_bytes(copied.file_bytes)}, from {source} to {target}{kept}."],
        result={"source": source, "target": target, **json_value(copied)},
    )


def copy(settings: CopyConfig, progress: Progress) -> Copied:
    """Copy what is at ``source`` to ``target``.

    Raises:
        ConfigError: There is nothing, or one is in the other.
        StorageError: It cannot be read or written.
    """
    source, target = Folder.open(settings.source), Folder.open(settings.target)
    above, target_above = source.parent, target.parent
    if above is not None and target_above is not None and above.has(source.name):
        size = copy_file(above, source.name, target_above, target.name, progress)
        return Copied(files=1, file_bytes=size, kept=0)
    return copy_tree(source, target, progress, again=settings.again, parallel=settings.parallel)
