"""What the operating system refuses, as one sentence: which place, why, and what to do.

An ``OSError`` of a write knows its reason but often not its file. ``refusals_named`` is put around work whose files
are in one place; the command line (``launcher/cli.py``) turns what is left into a sentence.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from esmm_dist.errors import StorageError

_SPACE = "Free space there, or choose another place"
_RIGHTS = "Check its owner and rights, or choose another place"
_REMEDIES = {
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: "Free some of the quota, or choose another place",
    errno.EFBIG: "Raise the limit on the size of a file (ulimit -f), or choose a place whose file system allows it",
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EROFS: "Choose a place that can be written",
    errno.ENOENT: "Check the path: it, a folder of it or what a link points to is missing",
    errno.ENOTDIR: "Check the path: a part of it is a file, not a folder",
    errno.EISDIR: "Check the path: it is a folder, not a file",
    errno.EEXIST: "Move it away, or choose another place",
    errno.ENOTEMPTY: "Move what it holds away, or choose another place",
    errno.ENAMETOOLONG: "Choose a shorter path",
    errno.ELOOP: "Check the path: its links point to each other",
    errno.EMFILE: "Raise the limit on open files (ulimit -n)",
    errno.ENFILE: "End other programs: the machine has no open files left",
    errno.ENOMEM: "Free some memory",
    errno.EIO: "Check the disk: it does not answer as it should",
    errno.ESTALE: "Mount the file system again",
    errno.ETXTBSY: "End the program that uses it",
    errno.EXDEV: "Choose a place on the same file system",
}


def remedy(error: OSError) -> str | None:
    """Return what to do about an error of the system, without a full stop; None for any other error."""
    return None if error.errno is None else _REMEDIES.get(error.errno)


def error_in_text(text: str) -> OSError:
    """Return the error of the system that a library describes in its own text, or one with the text's first line."""
    found = [number for number in _REMEDIES if os.strerror(number) in text]
    return OSError(found[0], os.strerror(found[0])) if found else OSError(text.partition("\n")[0])


def refusal(error: OSError, place: Path | None = None) -> str | None:
    """Return the sentence for an error of the system; None for any other (a lost connection, a defect of this project).

    Args:
        error: the error as it was raised
        place: place of the work's files; named if the error names no file
    """
    number, help_ = error.errno, remedy(error)
    if number is None or help_ is None:
        return None
    name = error.filename2 if error.filename2 is not None and number != errno.ENOENT else error.filename
    where = os.fsdecode(name) if isinstance(name, str | bytes | os.PathLike) else place
    if where is not None and (broken := broken_link(Path(where))) is not None:
        return f"{broken}. Make what it leads to, or choose another place; then run it again."
    shown = "A file that the system does not name (--debug shows where it was used)" if where is None else where
    reason = f"{errno.errorcode[number]}: {os.strerror(number)}"
    return f"{shown}: the system refuses ({reason}). {help_}; then run it again."


def broken_link(path: Path) -> str | None:
    """Return what is wrong with a path that is, or leads through, a broken link; None if it does not."""
    for part in (path, *path.parents):
        if os.path.islink(part) and not os.path.exists(part):
            return f"{part} is a link to {os.readlink(part)}, which does not exist"
    return None


@contextmanager
def refusals_named(place: Path) -> Iterator[None]:
    """Turn errors of the system within the block into a ``StorageError`` that names the file, or ``place``."""
    try:
        yield
    except OSError as e:
        text = refusal(e, place)
        if text is None:
            raise
        raise StorageError(text) from e
