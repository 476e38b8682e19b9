"""The settings of ``esmm status`` and ``esmm scale``."""

from dataclasses import dataclass

from esmm_dist.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class StatusConfig:
    """Show the state of an elastic run."""

    run: str
    """Folder or URI of the run."""

    watch: float | None = None
    """Show it again every so many seconds, until Ctrl-C. None: once."""

    def __post_init__(self) -> None:
        if self.watch is not None and not 0 < self.watch < float("inf"):
            raise ConfigError(f"watch is {self.watch}. Set seconds, more than 0.")


@dataclass(frozen=True, kw_only=True)
class ScaleConfig:
    """Change the number of workers of an elastic run while it trains."""

    run: str
    """Folder or URI of the run."""

    workers: int
    """Workers that are wanted, within the run's min_workers and max_workers."""

    wait_s: float = 120.0
    """Seconds to wait until so many train; it takes a few. 0: ask, and do not wait."""

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ConfigError(f"workers is {self.workers}. Set 1 or more.")
        if not 0 <= self.wait_s < float("inf"):
            raise ConfigError(f"wait_s is {self.wait_s}. Set seconds, 0 or more.")
