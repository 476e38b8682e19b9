"""Settings of ``esmm preprocess``."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import pydantic

from esmm_dist.errors import ConfigError
from esmm_dist.schema.manifest import Compression
from preprocess.day_settings import DayChoice, check_day_settings, day_text, parse_day, parse_days

DECIDING = (
    "min_count",
    "group_size",
    "lanes",
    "seed",
    "compression",
    "shard_bytes",
    "validation_share",
    "keep_negatives",
    "open_window",
)
"""Settings that decide the bytes of a data set: those that ``--like`` takes over."""

DECIDING_DAYS = ("train_until", "validation_days", "test_days", "days")
"""Those that decide which days of the log make it. They are of one log: ``--like`` does not take them over."""

MAX_LANES = 4096
MAX_WORKERS = 1024


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """How a log is read that is only looked at (``esmm stats``): no settings of a data set to train on."""

    context_share: float = 1.0
    """Share of the user contexts that is read, chosen by a hash of them, in (0, 1]. Lines of others do not count."""

    @property
    def differs(self) -> dict[str, float]:
        """What tells the data set from others."""
        return {"inspected_share": self.context_share}


@dataclass(frozen=True, kw_only=True)
class PreprocessConfig:
    """What ``preprocess`` reads, how it groups and filters, and what it may use of the machine."""

    raw: Path
    """Folder with the raw logs."""

    out: Path
    """Folder of the data set: new, empty, or written to by an earlier run of preprocess."""

    schema: str | None = None
    """Name of a shipped schema (``aliccp``, ``aliccp-full``, ``guidebook``) or the path of a schema's .yaml file. None:
    the schema of ``like``."""

    like: str | None = None
    """Data set (path or URI) that this one continues, such as yesterday's. Its schema is used, its settings apply where
    no flag or file sets others, and its vocabulary is kept (see ``vocabulary``). The log may then have only a test
    split, to be scored."""

    vocabulary: str | None = None
    """Data set or run (path or URI; a run as RUN or RUN:STEP) whose ids are kept in all splits even if they are
    rare in this log, so that nothing that a model has learned is dropped. A data set adds the counts of its ids; a
    run gives the ids that have a row in its checkpoint. None: the vocabulary of ``like``, or none."""

    min_count: int | None = None
    """Ids in fewer train impressions than this are dropped. 1 keeps every id of the train split. None: chosen from the
    log, 1 for each 50,000 train impressions, from 1 to 20. For Ali-CCP 20 is common; it leaves 4.5 of 8.1 million
    ids."""

    group_size: int | None = None
    """Most impressions of one user context in one record. 1 makes a record of each impression; larger groups take less
    disk and read faster, but shuffle more coarsely. None: chosen from the log, 8 from 200,000 train impressions on, 1
    below. Beyond 8 little disk is saved (README)."""

    lanes: int | None = None
    """Number of lanes that the records of a split are dealt into. No more ranks than lanes can read, and a batch has at
    least one record of each lane. None: chosen from the log, 256 from 100 M train impressions on, 128 from 10 M on, 64
    from 100,000 on, 32 from 50,000 on, 16 below."""

    seed: int = 17
    """Decides the shuffle. The same seed, settings and logs give the same bytes."""

    validation_share: float = 0.0
    """Share of the train split's user contexts that are cut out of it as the validation split, by a hash: whole
    contexts, the same in every run and in tomorrow's log. Training is evaluated on it, so that the test split is not
    needed to choose settings. 0: no cut; the log may bring a validation split of its own. A log without user fields is
    cut by impressions."""

    keep_negatives: float = 1.0
    """Probability with which a train impression whose first label is 0 is kept, above 0 and at most 1; the seed and the
    sample id decide. The others are left out and counted. Validation and test stay whole. 1: all are kept."""

    open_window: Literal["negative", "drop"] = "negative"
    """What becomes of labels of an event log that can still change, as their windows (``window_days`` of the schema)
    are not over at the end of the log: ``negative``, they are 0; ``drop``, impressions whose windows are not over are
    left out, also those that have the label already, so that the last days keep their share of positives. Both are
    counted."""

    log_end: str | None = None
    """The end of an event log: a time, such as ``2024-02-01T00:00:00``, in the schema's ``time_zone`` unless it says
    another. None: the last time in any of its files."""

    train_until: Annotated[str | None, pydantic.BeforeValidator(day_text)] = None
    """Last calendar day of the train split, such as ``2024-01-31`` (the schema's ``source.time`` names the column of
    the time, ``source.time_zone`` its zone). The days after it are the test split, or the next ``validation_days`` the
    validation split and those after them test. None: train is what ``validation_days`` and ``test_days`` leave."""

    validation_days: int = 0
    """Calendar days that are the validation split: the last ones before the test split; with ``train_until`` the first
    ones after it. Days without impressions count. 0: no validation split by days."""

    test_days: int = 0
    """Calendar days that are the test split: the last ones of the log; with ``train_until`` those after it and after
    ``validation_days``, and later ones are in no split. 0: no test split by days, or with ``train_until`` all
    later days."""

    days: Annotated[str | None, pydantic.BeforeValidator(day_text)] = None
    """Calendar days whose impressions make the data set: ``2024-01-31`` or ``2024-01-31..2024-02-02``. Others are
    counted. None: all."""

    by_day: bool = False
    """Whether to make a data set of each calendar day of the log (of ``days``), in OUT/2024-01-31 and so on, each
    continuing the one before (``like``)."""

    workers: int | None = None
    """Number of worker processes. None: one for each core that this process may use. Fewer are started if
    ``memory_gb`` does not hold them, or if the log is so small that one process reads it before a second has started.
    The result does not depend on it."""

    memory_gb: float = 4.0
    """Memory (10^9 bytes, all processes together) that the run may use. Less memory means more and smaller pieces on
    disk, and the same result. Default: fits a laptop with 8 GB."""

    max_reject_share: float = 0.01
    """Largest share of rejected lines in a split (of skeleton and of common lines, each); with more, the run stops.
    Default: a real log has a few bad lines; more than 1% means a wrong schema or a damaged file."""

    verify: bool = False
    """Whether to compare the bytes of an existing data set with the checksums in its manifest, not only the sizes of
    its files, and to make it again if one differs. Reads the whole data set (about 2 GB a second)."""

    compression: Compression = "ZLIB"
    """Compression of the record files: ``ZLIB``, or ``NONE`` where disk is cheaper than the time to inflate
    (README)."""

    shard_bytes: int = 256_000_000
    """Target size of a shard in bytes. Default: few enough files for any file system, and small enough to copy again
    after a failure."""

    def __post_init__(self) -> None:
        if self.schema is None and self.like is None:
            raise ConfigError("schema is missing. Give --schema NAME (or FILE.yaml), or --like DATA to use its schema.")
        for name in ("schema", "like", "vocabulary"):
            if getattr(self, name) == "":
                raise ConfigError(f"{name} is empty. Give a value, or leave it out; is the shell's variable set?")
        at_least = {"min_count": 1, "group_size": 1, "lanes": 1, "seed": 0, "shard_bytes": 1}
        for name, least in at_least.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise ConfigError(f"{name} is {value}. Set {least} or more.")
        if self.lanes is not None and self.lanes > MAX_LANES:
            raise ConfigError(
                f"lanes is {self.lanes}. Set at most {MAX_LANES}: every lane is an open file to a reader."
            )
        if self.seed >= 2**63:
            raise ConfigError(f"seed is {self.seed}. Set less than 2**63.")
        if self.workers is not None and not 1 <= self.workers <= MAX_WORKERS:
            raise ConfigError(f"workers is {self.workers}. Set 1..{MAX_WORKERS}, or leave it out to use all cores.")
        if not (math.isfinite(self.memory_gb) and self.memory_gb > 0):
            raise ConfigError(f"memory_gb is {self.memory_gb}. Set a positive number of gigabytes, such as 4.")
        if not 0 <= self.validation_share < 1:
            raise ConfigError(
                f"validation_share is {self.validation_share:g}. Set a share of at least 0 and below 1, such as 0.1."
            )
        check_day_settings(vars(self))
        if not 0 < self.keep_negatives <= 1:
            raise ConfigError(
                f"keep_negatives is {self.keep_negatives:g}. Set a probability above 0 and at most 1, such as 0.1."
            )
        if not 0 <= self.max_reject_share <= 1:
            raise ConfigError(f"max_reject_share is {self.max_reject_share}. Set a share from 0 to 1, such as 0.01.")

    @property
    def day_choice(self) -> DayChoice:
        """What is cut by days."""
        return DayChoice(
            days=parse_days(self.days) if self.days is not None else None,
            train_until=parse_day("train_until", self.train_until) if self.train_until is not None else None,
            validation_days=self.validation_days,
            test_days=self.test_days,
        )
