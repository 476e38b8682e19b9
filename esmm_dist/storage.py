"""Folders on a local disk or at any URI that ``pyarrow.fs`` understands.

A run lives in such a folder. The two kinds differ in what they promise: a local disk renames a folder in one moment;
an object store knows no folders and renames nothing, but a file there is whole or is not there. What is built on
both (``esmm_dist.checkpoint``, ``esmm_dist.train.run_folder``) says how it copes.

Credentials are best left to the environment (``AWS_ACCESS_KEY_ID``, a role, ``~/.aws``). Where a URI holds them
(``s3://KEY:SECRET@bucket/run``), they reach neither messages nor files: see ``without_credentials``.
"""

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import fs

from esmm_dist.errors import ConfigError, StorageError
from esmm_dist.stores import COLLAPSED_URI
from esmm_dist.system_refusal import remedy as system_remedy
from esmm_dist.whole_file import make_folder_durable, sync, write_durable

# The SDK's own 1 s and 3 s are too short for a busy store. It tries three times: a place that nobody answers from is
# given up after some 20 s, and one that accepts connections but stays silent after some 50 s.
_S3_TIMEOUTS_S = {"connect_timeout": 5.0, "request_timeout": 15.0}

_URI = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<rest>.*)", re.DOTALL)
# Query parameters that say where a place is; others (a GCS token, an Azure account key) may be secrets
_PUBLIC_PARAMETERS = {"scheme", "region", "endpoint_override", "allow_bucket_creation", "allow_bucket_deletion"}


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """What a listing says about a file."""

    size: int
    """Bytes."""
    changed_ns: int
    """When it was written last, nanoseconds since 1970; a store may know it to the second only."""


