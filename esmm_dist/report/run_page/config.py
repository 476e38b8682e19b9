"""The settings of ``esmm report``."""

from dataclasses import dataclass, field
from pathlib import Path

from esmm_dist.errors import ConfigError
from esmm_dist.input.config import OnBadRecord
from esmm_dist.parameter_server.config import ConnectionConfig


@dataclass(frozen=True, kw_only=True)
class ReportConfig:
    """Which runs are looked at, and where the page goes."""

    runs: tuple[str, ...]
    """Runs, paths or URIs; RUN:STEP names a checkpoint. Several stand side by side, compared with the first."""

    html: Path | None = None
    """HTML file to write, with all pictures. None: none."""

    png: Path | None = None
    """Folder to write each picture to, as a PNG file. None: none."""

    data: Path | None = None
    """Data set that is scored. None: the one that each run was trained on last."""

    split: str | None = None
    """Split that is scored. None: ``validation`` where the data set has one, else ``test``."""

    score: bool = True
    """Whether to score the split for calibration, histograms, segments and lift. Without it the page shows what the
    files of the run tell, in a second."""

    by: tuple[str, ...] = ()
    """One-hot fields, by name or alias, for whose values AUC and calibration are shown apart."""

    by_values: int = 10
    """Values of such a field that are shown: those with the most impressions."""

    gauc_field: str | None = None
    """Field of the users of segments. None: the first one-hot field of the users."""

    item_field: str | None = None
    """Field of the items of segments. None: the first one-hot one that items own."""

    watch: float | None = None
    """Seconds after which the page is written anew while a run trains, until it ends or Ctrl-C; the split is scored
    again for each new checkpoint. None: once."""

    on_bad_record: OnBadRecord = "fail"
    """What to do with a record that cannot be read: ``fail``, or ``skip`` it and say how many were left out."""

    store: ConnectionConfig = field(default_factory=ConnectionConfig)

    def __post_init__(self) -> None:
        if not self.runs:
            raise ConfigError("runs is empty. Name at least one run: esmm report RUN")
        if self.watch is not None and self.watch <= 0:
            raise ConfigError(f"watch is {self.watch}. Set seconds above 0, or leave it out.")
