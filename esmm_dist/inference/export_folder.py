"""The folder of an exported version: written under a temporary name, and renamed when it is whole."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import Any

from esmm_dist.errors import StorageError
from esmm_dist.process.system_refusal import refusal
from esmm_dist.storage.whole_file import make_folder_durable, replace_durable

EXTRA_FOLDER = "assets.extra"
"""A folder of a SavedModel that TensorFlow leaves alone."""

DESCRIPTION = Path(EXTRA_FOLDER, "esmm.json")
"""Where a version says what it was made from."""


def write_version(out: Path, write: Callable[[Path], None]) -> int:
    """Write a folder that is whole as soon as it has its name, and return the bytes of its files.

    What a process that was killed has left is removed by the next one that writes the same folder.

    Args:
        out: the folder, which must not exist
        write: writes what belongs into it to the folder that it is given, which exists

    Raises:
        StorageError: The folder cannot be written, or another process is writing it.
    """
    temporary = out.with_name(f".{out.name}.exporting")
    try:
        make_folder_durable(out.parent)
        with ExitStack() as stack:
            with suppress(FileNotFoundError):
                stack.enter_context(_held(temporary, out))
                shutil.rmtree(temporary)
            temporary.mkdir()
            stack.enter_context(_held(temporary, out))
            stack.callback(shutil.rmtree, temporary, ignore_errors=True)
            write(temporary)
            size = sum(path.stat().st_size for path in temporary.rglob("*") if path.is_file())
            if out.exists():  # meanwhile; a rename would replace an empty folder
                raise FileExistsError(f"{out} was made by someone else meanwhile")
            replace_durable(temporary, out)
            return size
    except OSError as e:
        text = refusal(e, out) or f"{out} cannot be written: {e}. Free space, or check the path."
        raise StorageError(text) from e


@contextmanager
def _held(temporary: Path, out: Path) -> Iterator[None]:
    """Keep other processes from removing a folder that this one writes.

    Raises:
        FileNotFoundError: It is not there.
        StorageError: Another process holds it.
    """
    folder = os.open(temporary, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system that has no locks
            try:
                flock(folder, LOCK_EX | LOCK_NB)
            except BlockingIOError as e:
                raise StorageError(
                    f"Another process is exporting to {out}. Wait for it, or give another folder."
                ) from e
        yield
    finally:
        os.close(folder)


def write_description(version: Path, description: dict[str, Any]) -> None:
    """Write ``esmm.json`` of a version.

    Raises:
        OSError: The folder cannot be written.
    """
    path = version / DESCRIPTION
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")
