"""Stage 8: move the finished files into the data set's folder, the manifest last."""

from pathlib import Path

from esmm_dist.schema.manifest import MANIFEST_NAME, DatasetManifest
from preprocess.workspace import remove, write_text

FINAL_FOLDER = "final"


def publish(work: Path, out: Path, manifest: DatasetManifest) -> None:
    """Move all of ``work/final`` into ``out``, then write the manifest. Done twice, it does what is left to do."""
    for source in sorted((work / FINAL_FOLDER).iterdir()):
        remove(out / source.name)
        source.rename(out / source.name)
    write_text(out / MANIFEST_NAME, manifest.to_json())
