"""``esmm copy``: a folder or a file, from one place to another."""

from esmm_dist.progress import Progress
from esmm_dist.storage.copy import Copied, copy_file, copy_tree
from esmm_dist.storage.folder import Folder
from launcher.object_store.config import CopyConfig


def copy(config: CopyConfig, progress: Progress) -> Copied:
    """Copy what is at ``source`` to ``target``.

    Raises:
        ConfigError: There is nothing, or one is in the other.
        StorageError: It cannot be read or written.
    """
    source, target = Folder.open(config.source), Folder.open(config.target)
    above, target_above = source.parent, target.parent
    if above is not None and target_above is not None and above.has(source.name):
        size = copy_file(above, source.name, target_above, target.name, progress)
        return Copied(files=1, file_bytes=size, kept=0)
    return copy_tree(source, target, progress, again=config.again, parallel=config.parallel)
