"""Settings of the input pipeline."""

from dataclasses import dataclass
from typing import Literal

from esmm_dist.errors import ConfigError

OnBadRecord = Literal["fail", "skip"]
"""What to do with a record that cannot be read."""


@dataclass(frozen=True, kw_only=True)
class InputConfig:
    """Batches and their order."""

    global_batch_records: int | None = None
    """Records (user contexts with up to group_size impressions) in a batch over all ranks; a multiple of the data
    set's lanes. None: 512, about 4,096 impressions, where the CPU's matrix products saturate; less where a pass would
    have fewer than 400 batches, because few large steps learn little; below 200,000 train impressions 64 of these."""

    epochs: int | None = None
    """Passes over the train split. None: 1, because on click logs a second pass overfits the ids; 2 where a pass has
    fewer than 2,000 batches, which are too few to learn from; 3 below 200,000 train impressions."""

    shuffle: bool = True
    """Reshuffle by (seed, epoch): the parts of each lane, and the records within a part. A large part is
    shuffled in blocks, so that 256 MB of records are in memory over all lanes, whatever the size of the log."""

    prefetch: int = 2
    """Batches that are read and prepared ahead of the step. 2 hides the reading; more takes memory only."""

    on_bad_record: OnBadRecord = "fail"
    """What to do with a record that cannot be read: a shard is missing, or its bytes changed. ``fail``: stop and name
    the shard; ``skip``: leave out those records, count them by shard, and change nothing else. Fail, because damage is
    better repaired than lived with."""

    def __post_init__(self) -> None:
        for name in ("global_batch_records", "epochs", "prefetch"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name} is {value}. Set 1 or more.")
