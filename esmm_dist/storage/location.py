"""Where something lies: a path or a URI, parsed once into the value that is checked, compared, shown and opened.

A URI is decoded when it is parsed, and encoded anew when it is opened, so that no form of writing (``%2e%2e``, a
fragment, a parameter given twice) means one thing to a check and another to the library that opens it.
"""

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote

from esmm_dist.errors import ConfigError
from esmm_dist.storage.uris import COLLAPSED_URI, without_credentials

_URI = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<place>[^?]*)(?:\?(?P<query>.*))?", re.DOTALL)
_HOST = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]+)?|")
_BUCKETS = ("s3", "gs", "gcs")
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, kw_only=True)
class Location:
    """A folder's place. Two are equal if they are the same place, written in whatever form."""

    path: str
    """On a disk: as it was given. In a store: what follows the bucket, decoded, without slashes at its ends."""
    scheme: str = ""
    """Lower case; empty: a path on a disk."""
    authority: str = ""
    """Bucket or host, with a user and password if the URI holds them, as it was written."""
    query: tuple[tuple[str, str], ...] = ()
    """Parameters, decoded, in the order of their names."""

    @classmethod
    def parse(cls, text: str | Path) -> "Location":
        """Return the place that a path or URI names.

        Raises:
            ConfigError: It is a URI that could mean more than one place; the message shows no credentials.
        """
        text = str(text)
        if not text.strip():
            raise ConfigError(
                "A place is empty. Give a path or a URI; if it came from a variable, that one is not set."
            )
        if COLLAPSED_URI.match(text):
            raise ConfigError(f"'{text}' is neither a path nor a URI. Write two slashes after the colon.")
        found = _URI.fullmatch(text)
        if found is None:
            return cls(path=str(Path(text)))
        authority, _, path = found["place"].partition("/")
        trouble = _trouble(text, authority)
        if trouble:
            raise _refused(text, trouble)
        try:
            path = unquote(path, errors="strict")
            query = parse_qsl(found["query"] or "", keep_blank_values=True, strict_parsing=True, errors="strict")
        except ValueError as e:
            given = found["query"]
            if given:
                raise _refused(text, "a parameter is not of the form NAME=VALUE") from e
            raise _refused(text, "its escapes are not UTF-8") from e
        if len({name for name, _ in query}) < len(query):
            raise _refused(text, "a parameter is there twice")
        if not all(part.isprintable() for part in (path, *sum(query, ()))):
            raise _refused(text, "it holds characters that do not print")
        scheme = found["scheme"].lower()
        if scheme in _BUCKETS and ":" in authority.rpartition("@")[2]:
            raise _refused(text, "a bucket has no port. Name the store with ?endpoint_override=HOST:PORT")
        if scheme == "file":
            return cls._local(text, authority, path)
        path = path.strip("/")
        if path and any(part in ("", ".", "..") for part in path.split("/")):
            raise _refused(text, "a part of its path is empty, '.' or '..'")
        return cls(scheme=scheme, authority=authority, path=path, query=tuple(sorted(query)))

    @classmethod
    def _local(cls, text: str, authority: str, path: str) -> "Location":
        if authority:
            raise _refused(text, f"file:// has no host, but '{authority}' follows it. Write three slashes")
        return cls(path=str(Path(f"/{path}")))

    @property
    def is_local(self) -> bool:
        """Whether it is on a disk."""
        return not self.scheme

    @property
    def text(self) -> str:
        """What opens it, in other processes too. May hold credentials."""
        if self.is_local:
            return self.path
        query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in self.query)
        return f"{self._head(self.authority)}{quote(self.path)}" + (f"?{query}" if query else "")

    @property
    def address(self) -> str:
        """Bucket or host without credentials; in Azure with the container, in the place of others' user."""
        user, at, host = self.authority.rpartition("@")
        user = "" if self.scheme == "s3" else user.partition(":")[0]
        return f"{user}{at}{host}" if user else host

    def __str__(self) -> str:
        """Return it without credentials and parameters."""
        if self.is_local:
            return self.path
        return f"{self._head(self.address)}{quote(self.path, safe='/ ')}"

    def _head(self, authority: str) -> str:
        return f"{self.scheme}://{authority}/" if self.path else f"{self.scheme}://{authority}"

    def __truediv__(self, name: str) -> "Location":
        """Return the place of a plain name inside it."""
        return replace(self, path=f"{self.path}/{name}" if self.path else name)

    @property
    def parent(self) -> "Location | None":
        """The folder that it is in; None: it is a bucket, or the root of a disk."""
        if self.is_local:
            above = Path(self.path).absolute().parent if not Path(self.path).is_absolute() else Path(self.path).parent
            return replace(self, path=str(above)) if str(above) != self.path else None
        above_path, _, _ = self.path.rpartition("/")
        return replace(self, path=above_path) if self.path else None

    def is_within(self, other: "Location") -> bool:
        """Return whether it is another place or lies below it; in a store at another endpoint it does not."""
        if self.is_local or other.is_local:
            if not (self.is_local and other.is_local):
                return False
            path = Path(os.path.realpath(self.path))
            return Path(os.path.realpath(other.path)) in (path, *path.parents)
        if (self.scheme, self.address) != (other.scheme, other.address):
            return False
        of_self, of_other = (
            [(name, value) for name, value in each.query if name.startswith("endpoint_")] for each in (self, other)
        )
        return of_self == of_other and (not other.path or f"{self.path}/".startswith(f"{other.path}/"))


def _trouble(text: str, authority: str) -> str:
    if not text.isprintable() or "\\" in text:
        return "it holds a backslash or characters that do not print"
    if "#" in text:
        return "it holds '#'. Write %23"
    if _BROKEN_ESCAPE.search(text):
        return "it holds '%' without two hexadecimal digits. Write %25"
    host = authority.rpartition("@")[2]
    if not _HOST.fullmatch(host):
        return "what precedes the path is neither a bucket nor a host"
    if authority.count("@") > 1:
        return "it holds '@' twice before the path. Write %40 in a password"
    return ""


def _refused(text: str, why: str) -> ConfigError:
    return ConfigError(
        f"'{without_credentials(text)}' is no place that can be opened: {why}. Give a path, or a URI such as "
        "s3://bucket/run?region=eu-west-1."
    )
