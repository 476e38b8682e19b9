"""The data set of a run, where it can be reached: what an export measures with and takes its examples from."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from esmm_dist.checkpoint.format import CheckpointManifest
from esmm_dist.errors import EsmmError, SchemaError
from esmm_dist.schema.checksum import file_crc32c
from esmm_dist.schema.differences import record_differences
from esmm_dist.schema.manifest import MANIFEST_NAME, DatasetManifest, read_manifest
from esmm_dist.storage.folder import Folder


@dataclass(frozen=True, kw_only=True)
class ReachedData:
    """A data set that fits a model, or why there is none."""

    folder: Path
    manifest: DatasetManifest | None
    """None: it is not there, or does not fit."""
    why_not: str = ""
    """Why ``manifest`` is None, a sentence."""

    @classmethod
    def of(cls, checkpoint: CheckpointManifest, given: Path | None, run: str) -> "ReachedData":
        """Find the data set of a checkpoint.

        Args:
            checkpoint: manifest of the checkpoint
            given: the data set; None: the one that the run's settings name, as seen from the working directory, from
                the run, or from a folder above it, if it is the very one that the run was trained on
            run: path or URI of the run

        Raises:
            EsmmError: The one that is given is not there, is damaged, or has another schema.
        """
        if given is not None:
            manifest = read_manifest(given)
            differences = record_differences(manifest.schema, checkpoint.schema, before_is="the model has")
            if differences:
                raise SchemaError(
                    f"The schema of {given} ('{manifest.schema.name}') is not that of the model: "
                    f"{'; '.join(differences)}. Give the data set of the run, or one with the model's schema."
                )
            return cls(folder=given, manifest=manifest)
        named = Path(str(checkpoint.settings["data"]))
        crc32c = int(checkpoint.state["data_manifest_crc32c"])
        for place in _places(named, run):
            try:
                if file_crc32c(place / MANIFEST_NAME) == crc32c:
                    return cls(folder=place, manifest=read_manifest(place))
            except (OSError, EsmmError):
                continue
        why_not = f"the data set that the run was trained on, {named}, is not within reach."
        return cls(folder=named, manifest=None, why_not=why_not)


def _places(named: Path, run: str) -> Iterator[Path]:
    yield named
    folder = Folder.open(run)
    if folder.is_local and not named.is_absolute():
        for above in folder.local_path.resolve().parents:
            yield above / named
