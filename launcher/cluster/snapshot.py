"""A job as the cluster has it at one moment: its objects, its pods, and what its driver has published."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from esmm_dist.errors import ConfigError
from launcher.cluster import names
from launcher.cluster.api import kinds
from launcher.cluster.api.client import Api
from launcher.cluster.api.errors import ClusterError
from launcher.cluster.api.kinds import Object
from launcher.cluster.job_file import JobFile, read_submitted_job
from launcher.cluster.schedule_runs import schedule_state
from launcher.cluster.serving_state import serving_state, why_stuck
from launcher.run_files.run_status import ENDED, RunStatus, parse_status


@dataclass(frozen=True, kw_only=True)
class JobSnapshot:
    """What the API knows of a job."""

    file: JobFile
    config: Object
    """ConfigMap J."""
    status: RunStatus | None
    """The status that the driver published last; None: not yet."""
    driver: Object | None
    """The object that runs the driver or the task: a Job, the MPIJob, the CronJob of a schedule, or the Deployment."""
    autoscaler: Object | None = None
    """The HorizontalPodAutoscaler of a job that serves; None: there is none, or it may not be read."""
    runs: Sequence[Object] = ()
    """Jobs of a schedule, one a run."""
    sets: Mapping[str, Object] = field(default_factory=dict)
    """StatefulSets by name."""
    pods: Sequence[Object] = ()
    events: Sequence[Object] = ()
    """Events of the namespace, also those of other jobs."""
    events_refusal: str = ""
    """Why the events could not be read; empty if they were."""

    @property
    def job(self) -> str:
        """Its name."""
        return self.file.name

    @property
    def namespace(self) -> str:
        """Its namespace."""
        return self.file.known_namespace

    @property
    def uid(self) -> str:
        """The uid of ConfigMap J, which owns all other objects."""
        return str(self.config["metadata"]["uid"])

    @property
    def state(self) -> str:
        """The state of a ``JobStatus``."""
        return state_of(self.file, self.status, self.driver, self.pods)

    @property
    def ended(self) -> bool:
        """Whether it has come to an end of its own."""
        return self.state in ENDED

    @property
    def rolled_out(self) -> bool | None:
        """Whether all pods of a job that serves are what its file says and ready; None: not yet, or it does not serve.

        False: they will not be, for the rolling update is stuck.
        """
        if self.file.task != "serve" or self.driver is None:
            return None
        if self.state == "running":
            return True
        return False if why_stuck(self.driver) else None

    def pods_of(self, component: str) -> list[Object]:
        """Return its pods of one kind."""
        return [pod for pod in self.pods if (pod["metadata"].get("labels") or {}).get(names.COMPONENT) == component]


def read_snapshot(api: Api, job: str) -> JobSnapshot:
    """Read everything that belongs to a job.

    Raises:
        ConfigError: There is no such job.
        ClusterError: The cluster cannot be reached, or refuses.
    """
    config = find_config(api, job)
    if config is None:
        raise ConfigError(no_such_job(job, api.namespace))
    file = read_submitted_job(str((config.get("data") or {}).get(names.JOB_KEY, "")), where=f"ConfigMap {job}")
    file = file.in_namespace(api.namespace)
    labels = names.label_query(job)
    published = api.find(kinds.CONFIG_MAP, names.status(job)) if file.task == "train" else None
    sets = api.all(kinds.STATEFUL_SET, labels) if file.task == "train" else []
    events, refusal = _read_events(api)
    return JobSnapshot(
        file=file,
        config=config,
        status=published_status(published),
        driver=_find_driver(api, file),
        autoscaler=_find_autoscaler(api, file),
        runs=[] if file.schedule is None else api.all(kinds.JOB, names.label_query(job, "task")),
        sets={each["metadata"]["name"]: each | {"kind": "StatefulSet"} for each in sets},
        pods=sorted(api.all(kinds.POD, labels), key=lambda pod: str(pod["metadata"]["name"])),
        events=events,
        events_refusal=refusal,
    )


def find_config(api: Api, job: str) -> Object | None:
    """Return the ConfigMap of a job; None if there is no job of this name.

    Raises:
        ConfigError: No job can have this name.
        ClusterError: The cluster cannot be reached, or refuses.
    """
    if not names.is_job_name(job):
        raise ConfigError(
            f"'{job}' is not a job name: use at most {names.MOST_NAME} lower case letters, digits and '-', not ending "
            f"with '{names.RESERVED_END}'. A local run is given as a path, such as ./{job}."
        )
    found = api.find(kinds.CONFIG_MAP, names.config(job))
    if found is None or (found["metadata"].get("labels") or {}).get(names.NAME) != names.APP:
        return None
    return found


def no_such_job(job: str, namespace: str) -> str:
    """Return the message for a job that does not exist."""
    return (
        f"There is no job '{job}' in namespace {namespace}, and no local run of this name. esmm jobs --all-namespaces "
        "lists the jobs that there are; a local run is given as a path."
    )


def driver_resource(file: JobFile) -> tuple[kinds.Resource, str]:
    """Return kind and name of the object that runs the driver, or the task."""
    if file.schedule is not None:
        return kinds.CRON_JOB, names.task(file.name)
    if file.task == "serve":
        return kinds.DEPLOYMENT, names.serving(file.name)
    if file.task != "train":
        return kinds.JOB, names.task(file.name)
    if file.cluster.backend == "mpijob":
        return kinds.MPI_JOB, names.config(file.name)
    return kinds.JOB, names.driver(file.name)


def published_status(config: Object | None) -> RunStatus | None:
    """Return what a driver published in ConfigMap J-status; None if nothing."""
    text = ((config or {}).get("data") or {}).get(names.STATUS_KEY)
    return parse_status(text.encode()) if text else None


def state_of(file: JobFile, status: RunStatus | None, driver: Object | None, pods: Sequence[Object]) -> str:
    """Return the state of a job: the state of its run, or what its Job or CronJob tells."""
    if file.schedule is not None:
        return schedule_state(driver)
    if file.task == "serve":
        return serving_state(driver)
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
    return "running" if any(phase_of(pod) == "Running" for pod in pods) else "pending"


def condition(thing: Object, kind: str) -> bool:
    """Return whether a condition of an object is true."""
    conditions = (thing.get("status") or {}).get("conditions") or []
    return any(each.get("type") == kind and each.get("status") == "True" for each in conditions)


def phase_of(pod: Object) -> str | None:
    """Return the phase of a pod; None before it has one."""
    phase: str | None = (pod.get("status") or {}).get("phase")
    return phase


def has_ended(pod: Object) -> bool:
    """Return whether all that ran in a pod has ended."""
    return phase_of(pod) in ("Succeeded", "Failed")


def _find_driver(api: Api, file: JobFile) -> Object | None:
    resource, name = driver_resource(file)
    found = api.find(resource, name)
    if found is None and resource is kinds.CRON_JOB:
        found = api.find(kinds.OLD_CRON_JOB, name)
    if found is None or "deletionTimestamp" in found["metadata"]:
        return None
    return {"kind": resource.kind, **found}  # a listing leaves the kind out


def _find_autoscaler(api: Api, file: JobFile) -> Object | None:
    if file.task != "serve" or not file.cluster.serve.scales_itself:
        return None
    for resource in (kinds.AUTOSCALER, kinds.OLD_AUTOSCALER):
        try:
            if (found := api.find(resource, names.serving(file.name))) is not None:
                return found
        except ClusterError as e:
            if e.http_status != 403:
                raise
    return None


def _read_events(api: Api) -> tuple[list[Object], str]:
    try:
        return api.all(kinds.EVENT), ""
    except ClusterError as e:
        if e.http_status != 403:
            raise
        return [], str(e)
