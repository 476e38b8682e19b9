"""``esmm copy``: copy a folder or a file from one place to another."""

from dataclasses import dataclass

from esmm_dist.errors import ConfigError
from esmm_dist.progress import Progress
from esmm_dist.storage.copy import PARALLEL, Copied, CopyOptions, copy_file, copy_tree
from esmm_dist.storage.folder import Folder
from esmm_dist.storage.uris import without_credentials
from esmm_dist.words import short_bytes
from launcher.command import CommandContext, Outcome
from launcher.terminal.json_line import json_value

MOST_PARALLEL = 128


@dataclass(frozen=True, kw_only=True)
class CopyConfig:
    """Copy a folder, or one file, from or to an object store."""

    source: str
    """Path or URI of a folder, which is copied with everything below it, or of one file."""

    target: str
    """Path or URI of the copy. Files there that the source does not have stay."""

    again: bool = False
    """Copy all files again, also those that the target has with the same size and time (in an object store: with the
    same size, and no older than their source)."""

    parallel: int = PARALLEL
    """Files that are copied at once, each with 4 MB of memory."""

    def __post_init__(self) -> None:
        for name in ("source", "target"):
            if not getattr(self, name):
                raise ConfigError(f"{name} is empty. Give a path or a URI.")
        if not 1 <= self.parallel <= MOST_PARALLEL:
            raise ConfigError(f"parallel is {self.parallel}. Set 1 .. {MOST_PARALLEL}.")


def copy_command(settings: CopyConfig, context: CommandContext) -> Outcome:
    """Copy a folder or a file, and report how much was copied."""
    copied = copy(settings, context.progress)
    files = "1 file" if copied.files == 1 else f"{copied.files:,} files"
    kept = f"; {copied.kept:,} {'was' if copied.kept == 1 else 'were'} there already" if copied.kept else ""
    source, target = (str(without_credentials(each)).partition("?")[0] for each in (settings.source, settings.target))
    return Outcome(
        lines=[f"Copied {files}, {short_bytes(copied.file_bytes)}, from {source} to {target}{kept}."],
        result={"source": source, "target": target, **json_value(copied)},
    )


def copy(settings: CopyConfig, progress: Progress) -> Copied:
    """Copy what is at ``source`` to ``target``.

    Raises:
        ConfigError: the source does not exist, or one place lies in the other
        StorageError: a file cannot be read or written
    """
    source, target = Folder.open(settings.source), Folder.open(settings.target)
    above, target_above = source.parent, target.parent
    if above is not None and target_above is not None and above.has(source.name):
        size = copy_file(above, source.name, target_above, target.name, progress)
        return Copied(files=1, file_bytes=size, kept=0)
    return copy_tree(source, target, progress, options=CopyOptions(again=settings.again, parallel=settings.parallel))
