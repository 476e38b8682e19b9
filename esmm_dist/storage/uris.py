"""What is known of object stores without opening one: the URIs of their places, and which copies are whole."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

STORES = ("s3", "gs", "gcs", "hdfs", "viewfs", "abfs", "abfss")
"""Schemes that ``esmm_dist.storage.folder`` opens, without ``file``."""

COPYING = ".copying"
"""File in a folder that is the beginning of a copy (``esmm_dist.storage.copy``)."""

FILES_ELSEWHERE = ".files-elsewhere"
"""File beside a manifest whose files are in an object store, where whoever put it here has compared their sizes."""

COLLAPSED_URI = re.compile(rf"({'|'.join(STORES)}):/[^/]")
"""A URI that was made a path, which has one slash less."""


_URI = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<rest>.*)", re.DOTALL)
# Query parameters that say where a place is; others (a GCS token, an Azure account key) may be secrets
_PUBLIC_PARAMETERS = {"scheme", "region", "endpoint_override", "allow_bucket_creation", "allow_bucket_deletion"}


def stored_uri(path: Path) -> str | None:
    """Return the URI that was meant by a path made of one, ``Path("s3://bucket/data")``. None: it is a path."""
    text = str(path)
    return text.replace(":/", "://", 1) if COLLAPSED_URI.match(text) else None


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
