"""What a failure of a disk or an object store means: the project's error, which names the place and what to do."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from esmm_dist.errors import StorageError
from esmm_dist.process.system_refusal import broken_link
from esmm_dist.process.system_refusal import remedy as system_remedy
from esmm_dist.storage.location import Location
from esmm_dist.storage.uris import without_credentials

LOCAL_REMEDY = "Free space, or check the path and its permissions."
REMOTE_REMEDY = "Check the address, the credentials and the network."


@contextmanager
def storage_failures(location: Location, place: str, what: str, *, reading: bool = False) -> Iterator[None]:
    """Turn an ``OSError`` of the block into an error that names the place.

    Args:
        location: location of the folder
        place: name of the folder or file, without credentials
        what: what failed: "cannot be read"
        reading: whether a file that is missing is a ``FileNotFoundError``

    Raises:
        StorageError: The disk or the store refuses.
        FileNotFoundError: The file to read is missing.
    """
    try:
        yield
    except OSError as e:
        if reading and isinstance(e, FileNotFoundError):
            raise FileNotFoundError(f"{place} is missing") from None
        local = location.is_local
        if local and (broken := broken_link(Path(place))) is not None:
            raise StorageError(f"{broken}. Make what it leads to, or choose another place.") from e
        known = system_remedy(e) if local else None
        reason = reason_of(e, location.text) if known is None else os.strerror(e.errno or 0)
        remedy = f"{known}." if known else (LOCAL_REMEDY if local else REMOTE_REMEDY)
        # Without the cause where that may hold credentials
        raise StorageError(f"{place} {what}: {reason}. {remedy}") from (e if local else None)


def reason_of(error: Exception, location: str) -> str:
    """Return the first line of what an error says, without credentials."""
    text = (isinstance(error, OSError) and error.strerror) or str(error)
    text = text.partition("\n")[0].replace(location, without_credentials(location))
    return re.sub(r"://[^\s']*@", "://", text).rstrip(". ")
