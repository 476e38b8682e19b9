"""Compare the files of a data set with its manifest."""

from pathlib import Path

from esmm_dist.schema.checksum import file_crc32c
from esmm_dist.schema.manifest import DataFile, Shard


def file_problem(folder: Path, file: Shard | DataFile, *, compare_bytes: bool = True) -> str | None:
    """Say how a file differs from the manifest; None if it does not.

    Args:
        folder: folder of the data set
        file: what the manifest says of the file
        compare_bytes: whether to read the file and compare its CRC-32C, not only its size
    """
    path = folder / file.path
    try:
        size = path.stat().st_size
        if size != file.file_bytes:
            return f"has {size} bytes, the manifest says {file.file_bytes}"
        if compare_bytes and file_crc32c(path) != file.crc32c:
            return "has another CRC-32C than the manifest says: its bytes changed after it was written"
    except FileNotFoundError:
        return "is missing, but the manifest lists it"
    except OSError as e:
        return f"cannot be read ({e.strerror})"
    return None
