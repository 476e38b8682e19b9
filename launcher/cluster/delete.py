"""Remove a job: everything with its labels, and what it has stored only if that is said."""

from collections.abc import Sequence

from esmm_dist.errors import ConfigError
from launcher.cluster import names
from launcher.cluster.api import kinds
from launcher.cluster.api.client import Api
from launcher.cluster.api.errors import ClusterError
from launcher.cluster.api.kinds import Object, Resource
from launcher.cluster.snapshot import find_config, no_such_job
from launcher.cluster.wait import POLL_S
from launcher.command import Outcome
from launcher.terminal.wait import Wait

OWNED = (
    *(kinds.JOB, kinds.STATEFUL_SET, kinds.SERVICE, kinds.NETWORK_POLICY, kinds.ROLE_BINDING, kinds.ROLE),
    *(kinds.SERVICE_ACCOUNT, kinds.SECRET, kinds.CONFIG_MAP),
)
"""In this order: who makes pods first."""

OPTIONAL = (
    *(kinds.CRON_JOB, kinds.OLD_CRON_JOB, kinds.MPI_JOB, kinds.SERVICE_MONITOR),
    *(kinds.AUTOSCALER, kinds.OLD_AUTOSCALER, kinds.DEPLOYMENT),
    *(kinds.DISRUPTION_BUDGET, kinds.OLD_DISRUPTION_BUDGET),
)
"""What not every cluster knows, or lets a user see."""


def delete(api: Api, job: str, wait: Wait, *, keep_data: bool) -> Outcome:
    """Delete a job's objects, and wait until its pods are gone.

    Raises:
        ConfigError: There is nothing of this name.
        RetryError: Pods are left after the time.
    """
    config, labels, progress = find_config(api, job), names.label_query(job), wait.progress
    listed = [(each, _name(thing)) for each in (*OPTIONAL, *OWNED) for thing in _all(api, each, labels)]
    # Clusters that know a kind in two versions list each object in both
    found = list({(each.kind, name): (each, name) for each, name in reversed(listed)}.values())[::-1]
    claims = [_name(each) for each in api.all(kinds.CLAIM, labels)]
    if config is None and not found and (keep_data or not claims):
        left = f" It left claims: {', '.join(claims)}; --no-keep-data deletes them." if claims else ""
        raise ConfigError(f"{no_such_job(job, api.namespace)}{left}")
    doomed = found + ([] if keep_data else [(kinds.CLAIM, each) for each in claims])
    progress.start(f"delete {job}", len(doomed), "objects")
    # Its owner last: if this is interrupted, the job is still there to be deleted again
    for resource, name in sorted(doomed, key=lambda each: each == (kinds.CONFIG_MAP, names.config(job))):
        api.delete(resource, name)
        progress.advance(1, name)
    if wait.timeout_s > 0:
        _wait_for_pods(api, job, wait)
    kept = claims if keep_data else []
    line = f"Job {job} is deleted: {len(doomed)} objects, after {wait.elapsed_s:.1f} s."
    if kept:
        line += f" Its claims stay: {', '.join(kept)}."
    result = {"job": job, "objects": len(doomed), "kept_claims": kept, "seconds": wait.elapsed_s}
    return Outcome(lines=[line], result=result)


def _all(api: Api, resource: Resource, labels: str) -> list[Object]:
    try:
        return api.all(resource, labels)
    except ClusterError as e:
        if resource in OPTIONAL and e.http_status in (403, 404):
            return []
        raise


def _wait_for_pods(api: Api, job: str, wait: Wait) -> None:
    def left() -> Sequence[str]:
        return [_name(pod) for pod in api.all(kinds.POD, names.label_query(job))]

    wait.until(
        left,
        lambda pods: not pods,
        what="all pods have ended",
        describe=lambda pods: f"left in namespace {api.namespace}: {', '.join(pods)}",
        remedy=(
            f"The objects of job {job} are deleted. Its pods have their grace period; on a node that is lost they stay "
            "until it is back or removed."
        ),
        every_s=POLL_S,
    )


def _name(thing: Object) -> str:
    return str(thing["metadata"]["name"])
