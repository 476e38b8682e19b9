"""The trackers of a training: which there are, and what they are told of the run."""

import importlib.util
import json
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from esmm_dist.config import to_mapping
from esmm_dist.errors import ConfigError
from esmm_dist.storage.folder import Folder
from esmm_dist.storage.uris import without_credentials
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.context import TrainingContext
from esmm_dist.train.run_folder import TRACKERS_NAME
from esmm_dist.train.trackers.background_tracker import BackgroundTracker
from esmm_dist.train.trackers.mlflow_tracker import MlflowTracker
from esmm_dist.train.trackers.tracker import TrackedRun, Tracker
from esmm_dist.train.trackers.wandb_tracker import WandbTracker

_TRACKERS: Mapping[str, type[Tracker]] = {"mlflow": MlflowTracker, "wandb": WandbTracker}


def check_trackers(config: TrainConfig) -> None:
    """Check that the clients of the trackers that a training logs to are installed.

    Raises:
        ConfigError: One is not.
    """
    for name in config.tracking.log_to:
        if importlib.util.find_spec(name) is None:
            raise ConfigError(
                f"log_to is {name}, and its client is not installed. Install it: pip install 'esmm_dist[{name}]'"
            )


def open_trackers(context: TrainingContext) -> tuple[BackgroundTracker, ...]:
    """Return the trackers of a training, none started yet; none on ranks other than 0.

    Args:
        context: settings and run of the training

    Raises:
        StorageError: The storage refuses.
    """
    run, config = context.run, context.config
    if run is None or not config.tracking.log_to:
        return ()
    ids = _RunIds(run.folder)
    tracked = TrackedRun(
        name=config.tracking.log_run_name or run.folder.name,
        experiment=config.tracking.log_experiment,
        settings=_flat(without_credentials(to_mapping(config))),
    )
    return tuple(
        BackgroundTracker(
            name,
            _TRACKERS[name](),
            replace(tracked, run_id=ids.of(name)),
            progress=context.progress,
            keep_run_id=lambda run_id, name=name: ids.keep(name, run_id),  # type: ignore[misc]
        )
        for name in config.tracking.log_to
    )


class _RunIds:
    """The run's ids in the services, ``RUN/trackers.json``. Thread-safe."""

    def __init__(self, run: Folder) -> None:
        """Read what earlier processes have kept; what is damaged counts for nothing.

        Raises:
            StorageError: The storage refuses.
        """
        self._run, self._lock = run, threading.Lock()
        self._ids: dict[str, dict[str, str]] = {}
        try:
            stored = json.loads(run.read_bytes(TRACKERS_NAME))
        except (FileNotFoundError, ValueError):
            return
        for name in _TRACKERS:
            entry = stored.get(name) if isinstance(stored, dict) else None
            run_id = entry.get("run_id") if isinstance(entry, dict) else None
            if isinstance(run_id, str) and run_id:
                self._ids[name] = {"run_id": run_id}

    def of(self, tracker: str) -> str | None:
        """Return the run's id in a service; None: it has none yet."""
        return self._ids.get(tracker, {}).get("run_id")

    def keep(self, tracker: str, run_id: str) -> None:
        """Keep an id for the processes to come.

        Raises:
            StorageError: The storage refuses.
        """
        with self._lock:
            if self.of(tracker) == run_id:
                return
            self._ids[tracker] = {"run_id": run_id}
            self._run.write_bytes(TRACKERS_NAME, (json.dumps(self._ids, indent=1) + "\n").encode())


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for group, value in settings.items():
        found |= (
            {f"{group}.{name}": each for name, each in value.items()} if isinstance(value, dict) else {group: value}
        )
    return found