class Folder:
    """A folder on a local disk, or at any URI that ``pyarrow.fs`` understands (s3://, gs://, hdfs://, file://).

    Opening one makes nothing. Names are plain names of files or folders right inside it; any other (``a/b``, ``..``)
    is a ``ValueError``, so that a name from a file or from the network cannot lead elsewhere. May be used from
    several threads. What fails raises ``StorageError``, whose message names the place; a file to read that is not
    there raises ``FileNotFoundError``.
    """

    def __init__(self, location: str, filesystem: fs.FileSystem, path: str) -> None:
        """Use ``Folder.open``."""
        self._location, self._filesystem, self._path = location, filesystem, path

    @classmethod
    def open(cls, location: str | Path) -> "Folder":
        """Return the folder at a path or URI, whether it exists or not.

        Raises:
            ConfigError: It is a URI of an unknown kind, or with an unknown parameter.
            StorageError: What the URI names cannot be reached (some kinds connect at once).
        """
        text = str(location)
        if not text.strip():
            raise ConfigError(
                "A place is empty. Give a path or a URI; if it came from a variable, that one is not set."
            )
        if COLLAPSED_URI.match(text):
            raise ConfigError(f"'{text}' is neither a path nor a URI. Write two slashes after the colon.")
        if not _URI.match(text):
            return cls(str(Path(text)), fs.LocalFileSystem(), str(Path(text)))
        shown = without_credentials(text)
        try:
            filesystem, path = fs.FileSystem.from_uri(text)
        except (ValueError, NotImplementedError) as e:  # pa.ArrowInvalid is a ValueError
            raise ConfigError(
                f"'{shown}' is no place that can be opened: {_reason(e, text)}. Give a path, or a URI such as "
                "s3://bucket/run?region=eu-west-1."
            ) from None  # its text may hold credentials
        except OSError as e:
            raise StorageError(f"{shown} cannot be reached: {_reason(e, text)}. {_REMOTE_REMEDY}") from None
        if isinstance(filesystem, fs.LocalFileSystem):
            return cls(path, filesystem, path)
        if not path:
            raise ConfigError(f"'{shown}' names no bucket. Write {shown.split('?')[0]}BUCKET/RUN.")
        head, question, query = text.partition("?")
        return cls(head.rstrip("/") + question + query, _with_timeouts(filesystem), path.rstrip("/"))

    @property
    def parent(self) -> "Folder | None":
        """The folder that it is in. None: it is a bucket, or the root."""
        above, slash, _ = self._path.rpartition("/")
        if self.is_local:
            path = Path(self.location)
            return Folder.open(path.parent) if path.parent != path else None
        if not slash or not above:
            return None
        head, question, query = self._location.partition("?")
        return Folder(head.rpartition("/")[0] + question + query, self._filesystem, above)

    def __truediv__(self, name: str) -> "Folder":
        """Return the folder of a plain name inside this one."""
        path = self._inside(name)
        if self.is_local:
            return Folder(path, self._filesystem, path)
        head, question, query = self._location.partition("?")
        return Folder(f"{head}/{name}{question}{query}", self._filesystem, path)

    def __str__(self) -> str:
        return without_credentials(self._location).partition("?")[0] if not self.is_local else self._location

    def __repr__(self) -> str:
        return f"Folder({str(self)!r})"

    @property
    def location(self) -> str:
        """What ``Folder.open`` opens again, in other processes too. May hold credentials: messages show ``str``."""
        return os.path.abspath(self._location) if self.is_local else self._location

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self._path.rpartition("/")[2]

    @property
    def is_local(self) -> bool:
        """Whether it is on a file system of this machine, where a rename takes one moment and files can grow."""
        return isinstance(self._filesystem, fs.LocalFileSystem)

    @property
    def local_path(self) -> Path:
        """The path of a local folder."""
        assert self.is_local, f"{self} has no local path"
        return Path(self._path)

    def is_within(self, other: "Folder") -> bool:
        """Return whether it is another folder or lies in it, by their locations: with other names for one store, no."""
        if self.is_local != other.is_local:
            return False
        if self.is_local:
            return Path(other.location).resolve() in (path := Path(self.location).resolve(), *path.parents)
        (place, _, query), (other_place, _, other_query) = (
            str(without_credentials(folder.location)).partition("?") for folder in (self, other)
        )
        endpoints = [
            {part for part in each.split("&") if part.startswith("endpoint_")} for each in (query, other_query)
        ]
        return endpoints[0] == endpoints[1] and f"{place}/".startswith(f"{other_place}/")

    def make(self) -> None:
        """Make the folder and those above it, on the disk on return; nothing happens if it is there.

        An object store is at least reached here: missing buckets and wrong credentials show.
        """
        with self._failures("cannot be made"):
            if self.is_local:
                make_folder_durable(self.local_path)
            else:
                self._filesystem.create_dir(self._path, recursive=True)

    def exists(self) -> bool:
        """Return whether there is such a folder; in an object store, whether anything is in it."""
        with self._failures("cannot be looked at"):
            return bool(self._filesystem.get_file_info(self._path).type == fs.FileType.Directory)

    def names(self) -> list[str]:
        """Return the plain names of all files and folders in it, in order; none if the folder is not there."""
        return sorted(info.base_name for info in self._infos())

    def file_sizes(self) -> dict[str, int]:
        """Return the bytes of each file in it, by plain name; none if the folder is not there."""
        return {info.base_name: int(info.size) for info in self._infos() if info.type == fs.FileType.File}

    def tree(self) -> dict[str, StoredFile]:
        """Return all files in it and in the folders below, by their path within it: ``train/lane-0.tfrecord``.

        None if the folder is not there. A name that could lead out of a folder it is copied to, and what is neither
        a file nor a folder (a link to a folder, a pipe), is a ``StorageError``.
        """
        found = dict(self._local_tree() if self.is_local else self._remote_tree())
        for path in found:
            if not all(is_plain_name(part) for part in path.split("/")):
                raise StorageError(f"{self} holds '{path}', which is no name of a file on a disk. Give it another.")
        return dict(sorted(found.items()))

    def size(self, name: str) -> int:
        """Return the bytes of a file."""
        with self._failures("cannot be looked at", name, reading=True):
            info = self._filesystem.get_file_info(self._inside(name))
            if info.type != fs.FileType.File:
                raise FileNotFoundError
            return int(info.size)

    def has(self, name: str) -> bool:
        """Return whether there is a file of this name."""
        with self._failures("cannot be looked at", name):
            return bool(self._filesystem.get_file_info(self._inside(name)).type == fs.FileType.File)

    def read_bytes(self, name: str) -> bytes:
        """Return the bytes of a file."""
        with self.open_input(name) as stream:
            return bytes(stream.read())

    def write_bytes(self, name: str, data: bytes) -> None:
        """Write a file, or replace one: whole or not at all. On a local disk the bytes are on it on return."""
        if not self.is_local:
            with self.open_output(name) as stream:
                stream.write(data)
            return
        with self._failures("cannot be written", name):
            write_durable(Path(self._inside(name)), data)

    @contextmanager
    def open_output(self, name: str) -> Iterator[pa.NativeFile]:
        """Write a file piece by piece. On a local disk the bytes are on it at the end.

        A block that fails may leave the beginning of the file.
        """
        with self._failures("cannot be written", name):
            if not self.is_local:
                with self._filesystem.open_output_stream(self._inside(name)) as stream:
                    yield stream
                return
            with pa.OSFile(self._inside(name), "wb") as stream:
                yield stream
            sync(Path(self._inside(name)))

    @contextmanager
    def open_input(self, name: str) -> Iterator[pa.NativeFile]:
        """Read a file, at any place in it."""
        with (
            self._failures("cannot be read", name, reading=True),
            self._filesystem.open_input_file(self._inside(name)) as stream,
        ):
            yield stream

    def delete_file(self, name: str) -> None:
        """Remove a file; nothing happens if it is not there."""
        with self._failures("cannot be removed", name):
            try:
                self._filesystem.delete_file(self._inside(name))
            except FileNotFoundError:
                return

    def delete(self) -> None:
        """Remove the folder with all that is in it; nothing happens if it is not there.

        Not in one moment: killed in between, some of it is left.
        """
        with self._failures("cannot be removed"):
            try:
                if self.is_local:
                    shutil.rmtree(self.local_path)
                else:
                    self._filesystem.delete_dir(self._path)
            except FileNotFoundError:
                return

    def rename_to(self, other: "Folder") -> None:
        """Give a local folder another name in one moment, on the disk on return; no folder may have that name."""
        with self._failures("cannot be renamed"):
            sync(self.local_path)
            self.local_path.rename(other.local_path)
            sync(other.local_path.parent)

    def _local_tree(self) -> Iterator[tuple[str, StoredFile]]:
        top = self.local_path

        def refuse(error: OSError) -> None:
            if error.filename != str(top) or not isinstance(error, FileNotFoundError):
                raise error

        with self._failures("cannot be listed"):
            for folder, folders, files in os.walk(top, onerror=refuse):
                for name in [*(each for each in folders if os.path.islink(os.path.join(folder, each))), *files]:
                    path = Path(folder, name)
                    if not path.is_file():
                        raise StorageError(f"{path} is neither a file nor a folder. Leave it out.")
                    about = path.stat()
                    yield (
                        path.relative_to(top).as_posix(),
                        StoredFile(size=about.st_size, changed_ns=about.st_mtime_ns),
                    )

    def _remote_tree(self) -> Iterator[tuple[str, StoredFile]]:
        with self._failures("cannot be listed"):
            for info in self._filesystem.get_file_info(
                fs.FileSelector(self._path, allow_not_found=True, recursive=True)
            ):
                if info.type == fs.FileType.File:
                    path = info.path.removeprefix(f"{self._path}/")
                    yield path, StoredFile(size=int(info.size), changed_ns=int(info.mtime_ns or 0))

    def _infos(self) -> list[fs.FileInfo]:
        with self._failures("cannot be listed"):
            found = self._filesystem.get_file_info(fs.FileSelector(self._path, allow_not_found=True))
            return list(found)

    def _inside(self, name: str) -> str:
        if not is_plain_name(name):
            raise ValueError(f"'{name}' is not the plain name of a file or folder")
        return f"{self._path.rstrip('/')}/{name}"

    @contextmanager
    def _failures(self, what: str, name: str | None = None, *, reading: bool = False) -> Iterator[None]:
        """Turn a failure of the disk or the store into the project's error, which names the place."""
        place = f"{self}/{name}" if name is not None else str(self)
        try:
            yield
        except OSError as e:
            if reading and isinstance(e, FileNotFoundError):
                raise FileNotFoundError(f"{place} is missing") from None
            known = system_remedy(e) if self.is_local else None
            reason = _reason(e, self._location) if known is None else os.strerror(e.errno or 0)
            remedy = f"{known}." if known else (_LOCAL_REMEDY if self.is_local else _REMOTE_REMEDY)
            # Without the cause where that may hold credentials
            raise StorageError(f"{place} {what}: {reason}. {remedy}") from (e if self.is_local else None)


