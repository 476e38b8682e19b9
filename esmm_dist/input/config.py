"""Settings of the input pipeline."""

from dataclasses import dataclass

from esmm_dist.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class InputConfig:
    """Batches and their order."""

    global_batch_records: int = 512
    """Records (user contexts with up to group_size impressions) in a batch over all ranks. A multiple of the data
    set's lanes. 512 records of 8 impressions are about 4,096 impressions, where the CPU's matrix products saturate."""

    epochs: int = 1
    """Passes over the train split. 1: on click logs a second pass overfits the ids."""

    shuffle: bool = True
    """Reshuffle by (seed, epoch): the parts of each lane, and the records within a part."""

    prefetch: int = 2
    """Batches that are read and prepared ahead of the step. 2 hides the reading; more takes memory only."""

    def __post_init__(self) -> None:
        for name in ("global_batch_records", "epochs", "prefetch"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}. Set 1 or more.")
