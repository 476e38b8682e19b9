"""Where things of a pipeline are: its folder, and what training reads, on this machine."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from esmm_dist.storage.folder import Folder
from esmm_dist.storage.on_copies import SCRATCH
from esmm_dist.storage.uris import without_credentials
from launcher.pipeline.config import PipelineConfig


@dataclass(frozen=True, kw_only=True)
class Places:
    """Folders and URIs of a pipeline, as lines of ``esmm`` name them."""

    work: str
    """The pipeline's folder, as the user wrote it."""
    local: Path
    """Folder of this machine for what training reads: ``work`` itself, or one for copies."""

    @property
    def run(self) -> str:
        """The run."""
        return _below(self.work, "run")

    @property
    def train_file(self) -> Path:
        """Settings of esmm train."""
        return self.local / "train.yaml"

    @property
    def preprocess_file(self) -> Path:
        """Settings of esmm preprocess."""
        return self.local / "preprocess.yaml"

    @property
    def copies_data(self) -> bool:
        """Whether a data set is copied to this machine before training."""
        return str(self.local) != self.work

    def data(self, day: date) -> str:
        """Return the place of a day's data set."""
        return _below(self.work, f"days/{day}/data")

    def local_data(self, day: date) -> Path:
        """Return the folder of this machine from which a day's data set is read."""
        return self.local / "days" / str(day) / "data"

    def model(self, day: date) -> Path:
        """Return the folder to which a day's model is exported, before it is published."""
        return self.local / "days" / str(day) / "model"


@contextmanager
def open_places(config: PipelineConfig) -> Iterator[Places]:
    """Yield the places for the ``with`` block, and remove a temporary folder at its end."""
    if Folder.open(config.work).is_local:
        path = Folder.open(config.work).local_path
        # As short as the user wrote it, unless that is file://
        yield Places(
            work=config.work if "://" not in config.work else str(path),
            local=Path(config.work) if "://" not in config.work else path,
        )
        return
    chosen = config.scratch or (Path(os.environ[SCRATCH]) if os.environ.get(SCRATCH) else None)
    if chosen is None:
        with tempfile.TemporaryDirectory(prefix="esmm-pipeline-") as temporary:
            yield Places(work=config.work, local=Path(temporary))
        return
    digest = hashlib.sha256(str(without_credentials(config.work)).encode()).hexdigest()[:16]
    local = chosen / f"esmm-pipeline-{digest}"
    local.mkdir(parents=True, exist_ok=True)
    yield Places(work=config.work, local=local)


def _below(place: str, path: str) -> str:
    """Return a path below a folder or a URI, whose parameters stay behind it."""
    address, mark, parameters = place.partition("?") if "://" in place else (place, "", "")
    return f"{address.rstrip('/')}/{path}{mark}{parameters}"
