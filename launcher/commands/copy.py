"""``esmm copy``: copy a folder or a file from or to an object store."""

from typing import Any

from esmm_dist.progress import Progress
from launcher.command import Command, Outcome
from launcher.terminal.json_line import json_value
from launcher.terminal.progress import short_bytes


def _load_settings() -> type:
    from launcher.object_store.config import CopyConfig

    return CopyConfig


def _run(settings: Any, progress: Progress) -> Outcome:
    from esmm_dist.storage.uris import without_credentials
    from launcher.object_store.copy import copy

    copied = copy(settings, progress)
    files = "1 file" if copied.files == 1 else f"{copied.files:,} files"
    kept = f"; {copied.kept:,} were there" if copied.kept else ""
    source, target = (str(without_credentials(each)).partition("?")[0] for each in (settings.source, settings.target))
    return Outcome(
        lines=[f"Copied {files}, {short_bytes(copied.file_bytes)}, from {source} to {target}{kept}."],
        result={"source": source, "target": target, **json_value(copied)},
    )


COMMAND = Command(
    name="copy",
    summary="Copy a data set, a log or a model from or to an object store; goes on where a copy was ended.",
    example="esmm copy s3://bucket/data data",
    load_settings=_load_settings,
    run=_run,
    positional=("source", "target"),
)
