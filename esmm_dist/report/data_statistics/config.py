"""The settings of ``esmm stats``."""

from dataclasses import dataclass
from pathlib import Path

from esmm_dist.errors import ConfigError
from esmm_dist.input.config import OnBadRecord

_FEWEST_IDS = 1000


@dataclass(frozen=True, kw_only=True)
class StatsConfig:
    """Which data are looked at, and where the pictures go."""

    data: Path
    """A data set (a folder that ``esmm preprocess`` wrote), or a raw log: its folder, or one file of a flat log."""

    schema: str | None = None
    """Schema of a raw log, as ``esmm preprocess --schema`` takes it: a file, or the name of one that is shipped. None:
    that of a data set; of a raw log ``schema.yaml`` in its folder or, of a flat log, a guess from its first rows."""

    html: Path | None = None
    """HTML file to write, with all pictures. None: none."""

    png: Path | None = None
    """Folder to write each picture to, as a PNG file. None: none."""

    sample: float = 1.0
    """Share to read, in (0, 1]; less is faster, and the report says so. Of a data set: so many of its lanes, to which
    preprocess has dealt the records by a hash. Of a raw log: of the user contexts, by a hash of them."""

    most_ids: int = 1_000_000
    """Distinct ids of a field that are counted one by one, in 70 MB. Of a field with more, distinct ids, frequencies
    and unseen ids are estimated from a share of the ids, of which half of this number at least are left: a standard
    error of 0.2% or less."""

    on_bad_record: OnBadRecord = "fail"
    """What to do with a record that cannot be read: ``fail``, or ``skip`` it and say how many were left out."""

    def __post_init__(self) -> None:
        if not 0 < self.sample <= 1:
            raise ConfigError(f"sample is {self.sample}. Set a share above 0 and at most 1 (1: all).")
        if self.most_ids < _FEWEST_IDS:
            raise ConfigError(f"most_ids is {self.most_ids}. Set {_FEWEST_IDS} or more.")
