"""What a driver tells the process that started it, once a second, through a file."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from esmm_dist.storage.whole_file import write_whole


@dataclass(frozen=True, kw_only=True)
class Beat:
    """The driver lives, and sees this."""

    state: str
    """Of the run."""
    silent_servers: Mapping[int, float] = field(default_factory=dict)
    """Seconds since each server's last answer."""
    silent_agents: Mapping[str, float] = field(default_factory=dict)
    """The same of the agents, by name."""


def write_beat(path: Path, beat: Beat) -> None:
    """Write it."""
    write_whole(path, json.dumps(asdict(beat)))


def read_beat(path: Path) -> Beat | None:
    """Read the newest; None if there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return Beat(
        state=str(found["state"]),
        silent_servers={int(index): float(silent) for index, silent in found["silent_servers"].items()},
        silent_agents={str(name): float(silent) for name, silent in found["silent_agents"].items()},
    )
