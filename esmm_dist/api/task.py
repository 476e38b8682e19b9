"""Run a task with the settings of a call, on copies of what lies in an object store."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from esmm_dist.api.stored_places import STORED_PLACES
from esmm_dist.config import build
from esmm_dist.progress import Progress
from esmm_dist.storage.on_copies import on_copies
from esmm_dist.storage.stored_place import stored_uris

T = TypeVar("T")


def run_task(
    name: str, cls: type, values: Mapping[str, Any], progress: Progress, work: Callable[[Any, Progress], T]
) -> T:
    """Build the settings of a task and do its work.

    Args:
        name: name of the task, as the command's
        cls: its settings class
        values: settings from ``call_settings``
        progress: receives the progress
        work: called with the settings and what receives the progress

    Raises:
        EsmmError: A setting is refused, a store cannot be read or written, or whatever the work raises.
    """
    stored = STORED_PLACES.get(name, {})
    uris = stored_uris(stored, values)
    try:
        if not uris:
            return work(build(cls, values, where=""), progress)
        with on_copies(name, stored, uris, progress) as copies:
            result = work(build(cls, {**values, **copies.paths}, where=""), copies.progress)
        path = getattr(result, "path", None)
        return replace(result, path=copies.with_places(path)) if isinstance(path, (str, Path)) else result  # type: ignore[type-var]
    finally:
        progress.finish()
