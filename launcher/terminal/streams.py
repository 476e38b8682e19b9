"""The streams of an ``esmm`` process: all three are open, and text can be printed on any terminal.

What can go wrong: a daemon or cron may start a process without stdout or stderr (``>&-``), and the first file that is
opened would get their descriptor; a terminal may lack characters of a text (GBK, Latin-1, ASCII); a path may hold bytes
that are not text; the disk that stderr is written to may be full or gone.
"""

import codecs
import contextlib
import io
import os
import sys
from collections.abc import Sequence
from typing import TextIO, cast

from esmm_dist.errors import ConfigError

ERRORS = "esmm_printed"
"""Name of the error handler of printed text, as ``open(errors=...)`` takes it."""

CHILD_ENCODING = {"PYTHONIOENCODING": "utf-8"}
"""Environment variables for a process whose output this one reads."""

_PLAIN = {"±": "+/-", "×": "x", "−": "-", "–": "-", "─": "-", "…": "...", "→": "->"}
"""Characters of reports, and what replaces them where they cannot be printed."""


def use_utf8_names() -> None:
    """Start this process again if Python encodes file names in anything but UTF-8, as in a GBK or C locale.

    PyArrow and TensorFlow use UTF-8 in every locale: the same name would lead to two files. The streams keep the
    locale's encoding.
    """
    if sys.getfilesystemencoding() == "utf-8" or os.environ.get("PYTHONUTF8") == "1":
        return
    os.environ["PYTHONUTF8"] = "1"
    if sys.stdout is not None:
        os.environ.setdefault("PYTHONIOENCODING", sys.stdout.encoding)
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def check_names(words: Sequence[str]) -> None:
    """Check that the current folder exists, and that its name and a command line are UTF-8 text.

    Raises:
        ConfigError: the folder was removed, so that TensorFlow could not be imported; or there are bytes that are not
            text, so that PyArrow and TensorFlow could not open the path
    """
    try:
        folder = os.getcwd()
    except FileNotFoundError as e:
        gone = os.readlink("/proc/self/cwd").removesuffix(" (deleted)")
        raise ConfigError(
            f"The current folder {gone} was removed. Change to another folder (cd), and run the command again."
        ) from e
    for word in (*words, folder):
        try:
            word.encode()
        except UnicodeEncodeError as e:
            raise ConfigError(
                f"'{word}' is not UTF-8 text (byte 0x{ord(word[e.start]) - 0xDC00:02x} after {e.start} characters), "
                "and such a path cannot be opened. Rename it, or link to it: ln -s PATH link"
            ) from None


def prepare_streams() -> None:
    """Make this process's streams printable, whatever they were at its start. A second call is harmless.

    stdout keeps its encoding. A character that this lacks is replaced as in ``_PLAIN``, or else by its number; bytes of
    a path that are not text are written as they are. stderr does the same and drops what cannot be written: a failure
    to show progress must not end the work.
    """
    codecs.register_error(ERRORS, _printed)
    for number in (0, 1, 2):
        _open_descriptor(number)
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 # for the life of the process
    cast(io.TextIOWrapper, sys.stdout).reconfigure(errors=ERRORS)
    sys.stderr = _lossy(sys.stderr)


def _open_descriptor(number: int) -> None:
    """Open a standard descriptor on /dev/null if it is closed."""
    with contextlib.suppress(OSError):
        os.fstat(number)
        return
    opened = os.open(os.devnull, os.O_RDWR)
    os.dup2(opened, number)  # inherited by processes that this one starts
    if opened != number:
        os.close(opened)


class _LossyFile(io.FileIO):
    """Reports success for every write, also for one that fails."""

    def write(self, data: "memoryview | bytes") -> int:  # type: ignore[override]
        with contextlib.suppress(OSError):
            written = super().write(data)
            return len(data) if written is None else written
        return len(data)


def _lossy(stream: TextIO | None) -> TextIO:
    encoding = "utf-8" if stream is None else stream.encoding
    if stream is not None:
        with contextlib.suppress(OSError):
            stream.flush()
    file = io.BufferedWriter(cast(io.RawIOBase, _LossyFile(2, "wb", closefd=False)))
    return io.TextIOWrapper(file, encoding=encoding, errors=ERRORS, line_buffering=True, write_through=True)


def _printed(error: UnicodeError) -> tuple[str | bytes, int]:
    """Replace the first character that an encoding lacks."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character = error.object[error.start]
    if "\udc80" <= character <= "\udcff":  # a byte, as os.fsdecode writes one that is no text
        return bytes([ord(character) - 0xDC00]), error.start + 1
    plain = _PLAIN.get(character) or character.encode("ascii", "backslashreplace").decode("ascii")
    return plain, error.start + 1
