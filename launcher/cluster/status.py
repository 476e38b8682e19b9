"""What the cluster knows of a job: its objects, its pods, and what its driver has published."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from esmm_dist.errors import ConfigError
from launcher.cluster import api as kinds
from launcher.cluster import names
from launcher.cluster.api import Api, ClusterError, Object
from launcher.cluster.job_file import JobFile, read_job
from launcher.cluster.troubles import find_troubles
from launcher.run_files.job import JobStatus
from launcher.run_files.run_status import RunStatus, parse_status
from launcher.run_files.status_lines import is_stale, status_lines

STALE_S = 45.0
"""A driver publishes every 10 s at least, and clocks of machines differ."""

REMEDY = "The Job starts it again; if it does not, see below, and esmm logs JOB --driver"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A job as the API has it."""

    file: JobFile
    config: Object
    """ConfigMap J."""
    status: RunStatus | None
    """As the driver published it last; None: not yet."""
    driver: Object | None
    """The object that runs the driver or the task: a Job, or the MPIJob."""
    sets: Mapping[str, Object] = field(default_factory=dict)
    """StatefulSets by name."""
    pods: Sequence[Object] = ()
    events: Sequence[Object] = ()
    blind: str = ""
    """Why the events could not be read."""

    @property
    def job(self) -> str:
        """Its name."""
        return self.file.name

    @property
    def namespace(self) -> str:
        """Where it is."""
        return self.file.known_namespace

    @property
    def uid(self) -> str:
        """Of ConfigMap J."""
        return str(self.config["metadata"]["uid"])

    @property
    def wish(self) -> Mapping[str, Any] | None:
        """What is asked of the driver."""
        return read_wish(self.config)

    @property
    def state(self) -> str:
        """That of a ``JobStatus``."""
        return state_of(self.file, self.status, self.driver, self.pods)

    @property
    def ended(self) -> bool:
        """Whether it has come to an end of its own."""
        return self.state in ("done", "stopped", "failed")

    def pods_of(self, component: str) -> list[Object]:
        """Return its pods of one kind."""
        return [pod for pod in self.pods if (pod["metadata"].get("labels") or {}).get(names.COMPONENT) == component]


def look(api: Api, job: str) -> Seen:
    """Ask for everything that belongs to a job.

    Raises:
        ConfigError: There is no such job.
        ClusterError: The cluster cannot be reached, or refuses.
    """
    config = find_config(api, job)
    if config is None:
        raise absent(job, api.namespace)
    file = read_job(str((config.get("data") or {}).get(names.JOB_KEY, "")), where=f"ConfigMap {job}")
    file = file.in_namespace(api.namespace)
    labels = names.label_query(job)
    published = api.find(kinds.CONFIG_MAP, names.status(job)) if file.task == "train" else None
    sets = api.all(kinds.STATEFUL_SET, labels) if file.task == "train" else []
    events, blind = _events(api)
    return Seen(
        file=file,
        config=config,
        status=published_status(published),
        driver=_with_kind(find_driver(api, file)),
        sets={each["metadata"]["name"]: each | {"kind": "StatefulSet"} for each in sets},
        pods=sorted(api.all(kinds.POD, labels), key=lambda pod: str(pod["metadata"]["name"])),
        events=events,
        blind=blind,
    )


def find_config(api: Api, job: str) -> Object | None:
    """Return the ConfigMap of a job; None if there is no job of this name."""
    if not names.is_job_name(job):
        raise ConfigError(
            f"'{job}' can be no job: a name is at most {names.MOST_NAME} lower case letters, digits and '-', not "
            f"ending with '{names.RESERVED_END}'. A local run is given as a path, such as ./{job}."
        )
    found = api.find(kinds.CONFIG_MAP, names.config(job))
    if found is None or (found["metadata"].get("labels") or {}).get(names.NAME) != names.APP:
        return None
    return found


def absent(job: str, namespace: str) -> ConfigError:
    """Return the error for a job that is not there."""
    return ConfigError(
        f"There is no job '{job}' in namespace {namespace}, and no local run of this name. esmm jobs --all-namespaces "
        "lists what there is; a local run is given as a path."
    )


def driver_resource(file: JobFile) -> tuple[kinds.Resource, str]:
    """Return kind and name of the object that runs the driver, or the task."""
    if file.task != "train":
        return kinds.JOB, names.task(file.name)
    if file.cluster.backend == "mpijob":
        return kinds.MPI_JOB, names.config(file.name)
    return kinds.JOB, names.driver(file.name)


