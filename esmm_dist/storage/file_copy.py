"""Copy one file between a disk and an object store, whole or not at all."""

import os
from collections.abc import Callable
from contextlib import suppress

from esmm_dist.errors import StorageError
from esmm_dist.process.retry import retry
from esmm_dist.storage.folder import Folder, StoredFile
from esmm_dist.storage.uris import COPYING
from esmm_dist.storage.whole_file import replace_durable

TRIES = 3
"""For each file; the store's client has tried each request several times before."""

WAIT_S = 2.0
"""Before the second try; twice that before the third."""

_PIECE = 4 << 20


def copy_with_tries(
    source: Folder, name: str, target: Folder, target_name: str, about: StoredFile, count: Callable[[int], None]
) -> None:
    """Copy one file; try again where a store fails. A copy on a disk is whole or has another name.

    Args:
        source: folder to read
        name: name of the file
        target: folder to write, which is there
        target_name: name of the copy
        about: size and time of the file when the copy began
        count: receives the bytes of each piece, and a negative number before another try; what it raises ends the copy

    Raises:
        StorageError: The file cannot be read or written, or has changed since.
    """
    counted = 0

    def count_piece(amount: int) -> None:
        nonlocal counted
        counted += amount
        count(amount)

    def uncount(error: StorageError, pause_s: float) -> None:
        count_piece(-counted)

    between_disks = target.is_local and source.is_local  # what a disk refuses, it refuses again
    retry(
        lambda: _copy_once(source, name, target, target_name, about, count_piece),
        StorageError,
        () if between_disks else [WAIT_S * 2**number for number in range(TRIES - 1)],
        on_failure=uncount,
    )


def _copy_once(
    source: Folder, name: str, target: Folder, target_name: str, about: StoredFile, count: Callable[[int], None]
) -> None:
    written_name = f".{target_name}{COPYING}" if target.is_local else target_name
    try:
        try:
            with source.open_input(name) as stream, target.open_output(written_name) as out:
                written = 0
                while piece := stream.read(_PIECE):
                    out.write(piece)
                    written += len(piece)
                    count(len(piece))
        except FileNotFoundError as e:
            raise StorageError(f"{source}/{name} is gone since the copy began. Begin it again.") from e
        if written != about.size:
            raise StorageError(
                f"{source}/{name} had {about.size:,} bytes when the copy began and {written:,} when it was read. "
                "Copy again when nobody writes to it."
            )
        if target.is_local:
            path = target.local_path / written_name
            if about.changed_ns:
                os.utime(path, ns=(about.changed_ns, about.changed_ns))
            replace_durable(path, target.local_path / target_name)
    except BaseException:
        if target.is_local:
            with suppress(OSError):
                (target.local_path / written_name).unlink(missing_ok=True)
        raise
