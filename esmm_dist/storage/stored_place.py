"""Settings that may name a place in an object store though the work reads and writes files."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from esmm_dist.storage.uris import stored_uri


@dataclass(frozen=True, kw_only=True)
class StoredPlace:
    """A setting that names files, and may name files in an object store.

    What is read is copied to this machine before the work begins; what it wrote is copied to the store afterwards
    (``on_copies``).
    """

    use: Literal["read", "write"]
    kind: Literal["folder", "file"] = "folder"
    told_by: str | None = None
    """File that says what a folder that is not empty holds. The command finds it in its ``out`` and decides.
    None: a folder that is not empty is refused."""
    damage: Callable[[Path, Mapping[str, int]], str | None] | None = None
    """Given a folder that holds ``told_by`` and the sizes of all files in the store, by path, returns what is missing
    there or has another size; None if nothing."""
    unless: str | None = None
    """Setting with which, if it is given, the work reads and writes the store itself. None: it never does."""


def stored_uris(stored: Mapping[str, StoredPlace], values: Mapping[str, Any]) -> dict[str, str]:
    """Return the URIs of the settings that are paths and name places in object stores.

    Args:
        stored: settings of a task that may
        values: its settings, typed; those that the work opens itself are left out
    """
    uris = {name: stored_uri(value) for name, value in values.items() if isinstance(value, Path)}
    return {name: uri for name, uri in uris.items() if uri is not None and not _opened_by_work(stored, name, values)}


def _opened_by_work(stored: Mapping[str, StoredPlace], name: str, values: Mapping[str, Any]) -> bool:
    place = stored.get(name)
    return place is not None and place.unless is not None and values.get(place.unless) is not None
