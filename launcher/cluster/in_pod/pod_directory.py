"""Where the agents of a job are: pods, as the cluster's API lists them.

A pod is listed from the moment that it is Ready, and then until it is gone: a pod that is to end still has its grace
period, in which its worker leaves the others in good order, and one whose probe fails for once is not lost. What is
lost is found by its agent's silence.
"""

import threading
from collections.abc import Mapping
from typing import Any

from esmm_dist.progress import Progress
from launcher.cluster.api import kinds
from launcher.cluster.api.client import Api
from launcher.cluster.api.errors import ClusterError
from launcher.cluster.in_pod.job_objects import JobObjects

LIST_S = 1.0
"""Seconds between two lists."""

ENDED_PHASES = ("Succeeded", "Failed")


class PodDirectory:
    """Lists the pods each second, in a thread of its own; what it found last is there at once, from any thread.

    While the API does not answer, the last answer stays: agents and driver need no API to go on.

    Args:
        api: the cluster
        objects: what belongs to the job
        progress: receives one message when the API cannot be asked, and one when it can again
    """

    def __init__(self, api: Api, objects: JobObjects, progress: Progress) -> None:
        self._api, self._objects, self._progress = api, objects, progress
        self._ready_once: set[str] = set()  # uids
        self._addresses: dict[str, str] = {}
        self._wanted = 0
        self._trouble = ""
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._list_until_stopped, name="pods", daemon=True)

    def __enter__(self) -> "PodDirectory":
        """Begin to list."""
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        """List no more; a list under way is left to itself."""
        self._stopped.set()

    def addresses(self) -> Mapping[str, str]:
        """Return HOST:PORT by the worker's name, which is its pod's."""
        return self._addresses

    def wanted(self) -> int:
        """Return the number of workers that are wanted: pods that exist and are not to end."""
        return self._wanted

    def trouble(self) -> str:
        """Return why these answers may be old; empty if they are not."""
        return self._trouble

    def list_once(self) -> None:
        """Ask the API; if it does not answer, everything stays as it is."""
        try:
            pods = self._api.all(kinds.POD, self._objects.worker_selector)
        except ClusterError as e:
            if not self._trouble:
                self._progress.message(f"The pods cannot be listed. Going on with those that are known. {e}")
            self._trouble = f"the pods cannot be listed: {e}"
            return
        if self._trouble:
            self._progress.message("The pods can be listed again.")
        self._trouble = ""
        self._take(pods)

    def _list_until_stopped(self) -> None:
        while True:
            self.list_once()
            if self._stopped.wait(LIST_S):
                return

    def _take(self, pods: list[dict[str, Any]]) -> None:
        alive = [pod for pod in pods if pod.get("status", {}).get("phase") not in ENDED_PHASES]
        staying = [pod for pod in alive if "deletionTimestamp" not in pod["metadata"]]
        self._ready_once &= {pod["metadata"]["uid"] for pod in alive}
        self._ready_once |= {pod["metadata"]["uid"] for pod in staying if _is_ready(pod)}
        found = sorted(pod["metadata"]["name"] for pod in alive if pod["metadata"]["uid"] in self._ready_once)
        self._wanted = len(staying)
        self._addresses = {name: self._objects.agent_address(name) for name in found}


def _is_ready(pod: Mapping[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions") or []
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
