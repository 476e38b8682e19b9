"""Which run a call is about, and which rank makes it."""

from dataclasses import dataclass

from esmm_dist.storage.location import Location


@dataclass(frozen=True, kw_only=True)
class RunIdentity:
    """Which run a rank belongs to."""

    location: str
    """Folder or URI of the run, absolute."""
    generation: int
    """From ``next_generation``, the same on all ranks."""
    rank: int
    world_size: int
    """Number of ranks that push, in each step once: the first ones. Those after them never have ids."""
    purpose: str = "train"

    @property
    def name(self) -> str:
        """Names the run on the servers and in their messages: without credentials."""
        place = str(Location.parse(self.location))
        return place if self.purpose == "train" else f"{place} ({self.purpose})"
