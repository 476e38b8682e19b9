"""The jobs of a namespace, or of all namespaces."""

from esmm_dist.errors import ConfigError
from launcher.cluster import names
from launcher.cluster.api import kinds
from launcher.cluster.api.client import Api
from launcher.cluster.api.errors import ClusterError
from launcher.cluster.api.kinds import Object, Resource
from launcher.cluster.job_file import JobFile, read_job
from launcher.cluster.snapshot import driver_resource, published_status, state_of
from launcher.run_files.job import JobRow


def cluster_jobs(api: Api, *, everywhere: bool = False) -> list[JobRow]:
    """Return the jobs, by namespace and name.

    Raises:
        ClusterError: The cluster cannot be reached, or refuses.
    """
    configs = api.all(kinds.CONFIG_MAP, names.ALL_JOBS_QUERY, everywhere=everywhere)
    by_name = {_key(each): each for each in configs}
    query = f"{names.NAME}={names.APP}"
    drivers = {(kinds.JOB.kind, *_key(each)): each for each in api.all(kinds.JOB, query, everywhere=everywhere)}
    pods = api.all(kinds.POD, query, everywhere=everywhere)
    files = {key: _file(each) for key, each in by_name.items() if names.JOB_KEY in (each.get("data") or {})}
    if any(file is not None and file.schedule is not None for file in files.values()):
        for resource in (kinds.CRON_JOB, kinds.OLD_CRON_JOB):
            drivers |= {(kinds.CRON_JOB.kind, *_key(each)): each for each in _known(api, resource, query, everywhere)}
    if any(file is not None and file.task == "serve" for file in files.values()):
        more = api.all(kinds.DEPLOYMENT, query, everywhere=everywhere)
        drivers |= {(kinds.DEPLOYMENT.kind, *_key(each)): each for each in more}
    if any(file is not None and file.cluster.backend == "mpijob" for file in files.values()):
        more = api.all(kinds.MPI_JOB, query, everywhere=everywhere)
        drivers |= {(kinds.MPI_JOB.kind, *_key(each)): each for each in more}
    rows = []
    for key, file in sorted(files.items()):
        namespace, job = key
        since = str(by_name[key]["metadata"].get("creationTimestamp", ""))
        if file is None:
            rows.append(JobRow(job=job, where=namespace, task="?", state="unreadable", since=since))
            continue
        status = published_status(by_name.get((namespace, names.status(job))))
        resource, name = driver_resource(file)
        own = [pod for pod in pods if _key(pod)[0] == namespace and _instance(pod) == job]
        state = state_of(file, status, drivers.get((resource.kind, namespace, name)), own)
        rows.append(
            JobRow(
                job=job,
                where=namespace,
                task=file.task,
                state=state,
                ranks=status.ranks if status else None,
                step=status.step if status else None,
                total_steps=status.total_steps if status else None,
                since=since,
            )
        )
    return rows


def _known(api: Api, resource: Resource, query: str, everywhere: bool) -> list[Object]:
    """Return the objects of a kind that the cluster may not have in this version."""
    try:
        return api.all(resource, query, everywhere=everywhere)
    except ClusterError as e:
        if e.http_status == 404:
            return []
        raise


def _key(thing: Object) -> tuple[str, str]:
    return str(thing["metadata"]["namespace"]), str(thing["metadata"]["name"])


def _instance(thing: Object) -> str:
    return str((thing["metadata"].get("labels") or {}).get(names.INSTANCE))


def _file(config: Object) -> JobFile | None:
    try:
        return read_job(config["data"][names.JOB_KEY])
    except ConfigError:  # of another version of this project
        return None
