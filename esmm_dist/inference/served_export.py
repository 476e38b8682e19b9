"""Write what ``esmm serve`` maps from disk: the folder ``served`` of a version (``esmm_dist.served_model``)."""

from pathlib import Path
from typing import Any

from esmm_dist.inference.exported_towers import ExportedTowers
from esmm_dist.process.quiet import import_tensorflow
from esmm_dist.process.system_refusal import error_in_text
from esmm_dist.schema.checksum import file_crc32c
from esmm_dist.served_model.manifest import SERVED_FOLDER, TOWERS_FOLDER, ServedFile


def write_towers(towers: ExportedTowers, version: Path) -> tuple[ServedFile, ...]:
    """Write ``served/towers`` of a version.

    Args:
        towers: the networks
        version: folder of the version, which exists

    Returns:
        Its files, by path.

    Raises:
        OSError: The folder cannot be written.
    """
    served = version / SERVED_FOLDER
    served.mkdir(exist_ok=True)
    save_model(towers, served / TOWERS_FOLDER)
    paths = sorted(path for path in (served / TOWERS_FOLDER).rglob("*") if path.is_file())
    return tuple(
        ServedFile(path=path.relative_to(served).as_posix(), file_bytes=path.stat().st_size, crc32c=file_crc32c(path))
        for path in paths
    )


def save_model(model: Any, folder: Path) -> None:
    """Write a module with ``signatures`` as a SavedModel.

    Raises:
        OSError: The folder cannot be written.
    """
    tf = import_tensorflow()
    try:
        tf.saved_model.save(model, str(folder), signatures=model.signatures())
    except tf.errors.OpError as e:  # TensorFlow writes files itself, and has errors of its own for a full disk
        raise error_in_text(str(e)) from e
