"""Which URIs name a place in an object store, that is the same place from every machine."""

import re
from pathlib import Path

STORES = ("s3", "gs", "gcs", "hdfs", "viewfs", "abfs", "abfss")
"""Schemes that ``esmm_dist.storage`` opens, without ``file``."""

COLLAPSED_URI = re.compile(rf"({'|'.join(STORES)}):/[^/]")
"""A URI that was made a path, which has one slash less."""


def stored_uri(path: Path) -> str | None:
    """Return the URI that was meant by a path made of one, ``Path("s3://bucket/data")``. None: it is a path."""
    text = str(path)
    return text.replace(":/", "://", 1) if COLLAPSED_URI.match(text) else None
