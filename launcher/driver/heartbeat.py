"""The driver's heartbeat to the process that started it: a file, written twice a second."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from esmm_dist.storage.whole_file import write_whole


@dataclass(frozen=True, kw_only=True)
class Heartbeat:
    """The driver is alive, and this is what it knows of others."""

    state: str
    """State of the run."""
    silent_servers: Mapping[int, float] = field(default_factory=dict)
    """Seconds since each server's last answer, by index."""
    silent_agents: Mapping[str, float] = field(default_factory=dict)
    """Seconds since each agent's last answer, by the worker's name."""


def write_heartbeat(path: Path, heartbeat: Heartbeat) -> None:
    """Replace the heartbeat in a file."""
    write_whole(path, json.dumps(asdict(heartbeat)))


def read_heartbeat(path: Path) -> Heartbeat | None:
    """Return the newest heartbeat; None if there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return Heartbeat(
        state=str(found["state"]),
        silent_servers={int(index): float(silent) for index, silent in found["silent_servers"].items()},
        silent_agents={str(name): float(silent) for name, silent in found["silent_agents"].items()},
    )
