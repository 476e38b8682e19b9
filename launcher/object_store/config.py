"""The settings of ``esmm copy``."""

from dataclasses import dataclass

from esmm_dist.errors import ConfigError
from esmm_dist.storage.copy import PARALLEL

MOST_PARALLEL = 128


@dataclass(frozen=True, kw_only=True)
class CopyConfig:
    """Copy a folder, or one file, from or to an object store."""

    source: str
    """Path or URI of a folder, which is copied with all below it, or of one file."""

    target: str
    """Path or URI that the copy gets. What is there and not in the source stays."""

    again: bool = False
    """Copy files too that are there with the same size and time (in a store: and are not older than their source)."""

    parallel: int = PARALLEL
    """Files at once, each with 4 MB of memory."""

    def __post_init__(self) -> None:
        for name in ("source", "target"):
            if not getattr(self, name):
                raise ConfigError(f"{name} is empty. Give a path or a URI.")
        if not 1 <= self.parallel <= MOST_PARALLEL:
            raise ConfigError(f"parallel is {self.parallel}. Set 1 .. {MOST_PARALLEL}.")
