"""Files that are whole or not there, whoever reads them at whatever moment; and what outlasts a power failure.

A rename is seen in one moment, but a machine that loses its power may have it on the disk before the file's bytes: the
name is there and the bytes are not. What must outlast that is synced first, and its folder after the rename. What is
written again within a second (a heartbeat, an address) need not.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write a text file under another name first: whoever sees it reads it whole. A power failure may lose it."""
    temporary = _beside(path)
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def write_durable(path: Path, data: bytes) -> None:
    """Write a file, or replace one: whole or not at all, and on the disk on return.

    Raises:
        OSError: The disk refuses; what was there before is untouched.
    """
    with durable_file(path) as temporary:
        temporary.write_bytes(data)


@contextmanager
def durable_file(path: Path) -> Iterator[Path]:
    """Yield the name to write a file to; after the block it is at ``path``, whole and on the disk.

    A block that fails leaves nothing behind, and what was there before is untouched.
    """
    temporary = _beside(path)
    try:
        yield temporary
        replace_durable(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def replace_durable(temporary: Path, path: Path) -> None:
    """Give a file, or a folder with all that is in it, its name; bytes and name are on the disk on return."""
    sync_tree(temporary)
    os.replace(temporary, path)
    sync(path.parent)


def sync_tree(path: Path) -> None:
    """Return when a file, or a folder with all that is in it, is on the disk."""
    for folder, _, names in os.walk(path, topdown=False):
        for name in names:
            sync(Path(folder, name))
        sync(Path(folder))
    if not path.is_dir():
        sync(path)


def sync(path: Path) -> None:
    """Return when the bytes of a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder_durable(folder: Path) -> None:
    """Make a folder and those above it, and return when their names are on the disk; those that are there are left."""
    missing = [each for each in (folder, *folder.parents) if not each.is_dir()]
    folder.mkdir(parents=True, exist_ok=True)
    for each in missing:
        sync(each.parent)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.writing")
