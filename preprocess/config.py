"""Settings of ``esmm preprocess``."""

import math
from dataclasses import dataclass
from pathlib import Path

from esmm_dist.errors import ConfigError
from esmm_dist.schema.manifest import Compression

DECIDING = ("min_count", "group_size", "lanes", "seed", "compression", "shard_bytes")
"""Settings that decide the bytes of a data set: those that ``--like`` takes over."""

MAX_LANES = 4096
MAX_WORKERS = 1024


@dataclass(frozen=True, kw_only=True)
class PreprocessConfig:
    """What ``preprocess`` reads, how it groups and filters, and what it may use of the machine."""

    raw: Path
    """Folder with the raw logs."""

    out: Path
    """Folder of the data set. It must be new, empty, or one that an earlier run of preprocess began."""

    schema: str | None = None
    """Name of a shipped schema (``aliccp``, ``aliccp-full``, ``guidebook``) or the path of a schema's .yaml file. None:
    that of ``like``."""

    like: str | None = None
    """Data set (path or URI) that this one continues, such as yesterday's: its schema, and its settings where no flag
    or file gives others, are taken over, and its vocabulary is kept as ``vocabulary`` says. The log may then have a
    test split alone: a day to be scored."""

    vocabulary: str | None = None
    """Data set, or run (path or URI, RUN or RUN:STEP), whose ids are kept in train and test, however few train
    impressions hold them here: what the model knows is not dropped. Of a data set, the impressions that held an id
    count too; of a run, the ids of the checkpoint's rows are meant. None: that of ``like``, or none."""

    min_count: int | None = None
    """Ids that fewer train impressions hold are dropped. 1 keeps every id of the train split. None: chosen from the
    log, 1 for each 50,000 train impressions, 1 to 20. 20 is the common treatment of Ali-CCP, which leaves 4.5 of 8.1 M
    ids."""

    group_size: int | None = None
    """Most impressions of one user context in one record. 1 gives one record an impression; more makes records
    smaller and reading faster but the shuffle coarser. None: chosen from the log, 8 from 200,000 train impressions on,
    1 below. Beyond 8 the size falls little (README)."""

    lanes: int | None = None
    """Number of lanes that the records of a split are dealt into; at most that many ranks can read in parallel, and a
    batch has at least that many records. None: chosen from the log, 64 from 100,000 train impressions
    on, 32 from 50,000 on, 16 below."""

    seed: int = 17
    """Decides the shuffle. The same seed, settings and logs give the same bytes."""

    workers: int | None = None
    """Processes that work at once. None: one per core that this process may use. Fewer are started if ``memory_gb``
    does not hold so many, or for a small log, which one process reads sooner than two start. The result does not
    depend on it."""

    memory_gb: float = 4.0
    """Most memory (10^9 bytes, all processes together) that the run may hold. Less memory means more, smaller
    pieces on disk, not another result. Default: fits an 8 GB laptop."""

    max_reject_share: float = 0.01
    """The run stops if a larger share of a split's lines (of skeleton or of common lines) is rejected. Default: a
    real log has a few bad lines; more than 1 % means a wrong schema or a damaged file."""

    verify: bool = False
    """Whether to compare the bytes of a data set that is there already with the checksums of its manifest, beyond the
    sizes of its files, and to make it again if one differs. Reads all of it (about 2 GB a second)."""

    compression: Compression = "ZLIB"
    """Form of the record files: ``ZLIB``, or ``NONE`` where disk is cheaper than the time to inflate (README)."""

    shard_bytes: int = 256_000_000
    """Size in bytes that a part of a lane aims at. Default: few enough files for any file system, small enough to
    copy again after a fault."""

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
        if not 0 <= self.max_reject_share <= 1:
            raise ConfigError(f"max_reject_share is {self.max_reject_share}. Set a share from 0 to 1, such as 0.01.")
