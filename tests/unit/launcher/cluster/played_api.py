"""A cluster in memory: what the verbs read and change, without HTTP and without controllers."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from launcher.cluster import names
from launcher.cluster.api.client import Api
from launcher.cluster.api.errors import Access, ClusterError
from launcher.cluster.api.kinds import POD, Object, Resource, resource_of
from launcher.run_files.run_status import RunStatus
from tests.fake_kubernetes.store import Refusal, Store
from tests.unit.launcher.cluster.jobs import make_job, rendered

NAMESPACE = "ml"


class PlayedApi(Api):
    """An ``Api`` over a ``Store``. Calls that change something are recorded as ``(verb, Kind, name)``."""

    def __init__(self) -> None:
        super().__init__(None, Access(host="memory", namespace=NAMESPACE, who="a test"))
        self.store = Store()
        self.changes: list[tuple[str, str, str]] = []
        self.checked: list[tuple[str, str, str]] = []
        """Creates that were only checked (``dryRun``), as ``changes``."""
        self.known: set[str] = set()
        """Kinds of operators that the cluster has."""
        self.refusals: dict[tuple[str, str], int] = {}
        """HTTP status of what is refused, by verb and kind."""
        self.lines: dict[str, list[str] | int] = {}
        """The log of each pod; a number is the HTTP status with which it is refused."""

    def get(self, resource: Resource, name: str) -> Object:
        self._check("get", resource)
        try:
            return self.store.get(_key(resource), NAMESPACE, name)
        except Refusal as e:
            raise ClusterError(str(e), e.status["code"]) from e

    def all(self, resource: Resource, labels: str = "", *, fields: str = "", everywhere: bool = False) -> list[Object]:
        self._check("list", resource)
        return self.store.all(_key(resource), None if everywhere else NAMESPACE, labels)

    def create(self, manifest: Object, *, dry_run: bool = False) -> Object:
        resource = resource_of(manifest)
        name = manifest["metadata"].get("name", "")
        (self.checked if dry_run else self.changes).append(("create", resource.kind, name))
        self._check("check" if dry_run else "create", resource)
        try:
            return self.store.create(_key(resource), NAMESPACE, manifest, keep=not dry_run)
        except Refusal as e:
            raise ClusterError(str(e), e.status["code"], e.status["reason"]) from e

    def patch(self, resource: Resource, name: str, change: Mapping[str, Any], *, part: str = "") -> Object:
        self.changes.append((part or "patch", resource.kind, name))
        return self.store.patch(_key(resource), NAMESPACE, name, dict(change))

    def delete(self, resource: Resource, name: str) -> bool:
        self.changes.append(("delete", resource.kind, name))
        if self.store.find(_key(resource), NAMESPACE, name) is None:
            return False
        self.store.delete(_key(resource), NAMESPACE, name)
        return True

    def logs(self, pod: str, *, since: str = "", previous: bool = False, tail: int | None = None) -> list[str]:
        found = self.lines.get(f"{pod} before" if previous else pod, [])
        if isinstance(found, int):
            raise ClusterError(f"refused with {found}", found)
        return list(found)

    def knows(self, resource: Resource) -> bool:
        return resource.kind in self.known

    def version(self) -> tuple[int, int]:
        return 1, 29

    def _check(self, verb: str, resource: Resource) -> None:
        status = self.refusals.get((verb, resource.kind))
        if status is not None:
            raise ClusterError(f"No right to {verb} {resource.plural}", status, "NoRight" if status == 403 else "")


class PlayedJob:
    """A job in a cluster in memory, with a driver, 2 servers and 2 workers unless the test says otherwise."""

    def __init__(self, task: str = "train", **cluster: Any) -> None:
        settings = {"servers": {"count": 2}, "workers": {"min": 1, "max": 4, "start": 2}, **cluster}
        schedule = {"schedule": cluster.pop("schedule")} if "schedule" in cluster else {}
        self.api, self.file = PlayedApi(), make_job(task, cluster=settings if task == "train" else cluster, **schedule)
        self.name = self.file.name
        config = rendered(self.file)[0]
        self.uid = self.api.create(config)["metadata"]["uid"]
        for manifest in rendered(self.file, owner_uid=self.uid)[1:]:
            self.api.create(manifest)
        for component, count in (
            (("driver", 1), ("server", 2), ("worker", 2))
            if task == "train"
            else (("serving", 2),)
            if task == "serve"
            else (("task", int(not schedule)),)
        ):
            for index in range(count):
                self.add_pod(component, index)
        self.api.changes.clear()

    def add_pod(self, component: str, index: int = 0, *, phase: str = "Running", name: str = "", **status: Any) -> None:
        """Add a pod that is ready."""
        labels = {names.NAME: names.APP, names.INSTANCE: self.name, names.COMPONENT: component}
        ready = [{"type": "Ready", "status": "True"}] if phase == "Running" else []
        pod = {
            "metadata": {"name": name or f"{self.name}-{component}-{index}", "labels": labels},
            "spec": {"containers": []},
            "status": {"phase": phase, "conditions": ready, **status},
        }
        self.api.store.create("pods", NAMESPACE, pod)

    def remove_pods(self, *components: str) -> None:
        """Remove all pods of some kinds."""
        for component in components:
            for pod in self.api.all(POD, names.label_query(self.name, component)):  # type: ignore[arg-type]
                self.api.store.delete("pods", NAMESPACE, pod["metadata"]["name"])

    def publish(self, status: RunStatus) -> None:
        """Publish a status as the driver does."""
        data = {names.STATUS_KEY: json.dumps(asdict(status))}
        self.api.store.patch("configmaps", NAMESPACE, names.status(self.name), {"data": data})

    def replicas(self, component: str) -> int:
        """Number of pods that a StatefulSet should have."""
        found = self.api.store.get("apps/statefulsets", NAMESPACE, f"{self.name}-{component}")
        return int(found["spec"]["replicas"])

    @property
    def annotations(self) -> dict[str, str]:
        return dict(self.api.store.get("configmaps", NAMESPACE, self.name)["metadata"].get("annotations") or {})


def _key(resource: Resource) -> str:
    group = resource.api_version.rpartition("/")[0]
    return f"{group.split('.')[0]}/{resource.plural}" if group else resource.plural
