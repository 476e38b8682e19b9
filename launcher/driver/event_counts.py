"""What the events of a run add up to, for its status."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

RESTARTS = {
    "worker_lost": "worker lost",
    "worker_stalled": "worker stalled",
    "worker_left": "worker left",
    "agent_lost": "worker host lost",
    "server_lost": "server lost",
    "driver_lost": "driver lost",
    "all_restarted": "all restarted",
}
"""Events that count as restarts, and what the status calls them."""


class EventCounts:
    """Adds up events in their order; the attributes are named as those of ``RunStatus``. Not thread-safe."""

    def __init__(self) -> None:
        self.checkpoint_step: int | None = None
        self.checkpoint_at: float | None = None
        self.evaluation: dict[str, Any] = {}
        self.restarts: Counter[str] = Counter()
        self.undone_steps = self.lost_sparse_steps = self.repeated_sparse_steps = self.rolled_back_steps = 0
        self._reached = 0  # step of workers that have all ended

    def add(self, entry: Mapping[str, Any]) -> None:
        """Count one event: a line of the journal."""
        event = entry.get("event", "")
        if event in RESTARTS:
            self.restarts[RESTARTS[event]] += 1
        match event:
            case "saved":
                self.checkpoint_step = int(entry["step"])
                self.checkpoint_at = datetime.fromisoformat(entry["time"]).timestamp()
            case "evaluated":
                self.evaluation = {name: entry[name] for name in ("step", "split", "auc")}
            case "went_on":
                self.undone_steps += int(entry.get("undone_steps", 0))
                self.lost_sparse_steps += int(entry.get("lost_sparse_steps", 0))
                self.repeated_sparse_steps += int(entry.get("repeated_sparse_steps", 0))
            case "all_restarted":
                self._reached = int(entry.get("step", 0))
            case "began":
                self.rolled_back_steps += max(0, self._reached - int(entry.get("step", 0)))
                self._reached = 0
            case "rolled_back":
                self.rolled_back_steps += max(0, int(entry.get("from_step", 0)) - int(entry.get("to_step", 0)))

    def totals(self) -> dict[str, Any]:
        """Return the counts by their names in ``RunStatus``."""
        return {name: value for name, value in vars(self).items() if not name.startswith("_")} | {
            "restarts": dict(self.restarts)
        }
