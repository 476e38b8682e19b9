"""Stage 8: move the finished files into the data set's folder, the manifest last."""

from collections.abc import Mapping
from pathlib import Path

from esmm_dist.schema.manifest import MANIFEST_NAME, DatasetManifest
from esmm_dist.storage.whole_file import make_folder_durable, sync, write_durable
from preprocess.read.raw_files import RawFile, write_times
from preprocess.work.folder import FINAL_FOLDER, PRODUCTS


def publish(work: Path, out: Path, manifest: DatasetManifest, raw: Mapping[str, RawFile]) -> None:
    """Move all of ``work/final`` into ``out``, then write the manifest. Done twice, it does what is left to do.

    Each file replaces that of its name in one moment: a training that reads a data set whose damaged files are made
    again finds the others where they were. The files must be on the disk.
    """
    final = work / FINAL_FOLDER
    for source in sorted(path for path in final.rglob("*") if path.is_file()):
        target = out / source.relative_to(final)
        make_folder_durable(target.parent)
        source.replace(target)
    _remove_others(out, manifest)
    for folder in (out, *(out / name for name in PRODUCTS if (out / name).is_dir())):
        sync(folder)
    write_times(out, raw)
    write_durable(out / MANIFEST_NAME, manifest.to_json().encode())


def _remove_others(out: Path, manifest: DatasetManifest) -> None:
    """Remove what an earlier data set has left in the folders of this one."""
    listed = {out / file.path for file in manifest.files()}
    for path in [path for name in PRODUCTS for path in (out / name).glob("*")]:
        if path not in listed and path.is_file():
            path.unlink()
