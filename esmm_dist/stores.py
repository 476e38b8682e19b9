"""What is known of object stores without opening one: the URIs of their places, and which copies are whole."""

import re
from pathlib import Path

STORES = ("s3", "gs", "gcs", "hdfs", "viewfs", "abfs", "abfss")
"""Schemes that ``esmm_dist.storage`` opens, without ``file``."""

COPYING = ".copying"
"""File in a folder that is the beginning of a copy (``esmm_dist.storage_copy``)."""

FILES_ELSEWHERE = ".files-elsewhere"
"""File beside a manifest whose files are in an object store, where whoever put it here has compared their sizes."""

COLLAPSED_URI = re.compile(rf"({'|'.join(STORES)}):/[^/]")
"""A URI that was made a path, which has one slash less."""


def stored_uri(path: Path) -> str | None:
    """Return the URI that was meant by a path made of one, ``Path("s3://bucket/data")``. None: it is a path."""
    text = str(path)
    return text.replace(":/", "://", 1) if COLLAPSED_URI.match(text) else None