def is_plain_name(name: str) -> bool:
    """Return whether a text names one file or folder, and so cannot lead out of the folder it is looked for in."""
    return name not in ("", ".", "..") and not any(c in name for c in "/\\\0")


def without_credentials(value: Any) -> Any:
    """Return a location, or settings in which locations occur, as it may be shown and stored.

    User, password and query parameters that may be secrets are taken out of each text that is a URI; what remains
    opens the same place where the environment gives the credentials. All else stays as it is.
    """
    if isinstance(value, Mapping):
        return {key: without_credentials(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_credentials(item) for item in value]
    found = _URI.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return value
    place, _, query = found["rest"].partition("?")
    kept = [part for part in query.split("&") if part.partition("=")[0] in _PUBLIC_PARAMETERS]
    return f"{found['scheme']}://{_without_password(found['scheme'], place)}" + ("?" + "&".join(kept) if kept else "")


def _without_password(scheme: str, place: str) -> str:
    authority, slash, path = place.partition("/")
    if "@" not in authority:
        # A secret that was not encoded may hold a slash; host:port is no secret
        encoded = ":" not in authority or authority.rpartition(":")[2].isdigit() or "@" not in path
        return place if encoded else path.rpartition("@")[2]
    user, _, host = authority.rpartition("@")
    # An S3 user is a key; elsewhere the user may be part of the address (gs://anonymous@…, abfs://container@…)
    user = "" if scheme == "s3" else user.partition(":")[0]
    return f"{user}@{host}{slash}{path}" if user else f"{host}{slash}{path}"


_LOCAL_REMEDY = "Free space, or check the path and its permissions."
_REMOTE_REMEDY = "Check the address, the credentials and the network."


def _with_timeouts(filesystem: fs.FileSystem) -> fs.FileSystem:
    """Return the same file system with timeouts that URIs cannot set."""
    if not isinstance(filesystem, fs.S3FileSystem):
        return filesystem
    rebuild, (settings,) = filesystem.__reduce__()  # the only way to read the settings that the URI gave
    return rebuild({**settings, **_S3_TIMEOUTS_S})


def _reason(error: Exception, location: str) -> str:
    """Return the first line of what an error says, without credentials."""
    text = (isinstance(error, OSError) and error.strerror) or str(error)
    text = text.partition("\n")[0].replace(location, without_credentials(location))
    return re.sub(r"://[^\s']*@", "://", text).rstrip(". ")
