"""What happens in a cluster by itself: pods come and go, and a job's driver publishes and obeys."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from launcher.run_files.run_status import RunStatus, ServerStatus, WorkerStatus, parse_status
from tests.fake_kubernetes.store import Object, Refusal, Store, stamp

COMPONENT = "app.kubernetes.io/component"
INSTANCE = "app.kubernetes.io/instance"
SETS, JOBS, PODS, MAPS, EVENTS = "apps/statefulsets", "batch/jobs", "pods", "configmaps", "events"
MPI_JOBS, SERVICES = "kubeflow/mpijobs", "services"


@dataclass
class Script:
    """How pods fare, by component; a test changes it while the cluster runs."""

    unschedulable: dict[str, str] = field(default_factory=dict)
    """Message of the PodScheduled condition."""
    image_error: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Reason of the waiting container, and the event's message."""
    crash: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Exit code, and reason of the ended container."""
    pod_quota: dict[str, str] = field(default_factory=dict)
    """Message with which pods are refused."""
    mount_error: dict[str, str] = field(default_factory=dict)
    steps: int = 10**9
    """The run is done at this step."""
    fails: str = ""
    """What the run fails with."""
    deaf: bool = False
    """The driver does not obey."""
    silent: bool = False
    """The driver publishes nothing."""
    task_ends: bool | None = None
    """How pods of tasks end; None: they run on."""
    lingering: bool = False
    """Pods of a set that is gone stay."""


class Controllers:
    def __init__(self, store: Store, script: Script, write: Callable[[str, str, str], None]) -> None:
        self._store, self._script, self._write = store, script, write

    def look(self) -> None:
        with self._store.lock:
            for each in self._store.all(SETS):
                self._keep_set(each)
            for each in self._store.all(JOBS):
                self._keep_job(each)
            for each in self._store.all(MPI_JOBS):
                self._keep_mpijob(each)
            for pod in self._store.all(PODS):
                self._fare(pod)
            for each in [*self._store.all(JOBS), *self._store.all(MPI_JOBS)]:
                if each["metadata"]["labels"].get(COMPONENT) == "driver":
                    self._drive(each)

    def _keep_set(self, owner: Object) -> None:
        name, wanted = owner["metadata"]["name"], int(owner["spec"].get("replicas", 1))
        for i in range(wanted):
            self._make_pod(owner, "StatefulSet", f"{name}-{i}")
        for pod in self._owned(owner):
            if int(pod["metadata"]["name"].rpartition("-")[2]) >= wanted:
                self._delete(pod)

    def _keep_job(self, owner: Object) -> None:
        conditions = (owner.get("status") or {}).get("conditions") or []
        if not conditions and not self._owned(owner):
            self._make_pod(owner, "Job", f"{owner['metadata']['name']}-{owner['metadata']['uid'][:5]}")

    def _keep_mpijob(self, owner: Object) -> None:
        """Do what Kubeflow's operator does; a launcher's pod is made without the Job between."""
        namespace, name = owner["metadata"]["namespace"], owner["metadata"]["name"]
        pods = self._owned(owner)
        if (owner.get("status") or {}).get("conditions"):  # cleanPodPolicy: Running
            for pod in pods:
                if pod["metadata"]["labels"][COMPONENT] == "worker" and pod["status"]["phase"] == "Running":
                    self._delete(pod)
            return
        if not self._store.find(SERVICES, namespace, name):
            reference = {"kind": "MPIJob", "name": name, "uid": owner["metadata"]["uid"]}
            self._store.create(SERVICES, namespace, {"metadata": {"name": name, "ownerReferences": [reference]}})
        replicas = owner["spec"]["mpiReplicaSpecs"]
        wanted = int(replicas["Worker"]["replicas"])
        for i in range(wanted):
            self._make_pod(owner, "MPIJob", f"{name}-worker-{i}", "worker", replicas["Worker"]["template"])
        for pod in pods:
            number = pod["metadata"]["name"].rpartition("-")[2]
            if pod["metadata"]["labels"][COMPONENT] == "worker" and int(number) >= wanted:
                self._delete(pod)
        if not self._drivers(owner):
            launcher = f"{name}-launcher-{owner['metadata']['uid'][:5]}"
            self._make_pod(owner, "MPIJob", launcher, "driver", replicas["Launcher"]["template"])

    def _drivers(self, owner: Object) -> list[Object]:
        return [each for each in self._owned(owner) if each["metadata"]["labels"][COMPONENT] == "driver"]

    def _owned(self, owner: Object) -> list[Object]:
        uid = owner["metadata"]["uid"]
        pods = self._store.all(PODS, owner["metadata"]["namespace"])
        return [each for each in pods if any(o["uid"] == uid for o in each["metadata"].get("ownerReferences") or [])]

    def _make_pod(
        self, owner: Object, kind: str, name: str, component: str = "", template: Object | None = None
    ) -> None:
        namespace = owner["metadata"]["namespace"]
        if self._store.find(PODS, namespace, name):
            return
        component = component or owner["metadata"]["labels"][COMPONENT]
        if component in self._script.pod_quota:
            self._event(namespace, kind, owner["metadata"]["name"], "FailedCreate", self._script.pod_quota[component])
            return
        reference = {"kind": kind, "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]}
        template = template or owner["spec"]["template"]
        metadata = {**template["metadata"], "name": name, "ownerReferences": [reference]}
        pod = {"metadata": metadata, "spec": template["spec"], "status": {"phase": "Pending"}}
        self._store.create(PODS, namespace, pod)

    def _fare(self, pod: Object) -> None:
        component, script = pod["metadata"]["labels"][COMPONENT], self._script
        if pod["status"]["phase"] in ("Succeeded", "Failed"):
            return
        container = pod["spec"]["containers"][0]
        state: Object = {"name": container["name"], "image": container["image"], "restartCount": 0, "ready": False}
        scheduled = {"type": "PodScheduled", "status": "True"}
        phase = "Pending"
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        if component in script.unschedulable:
            message = script.unschedulable[component]
            scheduled |= {"status": "False", "reason": "Unschedulable", "message": message}
            pod["status"] = {"phase": phase, "conditions": [scheduled]}
            return
        if component in script.image_error:
            reason, message = script.image_error[component]
            state["state"] = {"waiting": {"reason": reason, "message": f'Back-off pulling image "{state["image"]}"'}}
            self._event(namespace, "Pod", name, "Failed", message)
        elif component in script.mount_error:
            state["state"] = {"waiting": {"reason": "ContainerCreating"}}
            self._event(namespace, "Pod", name, "FailedMount", script.mount_error[component])
        elif component in script.crash:
            code, reason = script.crash[component]
            ended = {"exitCode": code, "reason": reason}
            state |= {"restartCount": 4, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
            state["lastState"] = {"terminated": ended}
            phase = "Running"
        else:
            state |= {"ready": True, "state": {"running": {"startedAt": stamp()}}}
            phase = "Running"
        ready = {"type": "Ready", "status": "True" if state["ready"] else "False"}
        if state["ready"] and pod["status"]["phase"] == "Pending":
            self._write(namespace, name, f"{name} begins")
        pod["status"] = {"phase": phase, "conditions": [scheduled, ready], "containerStatuses": [state]}
        if component == "task" and state["ready"] and script.task_ends is not None:
            pod["status"]["phase"] = "Succeeded" if script.task_ends else "Failed"
            kind = "Complete" if script.task_ends else "Failed"
            self._end_job(namespace, pod["metadata"]["ownerReferences"][0]["name"], kind)

    def _drive(self, job: Object) -> None:
        """Do what a driver does, while its pod runs."""
        if (job.get("status") or {}).get("conditions"):
            return
        namespace, name = job["metadata"]["namespace"], job["metadata"]["labels"][INSTANCE]
        pods = [each for each in self._drivers(job) if each["status"]["phase"] == "Running"]
        if not pods or self._script.silent or not _ready(pods[0]):
            return
        config = self._store.find(MAPS, namespace, name)
        published = self._store.find(MAPS, namespace, f"{name}-status")
        if config is None or published is None:
            return
        text = (published.get("data") or {}).get("status.json")
        before = _read(text) if text else None
        status = self._next_status(namespace, name, before)
        request = json.loads((config["metadata"].get("annotations") or {}).get("esmm-dist/wish", "null"))
        if request and not self._script.deaf:
            status = replace(status, state="stopped", checkpoint_step=status.step, checkpoint_at=time.time())
            status = replace(status, ranks=0, workers=(), servers=())
        elif self._script.fails:
            status = replace(status, state="failed", error=self._script.fails)
        elif status.step >= self._script.steps:
            status = replace(status, state="done")
        self._store.patch(MAPS, namespace, f"{name}-status", {"data": {"status.json": status.to_json()}})
        if before is None or before.ranks != status.ranks:
            self._write(namespace, pods[0]["metadata"]["name"], f"{status.ranks} ranks train from step {status.step}")
        if status.ended:
            self._write(namespace, pods[0]["metadata"]["name"], f"the run is {status.state}")
            is_mpijob = self._store.find(MPI_JOBS, namespace, name) is not None
            for each in ("server",) if is_mpijob else ("server", "worker"):
                self._store.scale(SETS, namespace, f"{name}-{each}", 0)
            pods[0]["status"]["phase"] = "Succeeded"
            pods[0]["status"]["conditions"] = []
            if is_mpijob:
                ended = {"status": {"conditions": [{"type": "Succeeded", "status": "True"}]}}
                self._store.patch(MPI_JOBS, namespace, name, ended)
            else:
                self._end_job(namespace, job["metadata"]["name"], "Complete")

    def _next_status(self, namespace: str, name: str, before: RunStatus | None) -> RunStatus:
        ready = {
            kind: [
                each["metadata"]["name"]
                for each in self._store.all(PODS, namespace, f"{INSTANCE}={name},{COMPONENT}={kind}")
                if _ready(each)
            ]
            for kind in ("worker", "server")
        }
        mpijob = self._store.find(MPI_JOBS, namespace, name)
        if mpijob is None:
            wanted = int(self._store.get(SETS, namespace, f"{name}-worker")["spec"].get("replicas", 1))
        else:
            wanted = int(mpijob["spec"]["mpiReplicaSpecs"]["Worker"]["replicas"])
        ranks = min(wanted, len(ready["worker"])) if ready["server"] else 0
        now = time.time()
        step = (before.step if before else 0) + (10 if ranks else 0)
        workers = [
            WorkerStatus(name=each, state="running", rank=i, phase="training", step=step, starts=1)
            for i, each in enumerate(ready["worker"][:ranks])
        ]
        servers = [ServerStatus(index=i, address=each, state="serving") for i, each in enumerate(ready["server"])]
        return RunStatus(
            run="/mnt/claims/esmm/runs/small-cpu",
            state="running" if ranks else "starting",
            written_at=now,
            started_at=before.started_at if before else now,
            driver_pid=1,
            ranks=ranks,
            wanted_workers=wanted,
            max_workers=4,
            step=step,
            total_steps=self._script.steps,
            workers=workers,
            servers=servers,
        )

    def _end_job(self, namespace: str, name: str, kind: str) -> None:
        message = "" if kind == "Complete" else "Job has reached the specified backoff limit"
        condition = {"type": kind, "status": "True", "reason": "BackoffLimitExceeded", "message": message}
        self._store.patch(JOBS, namespace, name, {"status": {"conditions": [condition]}})

    def _delete(self, pod: Object) -> None:
        if self._script.lingering:
            return
        self._store.delete(PODS, pod["metadata"]["namespace"], pod["metadata"]["name"])

    def _event(self, namespace: str, kind: str, name: str, reason: str, message: str) -> None:
        event: Object = {
            "metadata": {"name": f"{name}.{reason.lower()}"},
            "involvedObject": {"kind": kind, "name": name, "namespace": namespace},
            "reason": reason,
            "message": message,
            "type": "Warning",
            "lastTimestamp": stamp(),
        }
        try:
            self._store.create(EVENTS, namespace, event)
        except Refusal:
            self._store.patch(EVENTS, namespace, event["metadata"]["name"], event)


def _ready(pod: Object) -> bool:
    states: list[Object] = pod["status"].get("containerStatuses") or []
    return any(each["ready"] for each in states)


def _read(text: str) -> RunStatus:
    return parse_status(text.encode())


def line_stamp() -> str:
    """As the API puts it in front of a line."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
