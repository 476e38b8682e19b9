"""Publish a model: a folder of its version, all or nothing, then ``current.json``, then the removal of old versions.

::

    PUBLISH/7/                what esmm export wrote; 7 is the version, as TensorFlow Serving wants it
    PUBLISH/current.json      which version is in service, what it was made of and what its files must be

How a version comes and goes stands in ``esmm_dist.served_model.version_folders``. ``current.json`` is replaced at once,
on a disk and in a store. What a killed publishing has left is replaced or removed by the next one.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from esmm_dist.errors import ConfigError
from esmm_dist.schema.checksum import file_crc32c, mapping_crc32c
from esmm_dist.served_model.version_folders import DELTA_SUFFIX, is_version_name, remove_hidden, remove_version
from esmm_dist.storage.folder import Folder
from launcher.pipeline.state import VersionState

CURRENT_NAME = "current.json"
FORMAT = "esmm_dist.current"
FORMAT_VERSION = 1


def files_of(model: Path) -> dict[str, dict[str, int]]:
    """Return bytes and CRC-32C of each file of a model, by its path."""
    return {
        path.relative_to(model).as_posix(): {"file_bytes": path.stat().st_size, "crc32c": file_crc32c(path)}
        for path in sorted(model.rglob("*"))
        if path.is_file()
    }


def checksum_of(files: Mapping[str, Mapping[str, int]]) -> str:
    """Return one checksum for all files of a model: the CRC-32C of what ``files_of`` returned, as 8 hex digits."""
    return f"{mapping_crc32c(dict(files)):08x}"


def next_version(publish: Folder, versions: Sequence[VersionState]) -> int:
    """Return the number of the next version: one more than all that are published or stand in the folder.

    Deltas that somebody has put there have numbers, too.
    """
    numbers = [name.removesuffix(DELTA_SUFFIX) for name in publish.names()]
    there = [int(number) for number in numbers if number.isascii() and number.isdigit()]
    return max([0, *there, *(each.version for each in versions)]) + 1


def check_publish_folder(publish: Folder, versions: Sequence[VersionState], begun: int | None) -> None:
    """Check that the folder is this pipeline's, or is not used yet.

    Args:
        publish: folder
        versions: versions that this pipeline has published
        begun: version whose publishing was begun and may not be done

    Raises:
        ConfigError: it holds something else, or models of another pipeline
    """
    current = read_current(publish)
    if current is None:
        names = [name for name in publish.names() if not name.startswith(".") and not is_version_name(name)]
        if names:
            raise ConfigError(
                f"publish is {publish}, which holds something else than models ({names[0]}). Give another folder."
            )
        return
    ours = {each.version for each in versions} | ({begun} if begun is not None else set())
    if current.get("version") not in ours:
        raise ConfigError(
            f"publish is {publish}, whose {CURRENT_NAME} names version {current.get('version')}, which this pipeline "
            "has not published. Give another folder, or the work folder of the pipeline that published it."
        )


def read_current(publish: Folder) -> dict[str, Any] | None:
    """Return the content of ``current.json``; None if nothing is published.

    Raises:
        ConfigError: it is damaged
    """
    try:
        found = json.loads(publish.read_bytes(CURRENT_NAME))
    except FileNotFoundError:
        return None
    except ValueError as e:
        raise ConfigError(
            f"{publish}/{CURRENT_NAME} is damaged ({e}). Remove it and run the same command again."
        ) from e
    if not isinstance(found, dict):
        raise ConfigError(f"{publish}/{CURRENT_NAME} is no mapping. Remove it and run the same command again.")
    return found


def is_published(publish: Folder, version: VersionState) -> bool:
    """Return whether a version is whole in the folder, and in service there; of its files the sizes are compared."""
    current = read_current(publish)
    if current is None or current.get("version") != version.version or current.get("checksum") != version.checksum:
        return False
    sizes = {path: file.size for path, file in (publish / str(version.version)).tree().items()}
    return sizes == {path: file["file_bytes"] for path, file in current["files"].items()}


def write_current(publish: Folder, version: VersionState, files: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    """Put a version into service.

    Args:
        publish: folder
        version: the version, whose folder is whole
        files: what ``files_of`` returned of it
        about: what else to say of it
    """
    content = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "version": version.version,
        "day": version.day,
        "step": version.step,
        **about,
        "metrics": version.metrics,
        "checksum": version.checksum,
        "files": files,
    }
    publish.write_bytes(CURRENT_NAME, (json.dumps(content, indent=1) + "\n").encode())


def remove_old(publish: Folder, versions: Sequence[VersionState], keep: int) -> list[int]:
    """Remove all but the newest published versions, and what killed publishings have left; return what was removed.

    Folders that this pipeline has not published stay.
    """
    there = set(publish.names())
    removed = []
    for each in versions[:-keep]:
        if str(each.version) in there:
            remove_version(publish, str(each.version))
            removed.append(each.version)
    remove_hidden(publish)
    return removed
