"""MLflow, through its own client."""

import os
import re
from collections.abc import Sequence
from typing import Any

from esmm_dist.train.trackers.tracker import TrackedPoint, TrackedRun, TrackedStatus

_EXPERIMENT = "esmm"
_MOST_METRICS = 1000  # of one call; MLflow refuses more
_MOST_PARAMS = 100
_KEY_CHARACTERS = 250
_VALUE_CHARACTERS = 500  # servers before 2.9 refuse more
_NOT_IN_KEYS = re.compile(r"[^\w\-. /]")

_CALLS = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
"""What the client does with a server that is silent, unless its user has said so: it would try for minutes, and what
has failed here is sent again anyway."""


class MlflowTracker:
    """Logs to the server that ``MLFLOW_TRACKING_URI`` names; without it to where the client logs by itself."""

    def __init__(self) -> None:
        """Connect to nothing yet."""
        self._client: Any = None
        self._run_id = ""

    def begin(self, run: TrackedRun, run_id: str | None) -> str:
        """Begin a run, or go on with one."""
        for name, value in _CALLS.items():
            os.environ.setdefault(name, value)
        from mlflow.entities import Param
        from mlflow.tracking import MlflowClient

        self._client = client = MlflowClient()
        known: dict[str, str] = {}
        run_id = run_id or self._run_id or None  # of a call before, that failed later on
        if run_id is None:
            name = run.experiment or os.environ.get("MLFLOW_EXPERIMENT_NAME") or _EXPERIMENT
            run_id = self._run_id = client.create_run(self._experiment_id(name), run_name=run.name).info.run_id
        else:
            known = dict(client.get_run(run_id).data.params)
            client.update_run(run_id, status="RUNNING")
        self._run_id = run_id
        given = {_key(name): str(value)[:_VALUE_CHARACTERS] for name, value in run.settings.items()}
        new = [Param(name, value) for name, value in given.items() if name not in known]
        for start in range(0, len(new), _MOST_PARAMS):
            client.log_batch(run_id, params=new[start : start + _MOST_PARAMS])
        for name, value in given.items():  # parameters cannot change
            if known.get(name, value) != value:
                client.set_tag(run_id, f"resumed.{name}"[:_KEY_CHARACTERS], value)
        return run_id

    def log(self, points: Sequence[TrackedPoint]) -> None:
        """Log values."""
        from mlflow.entities import Metric

        metrics = [
            Metric(_key(name), float(value), int(point.at * 1000), point.step)
            for point in points
            for name, value in point.values.items()
        ]
        for start in range(0, len(metrics), _MOST_METRICS):
            self._client.log_batch(self._run_id, metrics=metrics[start : start + _MOST_METRICS])

    def end(self, status: TrackedStatus | None) -> None:
        """End the run."""
        if status is not None:
            self._client.set_terminated(self._run_id, status.value)

    def _experiment_id(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        return str(found.experiment_id if found is not None else self._client.create_experiment(name))


def _key(name: str) -> str:
    return _NOT_IN_KEYS.sub("_", name)[:_KEY_CHARACTERS]
