"""Remove a job: everything with its labels, and what it has stored only if that is said."""

import time
from collections.abc import Callable

from esmm_dist.errors import ConfigError, RetryError
from esmm_dist.progress import Progress
from launcher.cluster import api as kinds
from launcher.cluster import names
from launcher.cluster.api import Api, ClusterError, Object, Resource
from launcher.cluster.status import absent, find_config
from launcher.run_files.job import Done

OWNED = (
    *(kinds.JOB, kinds.STATEFUL_SET, kinds.SERVICE, kinds.NETWORK_POLICY, kinds.ROLE_BINDING, kinds.ROLE),
    *(kinds.SERVICE_ACCOUNT, kinds.SECRET, kinds.CONFIG_MAP),
)
"""In this order: who makes pods first."""

OPTIONAL = (kinds.MPI_JOB, kinds.SERVICE_MONITOR, kinds.DISRUPTION_BUDGET, kinds.OLD_DISRUPTION_BUDGET)
"""What not every cluster knows, or lets a user see."""


def delete(
    api: Api,
    job: str,
    *,
    keep_data: bool,
    wait_s: float,
    progress: Progress,
    sleep: Callable[[float], None] = time.sleep,
) -> Done:
    """Delete a job's objects, and wait until its pods are gone.

    Raises:
        ConfigError: There is nothing of this name.
        RetryError: Pods are left after the time.
    """
    config, labels = find_config(api, job), names.label_query(job)
    found = [(each, _name(thing)) for each in (*OPTIONAL, *OWNED) for thing in _all(api, each, labels)]
    claims = [_name(each) for each in api.all(kinds.CLAIM, labels)]
    if config is None and not found and (keep_data or not claims):
        left = f" It left claims: {', '.join(claims)}; --no-keep-data deletes them." if claims else ""
        raise ConfigError(f"{absent(job, api.namespace)}{left}")
    start = time.monotonic()
    doomed = found + ([] if keep_data else [(kinds.CLAIM, each) for each in claims])
    progress.start(f"delete {job}", len(doomed), "objects")
    # Its owner last: if this is interrupted, the job is still there to be deleted again
    for resource, name in sorted(doomed, key=lambda each: each == (kinds.CONFIG_MAP, names.config(job))):
        api.delete(resource, name)
        progress.advance(1, name)
    _wait(api, job, labels, wait_s, progress, sleep)
    seconds = round(time.monotonic() - start, 1)
    kept = claims if keep_data else []
    line = f"Job {job} is deleted: {len(doomed)} objects, after {seconds:.1f} s."
    if kept:
        line += f" Its claims stay: {', '.join(kept)}."
    return Done(lines=[line], result={"job": job, "objects": len(doomed), "kept_claims": kept, "seconds": seconds})


def _all(api: Api, resource: Resource, labels: str) -> list[Object]:
    try:
        return api.all(resource, labels)
    except ClusterError as e:
        if resource in OPTIONAL and e.http_status in (403, 404):
            return []
        raise


def _wait(api: Api, job: str, labels: str, wait_s: float, progress: Progress, sleep: Callable[[float], None]) -> None:
    give_up, said = time.monotonic() + wait_s, ""
    while wait_s and (left := [_name(pod) for pod in api.all(kinds.POD, labels)]):
        if time.monotonic() >= give_up:
            raise RetryError(
                f"Job {job} is deleted, but {', '.join(left)} in namespace {api.namespace} have not ended within "
                f"{wait_s:g} s. They have their grace period; on a node that is lost they stay until it is back or "
                "removed."
            )
        if (text := f"{len(left)} pods have not ended yet") != said:
            said = text
            progress.message(text)
        sleep(1.0)


def _name(thing: Object) -> str:
    return str(thing["metadata"]["name"])
