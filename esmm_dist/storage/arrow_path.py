"""Write the path of a local file so that Arrow takes it as one."""

import os
from pathlib import Path


def arrow_path(path: str | Path) -> str:
    """Return a path that leads to the same file, and that no function of Arrow takes for a URI.

    Arrow reads ``run:39/rows.parquet`` and ``2026-01-31T09:30/log.parquet`` as URIs of the schemes ``run`` and
    ``2026-01-31T09``; a path that begins with ``/`` or ``./`` is none to it. ``Path`` drops a ``./`` that a user typed.
    """
    text = os.fspath(path)
    return f"./{text}" if ":" in text.partition("/")[0] else text
