"""Open the file system of an object store, with timeouts that URIs cannot set."""

from pyarrow import fs

from esmm_dist.errors import ConfigError, StorageError
from esmm_dist.storage.failures import REMOTE_REMEDY, reason_of
from esmm_dist.storage.location import Location
from esmm_dist.storage.uris import without_credentials

# The SDK's own 1 s and 3 s are too short for a busy store. It tries three times: a place that nobody answers from is
# given up after some 20 s, and one that accepts connections but stays silent after some 50 s.
_S3_TIMEOUTS_S = {"connect_timeout": 5.0, "request_timeout": 15.0}


def open_store_filesystem(place: Location) -> tuple[fs.FileSystem, str]:
    """Return the file system of a place in a store, and its path there.

    Raises:
        ConfigError: It is a URI of an unknown kind, with an unknown parameter, or names no bucket.
        StorageError: What the URI names cannot be reached (some kinds connect at once).
    """
    text, shown = place.text, without_credentials(place.text)
    try:
        filesystem, path = fs.FileSystem.from_uri(text)
    except (ValueError, NotImplementedError) as e:  # pa.ArrowInvalid is a ValueError
        raise ConfigError(
            f"'{shown}' is no place that can be opened: {reason_of(e, text)}. Give a path, or a URI such as "
            "s3://bucket/run?region=eu-west-1."
        ) from None  # its text may hold credentials
    except OSError as e:
        raise StorageError(f"{shown} cannot be reached: {reason_of(e, text)}. {REMOTE_REMEDY}") from None
    if not path:
        raise ConfigError(f"'{shown}' names no bucket. Write {shown.split('?')[0]}BUCKET/RUN.")
    return _with_timeouts(filesystem), path.rstrip("/")


def _with_timeouts(filesystem: fs.FileSystem) -> fs.FileSystem:
    if not isinstance(filesystem, fs.S3FileSystem):
        return filesystem
    rebuild, (settings,) = filesystem.__reduce__()  # the only way to read the settings that the URI gave
    return rebuild({**settings, **_S3_TIMEOUTS_S})
