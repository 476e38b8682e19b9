"""The bytes of all files below a folder, on a disk or in a store."""

from esmm_dist.storage.folder import Folder


def folder_content(folder: Folder) -> dict[str, bytes]:
    """Return the bytes of each file by its path."""
    found = {}
    for path in folder.tree():
        *folders, name = path.split("/")
        inner = folder
        for each in folders:
            inner = inner / each
        found[path] = inner.read_bytes(name)
    return found
