"""What is asked of the cluster before a job is made there: whether all is there that its pods need."""

from collections.abc import Sequence

from esmm_dist.errors import ConfigError
from esmm_dist.progress import Progress
from launcher.cluster import names
from launcher.cluster.api import kinds
from launcher.cluster.api.client import Api
from launcher.cluster.api.errors import ClusterError
from launcher.cluster.api.kinds import Object
from launcher.cluster.job_file import JobFile
from launcher.cluster.objects.all import needed

POD_OWNERS = ("StatefulSet", "Job", "Deployment")

MAKE = {
    "Secret": "Make it (kubectl create secret), or correct the name.",
    "PersistentVolumeClaim": "Make it, or have submit make it: cluster.claims: {NAME: {size: 100Gi}}.",
    "PriorityClass": "Name one of kubectl get priorityclass, or leave it out.",
}
NEEDED = {"Secret": kinds.SECRET, "PersistentVolumeClaim": kinds.CLAIM, "PriorityClass": kinds.PRIORITY_CLASS}


PROXIES = ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy")
"""Variables that name a proxy, in small or capital letters."""


def proxy_warning(job: JobFile) -> str | None:
    """Return what to know of a job whose pods get a proxy in their environment; None if they get none."""
    found = [name for name in job.cluster.env if name.lower() in PROXIES]
    if not found:
        return None
    return (
        f"cluster.env sets {', '.join(found)}. Calls between the job's pods, and to the cluster's API, never go to a "
        "proxy; those to an object store may, and those of your own code do. Name in no_proxy what must be reached "
        "without it."
    )


def check_name_is_free(api: Api, job: str) -> None:
    """Check that no job has this name yet.

    Raises:
        ConfigError: There is one.
    """
    found = api.find(kinds.CONFIG_MAP, names.config(job))
    if found is None:
        return
    if (found["metadata"].get("labels") or {}).get(names.NAME) != names.APP:
        raise ConfigError(
            f"Namespace {api.namespace} has a ConfigMap '{job}' of something else, and a job's is called as the job. "
            "Give the job another name."
        )
    raise taken(job, api.namespace)


def taken(job: str, namespace: str) -> ConfigError:
    """Return the error for a name that a job has already."""
    return ConfigError(
        f"There is a job '{job}' in namespace {namespace} already. esmm resume {job} goes on with it, esmm delete "
        f"{job} removes it (its run and its claims stay); or give this one another name."
    )


def check_needed(api: Api, job: JobFile, progress: Progress) -> None:
    """Check what the job refers to. What this user may not see is left to the cluster.

    Raises:
        ConfigError: Something is not there.
    """
    _check_namespace(api)
    for each in needed(job):
        resource = NEEDED[each.kind]
        try:
            found = api.find(resource, each.name)
        except ClusterError as e:
            if e.http_status != 403:
                raise
            progress.message(f"{each.kind} {each.name} ({each.setting}) cannot be checked: {e}")
            continue
        if found is None:
            where = f" in namespace {api.namespace}" if resource.namespaced else ""
            raise ConfigError(
                f"{each.setting} names {each.kind} {each.name}, which does not exist{where}. "
                f"{MAKE[each.kind].replace('NAME', each.name)}"
            )
    config = job.cluster
    for wanted, resource, setting, who in (
        (config.backend == "mpijob", kinds.MPI_JOB, "backend: mpijob", "Kubeflow's MPI operator (v2beta1)"),
        (config.service_monitor, kinds.SERVICE_MONITOR, "service_monitor: true", "the Prometheus operator"),
    ):
        if wanted and not api.knows(resource):
            raise ConfigError(
                f"cluster has {setting}, which needs {who}; the cluster at {api.host} does not know {resource.plural} "
                f"of {resource.api_version}. Leave it out, or have the operator installed."
            )


def check_objects(api: Api, manifests: Sequence[Object], progress: Progress, *, exists: bool = False) -> None:
    """Have the cluster check each object, and each template as a pod, and keep nothing: rights, quota, fields.

    Args:
        api: the cluster
        manifests: the objects
        progress: receives each object
        exists: whether the job is there already, and only the templates of its pods can be checked

    Raises:
        ClusterError: It would refuse one.
    """
    for manifest in manifests:
        try:
            api.create(manifest, dry_run=True)
        except ClusterError as e:
            if not (exists or manifest["kind"] == "PersistentVolumeClaim") or e.reason != "AlreadyExists":
                raise
        progress.advance(1, f"checked {manifest['kind']} {manifest['metadata']['name']}")
        for name, template in _templates(manifest):
            _check_template(api, name, template)


def _templates(owner: Object) -> list[tuple[str, Object]]:
    """Return the templates of an object that makes pods, each with the name that one of its pods could have."""
    name = owner["metadata"]["name"]
    if owner["kind"] == "MPIJob":
        replicas = owner["spec"]["mpiReplicaSpecs"]
        return [(f"{name}-{kind.lower()}-0", each["template"]) for kind, each in replicas.items()]
    if owner["kind"] == "CronJob":
        return [(f"{name}-0", owner["spec"]["jobTemplate"]["spec"]["template"])]
    return [(f"{name}-0", owner["spec"]["template"])] if owner["kind"] in POD_OWNERS else []


def _check_template(api: Api, name: str, template: Object) -> None:
    """Send a template as a pod: Kubernetes up to 1.2x accepts sets whose pods it then refuses."""
    # The account is not there yet, and a pod without one would be refused
    spec = {key: value for key, value in template["spec"].items() if key not in ("serviceAccountName",)}
    spec.setdefault("restartPolicy", "Always")
    spec["automountServiceAccountToken"] = False
    metadata = {**template["metadata"], "name": name}
    try:
        api.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}, dry_run=True)
    except ClusterError as e:
        # Who may make sets need not be one who may make pods; and 409: a pod of before is about to go
        if e.reason not in ("NoRight", "AlreadyExists"):
            raise


def _check_namespace(api: Api) -> None:
    try:
        found = api.find(kinds.NAMESPACE, api.namespace)
    except ClusterError as e:
        if e.http_status != 403:  # namespaces are seldom for users to see
            raise
        return
    if found is None:
        raise ConfigError(
            f"Namespace {api.namespace} does not exist in the cluster at {api.host}. Name another with --namespace, or "
            "have it made."
        )
    if (found.get("status") or {}).get("phase") == "Terminating":
        raise ConfigError(f"Namespace {api.namespace} is about to be deleted. Name another with --namespace.")
