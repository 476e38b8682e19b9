"""Which versions of a served model go when newer ones are there."""

from collections.abc import Mapping, Sequence

from esmm_dist.errors import ServedModelError
from esmm_dist.served_model.manifest import SERVED_FOLDER, read_served_manifest
from esmm_dist.served_model.version_folders import DELTA_SUFFIX, remove_hidden, remove_version
from esmm_dist.served_model.versions import ServedVersion, chain_of, versions_in
from esmm_dist.storage.folder import Folder
from esmm_dist.storage.uris import COPYING


def needed_versions(versions: Sequence[str], chains: Mapping[str, Sequence[str]], keep: int) -> set[str]:
    """Return the versions that stay: the newest, and what these build on.

    Args:
        versions: names of all, oldest first
        chains: what each of the newest builds on, with itself
        keep: newest versions to keep
    """
    kept = list(versions[-keep:])
    return {*kept, *(name for each in kept for name in chains.get(each, ()))}


def remove_old(models: Folder, run: str, keep: int) -> list[str]:
    """Remove versions of a run that newer ones have replaced; return their names.

    Versions of other runs, and folders that are no versions, stay. Who has one mapped from a disk goes on with it.

    Args:
        models: folder of the versions
        run: run as manifests name it
        keep: newest versions to keep

    Raises:
        StorageError: The storage refuses.
    """
    versions = versions_in(models)
    names = [each.name for each in versions]
    needed = needed_versions(names, {name: _chain(models, name) for name in names[-keep:]}, keep)
    removed = []
    for name in reversed(names):  # deltas before what they build on
        if name not in needed and read_served_manifest(models / name / SERVED_FOLDER).run == run:
            remove_version(models, name)
            removed.append(name)
    if models.is_local:
        remove_hidden(models)
    return removed


def end_killed_copy(models: Folder, whole: Sequence[ServedVersion], number: int) -> None:
    """End what a killed copy of a version has left in a store.

    Under a number that is given again it is removed. The newest version may lack nothing but the end of its copy, as
    its manifest came last: then it is whole, and is marked so, or ``esmm serve`` would wait for it.

    Args:
        models: folder of the versions
        whole: the versions that are there, oldest first
        number: the next one to be given
    """
    if whole and not models.is_local:
        (models / whole[-1].name).delete_file(COPYING)
    names = {each.name for each in whole}
    for name in (str(number), f"{number}{DELTA_SUFFIX}"):
        if name not in names and (models / name).has(COPYING):
            remove_version(models, name)


def _chain(models: Folder, name: str) -> list[str]:
    try:
        return chain_of(models, name)
    except ServedModelError:  # what it builds on is gone: nothing needs to stay for it
        return []
