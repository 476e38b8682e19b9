"""Takes a process from the version that it answers with to the next one, while it answers."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from esmm_dist.process.low_priority import interpreter_shared_in_small_pieces
from esmm_dist.served_model.manifest import SERVED_FOLDER, read_served_manifest
from esmm_dist.serving.metrics import ServingMetrics
from esmm_dist.serving.scoring.served_scorer import ServedScorer
from esmm_dist.serving.scoring.snapshot import Snapshot
from esmm_dist.serving.versions.changed_interface import changed_interface
from esmm_dist.serving.versions.loaded_versions import LoadedVersions
from esmm_dist.serving.versions.offered_version import OfferedVersion
from esmm_dist.serving.versions.self_check import self_check
from esmm_dist.storage.folder import Folder


class VersionLoading:
    """Loads one version after the other into a ``LoadedVersions``. Use it in one thread."""

    def __init__(self, versions: LoadedVersions, metrics: ServingMetrics) -> None:
        """Begin with nothing loaded.

        Args:
            versions: gets each version that is loaded
            metrics: says which version answers
        """
        self._versions, self._metrics = versions, metrics
        self._identities: tuple[str, ...] = ()
        self._file_bytes = 0

    def load(self, offered: OfferedVersion, *, check: bool) -> Mapping[str, Any]:
        """Load a version, warm it up, compare its answers with its golden ones, and put it into service.

        A version that the one in service is the beginning of is made of that one and deltas.

        Args:
            offered: the version
            check: whether the checksums of its files are compared: no, if another process has done it

        Returns:
            Facts about it: step, run, rows, bytes, seconds, and what clients notice of it (``changed_interface``).

        Raises:
            EsmmError: it is damaged, cannot be read, or answers otherwise than its golden answers
        """
        before = time.monotonic()
        with interpreter_shared_in_small_pieces():
            deltas = offered.deltas_since(self._identities)
            scorer = self._with_deltas(deltas, check) if deltas else self._opened(offered.folders, check)
            opened_bytes = sum(map(_mapped_bytes, deltas or offered.folders))
            scorer.warm_up()
            compared = self_check(scorer, offered.folders[-1])
        manifest, current = scorer.model.manifest, self._versions.current()
        changed = "" if current is None else changed_interface(current.scorer.model.manifest.schema, manifest.schema)
        self._versions.put(Snapshot(version=offered.name, number=offered.number, scorer=scorer))
        self._identities = offered.identities
        self._file_bytes = opened_bytes + (self._file_bytes if deltas else 0)
        self._metrics.version.set(offered.number)
        self._metrics.step.set(manifest.step)
        self._metrics.loaded_at.set(time.time())
        return {
            "step": manifest.step,
            "run": manifest.run,
            "rows": sum(table.num_rows for table in scorer.model.tables.values()),
            "file_bytes": self._file_bytes,
            "golden": compared,
            "changed": changed,
            "seconds": time.monotonic() - before,
        }

    def _opened(self, folders: Sequence[Path], check: bool) -> ServedScorer:
        current = self._versions.current()
        return ServedScorer.open(folders, verify=check, like=None if current is None else current.scorer)

    def _with_deltas(self, folders: Sequence[Path], check: bool) -> ServedScorer:
        """Return the scorer in service with deltas applied."""
        current = self._versions.current()
        assert current is not None
        scorer: ServedScorer = current.scorer
        for folder in folders:
            scorer = scorer.with_delta(folder, verify=check)
        return scorer


def _mapped_bytes(folder: Path) -> int:
    manifest = read_served_manifest(Folder.open(folder) / SERVED_FOLDER)
    return sum(file.file_bytes for table in manifest.tables for file in table.files())
