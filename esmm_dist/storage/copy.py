"""Copy files between folders on a disk and in object stores, and continue where a copy was ended.

A copy shows as begun (``COPYING`` in the target) until its last file is there, and the manifest of a data set or of a
checkpoint is its last file: whoever reads a half copy finds no data set. Of a model ``saved_model.pb`` comes after all
that it names, and the manifest of a served model after that.
"""

import shutil
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from esmm_dist.errors import ConfigError, StorageError
from esmm_dist.process.signals import Interrupts
from esmm_dist.progress import Progress
from esmm_dist.storage.file_copy import copy_with_tries
from esmm_dist.storage.folder import Folder, StoredFile
from esmm_dist.storage.uris import COPYING

PARALLEL = 8
"""Files at once: a store answers one request late and many in the same time."""

_LAST = ("saved_model.pb", "manifest.json")
"""Files that come after all others, in this order."""


class _EndedError(Exception):
    """Another file has ended the copy."""


@dataclass(frozen=True, kw_only=True)
class CopyOptions:
    """What a copy does with files that are there, and how many it copies at once."""

    again: bool = False
    """Copy files that are there, too."""
    exact: bool = False
    """Remove files of the target that the source has not."""
    parallel: int = PARALLEL


@dataclass(frozen=True, kw_only=True)
class Copied:
    """What a copy did."""

    files: int
    """Copied now."""
    file_bytes: int
    """Their bytes."""
    kept: int
    """Files that were there already."""


def copy_tree(
    source: Folder,
    target: Folder,
    progress: Progress,
    *,
    task: str = "copy",
    options: CopyOptions = CopyOptions(),
) -> Copied:
    """Copy all files of a folder, those in folders below too; blocks until they are there.

    A file that is there with the same size and the time of its source (in a store, which sets the time itself: and is
    not older than its source) is kept, so a copy that was ended continues. A copy on a disk is whole or has another
    name. Memory is ``parallel`` times 4 MB.

    Args:
        source: folder to read
        target: folder to write; made if it is not there
        progress: receives the bytes that are copied, of how many
        task: name of the copy in progress
        options: what to copy, and how many files at once

    Raises:
        ConfigError: The source has no files, or one folder lies in the other.
        StorageError: Files cannot be read or written, or do not fit on the disk; what has been copied stays, and the
            next call continues.
    """
    _check_apart(source, target)
    files = source.tree()
    if not files:
        raise ConfigError(f"{source} holds no files, or is not there: nothing to copy. Check the path.")
    if COPYING in files:
        raise ConfigError(f"{source} is itself a copy that is not complete. Copy into it again first.")
    there = target.tree()
    missing = {
        path: about
        for path, about in files.items()
        if options.again or not _is_copied(about, there.get(path), keeps_times=target.is_local)
    }
    result = Copied(
        files=len(missing), file_bytes=sum(f.size for f in missing.values()), kept=len(files) - len(missing)
    )
    if missing:
        target.make()
        _check_room(target, result.file_bytes, {path: there[path] for path in missing if path in there})
        target.write_bytes(COPYING, b"This folder is being copied; without this file it is complete.\n")
        _copy_files(source, target, missing, progress, task, options.parallel)
    if options.exact:
        for path in there.keys() - files.keys() - {COPYING}:
            folder, name = _place(target, path)
            folder.delete_file(name)
    target.delete_file(COPYING)
    return result


def copy_file(source: Folder, name: str, target: Folder, target_name: str, progress: Progress) -> int:
    """Copy one file, or replace one; blocks until it is there.

    Returns:
        Its bytes.

    Raises:
        ConfigError: It is copied to itself.
        StorageError: It cannot be read or written.
        FileNotFoundError: It is not there.
    """
    if (source.location, name) == (target.location, target_name):
        raise ConfigError(f"{source}/{name} would be copied to itself. Give another target.")
    # A folder's listing knows the time too
    about = StoredFile(size=source.size(name), changed_ns=0)
    target.make()
    progress.start(f"copy {name}", about.size, "B")
    copy_with_tries(source, name, target, target_name, about, progress.advance)
    progress.finish()
    return about.size


def _check_apart(source: Folder, target: Folder) -> None:
    if source.is_within(target) or target.is_within(source):
        raise ConfigError(f"{source} and {target} lie one in the other. Give a target of its own.")


def _is_copied(source: StoredFile, target: StoredFile | None, *, keeps_times: bool) -> bool:
    if target is None or target.size != source.size:
        return False
    # A store may cut its times to the second
    unit = 1 if source.changed_ns % 10**9 and target.changed_ns % 10**9 else 10**9
    copied, changed = target.changed_ns // unit, source.changed_ns // unit
    # A copy on a disk has its source's time: another one is of other content, also if it is newer
    return copied == changed if keeps_times and changed else copied >= changed


def _check_room(target: Folder, needed: int, replaced: Mapping[str, StoredFile]) -> None:
    """Find out before an hour of copying that the disk is too small."""
    if not target.is_local:
        return
    free = shutil.disk_usage(target.local_path).free + sum(file.size for file in replaced.values())
    if needed > free:
        raise StorageError(
            f"{target} has room for {free / 1e9:.2f} GB, but {needed / 1e9:.2f} GB are to be copied. Free space, or "
            "choose another disk."
        )


def _copy_files(
    source: Folder, target: Folder, files: Mapping[str, StoredFile], progress: Progress, task: str, parallel: int
) -> None:
    lock, stop, copied = threading.Lock(), threading.Event(), [0]

    def count(amount: int) -> None:
        if stop.is_set():
            raise _EndedError
        with lock:
            copied[0] += amount

    def copy(path: str) -> None:
        (from_folder, name), (to_folder, _) = _place(source, path), _place(target, path)
        if to_folder.is_local:
            to_folder.make()
        copy_with_tries(from_folder, name, to_folder, name, files[path], count)

    progress.start(task, sum(file.size for file in files.values()), "B")
    reported = 0
    interrupts = Interrupts()
    with interrupts.installed(), ThreadPoolExecutor(parallel, thread_name_prefix="copy") as pool:
        try:
            for group in _groups(files):
                with interrupts.held():
                    pending: set[Future[None]] = {pool.submit(copy, path) for path in group}
                while pending:
                    with interrupts.held():
                        done, pending = wait(pending, timeout=0.5, return_when=FIRST_COMPLETED)
                    for each in done:
                        each.result()
                    with lock:
                        now = copied[0]
                    progress.advance(now - reported)
                    reported = now
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    progress.finish()


def _place(top: Folder, path: str) -> tuple[Folder, str]:
    """Return the folder in which a path of a tree lies, and its name there."""
    *folders, name = path.split("/")
    for part in folders:
        top = top / part
    return top, name


def _groups(files: Iterable[str]) -> list[list[str]]:
    """Return the files in the order in which they may appear: what tells about others comes after them."""
    groups = [[path for path in files if path.rpartition("/")[2] not in _LAST]]
    for name in _LAST:
        found = [path for path in files if path.rpartition("/")[2] == name]
        depths = sorted({path.count("/") for path in found}, reverse=True)
        groups += [[path for path in found if path.count("/") == depth] for depth in depths]
    return groups