def find_driver(api: Api, file: JobFile) -> Object | None:
    """Return the object that runs the driver, or the task; None if there is none (any more)."""
    found = api.find(*driver_resource(file))
    return None if found is None or "deletionTimestamp" in found["metadata"] else found


def published_status(config: Object | None) -> RunStatus | None:
    """Return what a driver published in ConfigMap J-status; None if nothing."""
    text = ((config or {}).get("data") or {}).get(names.STATUS_KEY)
    return parse_status(text.encode()) if text else None


def read_wish(config: Object) -> Mapping[str, Any] | None:
    """Return what is asked of a job's driver."""
    text = (config["metadata"].get("annotations") or {}).get(names.WISH)
    try:
        found = json.loads(text or "null")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def state_of(file: JobFile, status: RunStatus | None, driver: Object | None, pods: Sequence[Object]) -> str:
    """Return the state of a job: that of its run, or what its Job tells."""
    if status is not None and status.ended:
        return status.state
    if driver is None:
        return "stopped"
    if condition(driver, "Failed"):
        return "failed"
    if file.task == "train":
        return "pending" if status is None else status.state
    if condition(driver, "Complete"):
        return "done"
    return "running" if any((pod.get("status") or {}).get("phase") == "Running" for pod in pods) else "pending"


def condition(thing: Object, kind: str) -> bool:
    """Return whether a condition of an object is true."""
    conditions = (thing.get("status") or {}).get("conditions") or []
    return any(each.get("type") == kind and each.get("status") == "True" for each in conditions)


def job_status(seen: Seen, now: float | None = None) -> JobStatus:
    """Return the state of a job as all backends tell it."""
    stale = seen.status is not None and not seen.ended and is_stale(seen.status, now, stale_s=STALE_S)
    return JobStatus(
        job=seen.job,
        where=f"namespace {seen.namespace}",
        state=seen.state,
        run=seen.status,
        stale=stale,
        troubles=troubles_of(seen),
        pods={} if seen.ended else ready_pods(seen),
    )


def troubles_of(seen: Seen) -> list[str]:
    """Return why a job does not go on."""
    told = [f"the run failed: {seen.status.error}"] if seen.status is not None and seen.status.error else []
    owners = [*seen.sets.values(), *([seen.driver] if seen.driver is not None else [])]
    if seen.state in ("done", "stopped"):
        return told
    if seen.ended:
        owners, pods = [each for each in owners if each["kind"] != "StatefulSet"], seen.pods_of("driver")
        pods += seen.pods_of("task")
    else:
        pods = list(seen.pods)
    told += find_troubles(seen.job, pods=pods, events=seen.events, owners=owners)
    if seen.blind and not seen.ended:
        told.append(f"why pods wait may be unknown here: {seen.blind}")
    return told


def ready_pods(seen: Seen) -> dict[str, str]:
    """Return how many pods of each kind are there and ready, of those that should be."""
    found: dict[str, str] = {}
    for component in ("server", "worker", "driver", "task"):
        pods = seen.pods_of(component)
        whole = seen.sets.get(f"{seen.job}-{component}")
        wanted = int((whole.get("spec") or {}).get("replicas") or 0) if whole is not None else min(1, len(pods))
        if component == "worker" and whole is None:
            replicas = ((seen.driver or {}).get("spec") or {}).get("mpiReplicaSpecs") or {}
            wanted = int((replicas.get("Worker") or {}).get("replicas", len(pods)))
        if wanted or pods:
            ready = sum(1 for pod in pods if condition(pod, "Ready"))
            found[component] = f"{ready} of {wanted} ready"
    return found


def job_lines(status: JobStatus, now: float | None = None) -> list[str]:
    """Return the state of a cluster job for a reader."""
    now = time.time() if now is None else now
    lines = [f"Job {status.job} in {status.where}: {status.state}"]
    if status.pods:
        lines.append("pods: " + ", ".join(f"{kind} {text}" for kind, text in status.pods.items()))
    lines += [f"trouble: {each}" for each in status.troubles]
    if status.run is not None:
        remedy = REMEDY.replace("JOB", status.job)
        lines += ["", *status_lines(status.run, now, stale_s=STALE_S, remedy=remedy)]
    elif status.state == "pending":
        lines.append("Its driver has published nothing yet.")
    return lines


def _events(api: Api) -> tuple[list[Object], str]:
    try:
        return api.all(kinds.EVENT), ""
    except ClusterError as e:
        if e.http_status != 403:
            raise
        return [], str(e)


def _with_kind(driver: Object | None) -> Object | None:
    """Add what a listing leaves out."""
    return None if driver is None else {"kind": "Job", **driver}
