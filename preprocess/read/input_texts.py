"""Read raw files as text: the first line of a plain one, the chunks of a compressed one."""

import tarfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
from isal import igzip
from isal.igzip_lib import IsalError

from esmm_dist.errors import InputDataError
from preprocess.read.chunks import MAX_LINE_BYTES, Reader, stream_chunks
from preprocess.read.inputs import InputFile

# isal's stubs call its error class an instance.
_UNREADABLE = (EOFError, OSError, zlib.error, cast(type[Exception], IsalError), tarfile.TarError, pa.ArrowInvalid)

_HEAD_BYTES = 1 << 18


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what the libraries raise on unreadable or damaged files into an ``InputDataError`` that names the file."""
    try:
        yield
    except _UNREADABLE as e:
        raise InputDataError(
            f"{path} cannot be read ({e or type(e).__name__}). It may be cut off or damaged; fetch it again."
        ) from e


def first_line(path: Path) -> bytes:
    """Return the first line of a plain file; what is longer than a line may be is cut off.

    Raises:
        InputDataError: The file cannot be read.
    """
    with reading(path), path.open("rb") as file:
        return file.readline(MAX_LINE_BYTES)


def first_lines(path: Path) -> bytes:
    """Return the beginning of a plain file, about 256 kB; its last line may be cut off.

    Raises:
        InputDataError: The file cannot be read.
    """
    with reading(path), path.open("rb") as file:
        return file.read(_HEAD_BYTES)


def stream_texts(files: Sequence[InputFile], chunk_bytes: int) -> Iterator[tuple[InputFile, int, bytes]]:
    """Read compressed files one after the other, each once, and yield (file, chunk number, text of the chunk).

    Args:
        files: files of packing ``gz`` or ``tar.gz``; members of one archive come in the archive's order
        chunk_bytes: bytes of text in a chunk

    Raises:
        InputDataError: A file is damaged, or an archive lacks a member.
    """
    for path in dict.fromkeys(file.path for file in files):
        of_path = [file for file in files if file.path == path]
        with reading(path), igzip.IGzipFile(path, "rb") as stream:  # type: ignore[no-untyped-call]
            opened = [(of_path[0], stream)] if of_path[0].packing == "gz" else _members(path, stream, of_path)
            for file, content in opened:
                for chunk, text in enumerate(stream_chunks(content, file.shown_name, chunk_bytes)):
                    yield file, chunk, text


def _members(path: Path, stream: Any, files: Sequence[InputFile]) -> Iterator[tuple[InputFile, Reader]]:
    wanted = {file.member: file for file in files}
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            file = wanted.pop(Path(member.name).name, None)
            content = archive.extractfile(member) if file is not None else None
            if file is not None and content is not None:
                yield file, content
    if wanted:
        raise InputDataError(f"{path} lacks {' and '.join(sorted(wanted))}. Fetch the archive again.")
