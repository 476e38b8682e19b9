"""A version that was found, as one process tells another of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class OfferedVersion:
    """A version whose files are all on a disk of this machine."""

    name: str
    """Name of its folder: ``3``, ``4.delta``."""

    number: int
    folders: tuple[Path, ...]
    """Where its files are: those of the full version first, then those of its deltas, in order."""

    identities: tuple[str, ...]
    """Name and content (``model_id``) of each: what is equal need not be loaded again."""

    def to_mapping(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return {
            "name": self.name,
            "number": self.number,
            "folders": [str(folder) for folder in self.folders],
            "identities": list(self.identities),
        }

    @classmethod
    def from_mapping(cls, found: Mapping[str, Any]) -> "OfferedVersion":
        """Return what ``to_mapping`` was called of."""
        return cls(
            name=str(found["name"]),
            number=int(found["number"]),
            folders=tuple(Path(folder) for folder in found["folders"]),
            identities=tuple(str(identity) for identity in found["identities"]),
        )

    def deltas_since(self, identities: tuple[str, ...]) -> tuple[Path, ...] | None:
        """Return the folders to apply to a version that is made of some; None: it is no beginning of this one."""
        if not identities or self.identities[: len(identities)] != identities:
            return None
        return self.folders[len(identities) :]
