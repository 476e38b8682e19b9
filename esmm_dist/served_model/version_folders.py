"""Put the folder of a version in place and take it away, so that nobody sees half of it.

On a disk a version appears under its name, and goes, by a rename. In an object store its files appear one by one:
``saved_model.pb``, without which no program loads it, after the others, and ``served/manifest.json``, without which it
is no version for ``esmm serve``, after that. They go first, the other way round. What a killed process has left is
replaced by the next one that writes the same version, or removed by ``remove_hidden``.
"""

import re
from pathlib import Path

from esmm_dist.progress import Progress
from esmm_dist.served_model.manifest import MANIFEST_NAME, SERVED_FOLDER
from esmm_dist.storage.copy import CopyOptions, copy_tree
from esmm_dist.storage.folder import Folder
from esmm_dist.storage.uris import COPYING
from esmm_dist.storage.whole_file import sync_tree

MODEL_FILE = "saved_model.pb"

DELTA_SUFFIX = ".delta"
"""What the name of a delta ends in; TensorFlow Serving leaves such folders alone."""

_VERSION_NAME = re.compile(r"[0-9]{1,18}(\.delta)?")
_PUBLISHING, _REMOVING = ".publishing", ".removing"


def is_version_name(name: str) -> bool:
    """Return whether a folder of this name can be a version: ``3`` or ``4.delta``."""
    return _VERSION_NAME.fullmatch(name) is not None


def put_version(model: Path, models: Folder, name: str, progress: Progress) -> None:
    """Copy a version to its place, where it is whole or not there, and replaces what was there before.

    Args:
        model: folder of the version, on this machine
        models: folder of all versions
        name: name of the version
        progress: receives the bytes that are copied
    """
    task = f"publish version {name}"
    if not models.is_local:
        # All files again: those of a publishing that was killed may be of a model that was exported before this one
        copy_tree(Folder.open(model), models / name, progress, task=task, options=CopyOptions(again=True, exact=True))
        return
    models.make()
    temporary = models / f".{name}{_PUBLISHING}"
    temporary.delete()
    copy_tree(Folder.open(model), temporary, progress, task=task)
    sync_tree(temporary.local_path)
    move_version(temporary, models, name)


def move_version(whole: Folder, models: Folder, name: str) -> None:
    """Give a whole version its place on the same disk, by a rename; it replaces what was there before."""
    target = models / name
    if target.exists():
        _hidden(target).delete()
    whole.rename_to(target)


def remove_version(models: Folder, name: str) -> None:
    """Remove a version; nothing happens if it is not there."""
    folder = models / name
    if not folder.exists():
        return
    if models.is_local:
        _hidden(folder).delete()
        return
    (folder / SERVED_FOLDER).delete_file(MANIFEST_NAME)
    folder.delete_file(MODEL_FILE)
    folder.delete_file(COPYING)
    folder.delete()


def remove_hidden(models: Folder) -> None:
    """Remove what killed calls of these functions have left on a disk."""
    for name in models.names():
        if name.startswith(".") and name.endswith((_PUBLISHING, _REMOVING)):
            (models / name).delete()


def _hidden(folder: Folder) -> Folder:
    """Give a folder on a disk a name that no server looks at, and return it."""
    above = folder.parent
    assert above is not None
    hidden = above / f".{folder.name}{_REMOVING}"
    hidden.delete()
    folder.rename_to(hidden)
    return hidden
