"""Why a job does not go on, from its pods' conditions, container states and events: one line for each reason."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from launcher.cluster import names

Object = Mapping[str, Any]

IMAGE_REASONS = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError")
CONFIG_REASONS = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")
MANY_STARTS = 2
"""Ends of a container that are a trouble even while it runs again. Elastic runs are made to survive one end."""

MOST_LINES, MOST_WORDS = 3, 400
"""Number of last lines and characters that are shown of what a process wrote before it ended: they hold the error."""

KILLED = {137: "killed", 139: "a segmentation fault", 143: "terminated by SIGTERM"}


def find_troubles(job: str, *, pods: Sequence[Object], events: Sequence[Object], owners: Sequence[Object]) -> list[str]:
    """Return the reasons; those of StatefulSets and Jobs, which hold up most, first.

    Args:
        job: the job's name
        pods: all pods of the job
        events: events of the namespace; those of other objects do not matter
        owners: StatefulSets and Jobs of the job
    """
    by_object = _by_object(events)
    reasons: dict[str, list[str]] = {}
    for owner in owners:
        for reason in _owner_reasons(owner, pods, by_object):
            reasons.setdefault(reason, []).append(short_name(job, owner))
    for pod in pods:
        for reason in _pod_reasons(pod, by_object):
            reasons.setdefault(reason, []).append(short_name(job, pod))
    return [f"{_some(who)} {reason}" for reason, who in reasons.items()]


def short_name(job: str, thing: Object) -> str:
    """Return what a reader calls an object of a job: ``worker-0``, ``driver``, ``server``."""
    name = str(thing["metadata"]["name"])
    component = _component(thing)
    if component in ("driver", "task"):
        return component
    return name.removeprefix(f"{job}-")


def _pod_reasons(pod: Object, by_object: Mapping[tuple[str, str], Sequence[Object]]) -> Iterable[str]:
    status = pod.get("status") or {}
    if status.get("phase") == "Succeeded" or pod["metadata"].get("deletionTimestamp"):
        return
    if status.get("reason") == "Evicted":
        yield f"was evicted: {_line(status.get('message'))}"
    for each in status.get("conditions") or []:
        if each.get("type") == "PodScheduled" and each.get("status") == "False":
            yield f"cannot be placed on a node: {_line(each.get('message')) or each.get('reason')}"
    images = {each["name"]: each.get("image") for each in (pod.get("spec") or {}).get("containers") or []}
    events = by_object.get(("Pod", pod["metadata"]["name"]), ())
    states = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    for each in states:
        if each["name"] == names.FETCH and (running := (each.get("state") or {}).get("running")):
            yield f"copies its data, since {running.get('startedAt')}"
        reason = _container_reason(each, str(images.get(each["name"]) or each.get("image")), events)
        if reason:
            yield reason
    if not any((each.get("state") or {}).get("running") for each in states):
        mount = [each for each in events if each.get("reason") in ("FailedMount", "FailedAttachVolume")]
        if mount:
            yield f"waits for a volume: {_line(mount[-1].get('message'))}"


def _container_reason(container: Object, image: str, events: Sequence[Object]) -> str | None:
    state = container.get("state") or {}
    waiting = state.get("waiting") or {}
    reason = waiting.get("reason") or ""
    if reason in IMAGE_REASONS:
        # A back-off says only that it waits; the event before it says why
        told = [each for each in events if each.get("reason") == "Failed" and "pull" in str(each.get("message"))]
        why = waiting.get("message") if reason != "ImagePullBackOff" or not told else told[-1].get("message")
        return f"cannot pull image {image} ({reason}: {_line(why)}). Check cluster.image and cluster.pull_secrets"
    if reason in CONFIG_REASONS:
        return f"cannot be started ({reason}: {_line(waiting.get('message'))})"
    ended = state.get("terminated") or (container.get("lastState") or {}).get("terminated")
    starts = int(container.get("restartCount") or 0)
    if not ended or ended.get("exitCode") == 0 or (reason != "CrashLoopBackOff" and starts < MANY_STARTS):
        return None
    if container.get("ready") and starts < 2 * MANY_STARTS:
        return None
    what = "cannot copy its data" if container["name"] == names.FETCH else "crashes"
    return f"{what}: {_ending(ended)}, started {starts + 1} times{_last_words(ended)}"


def _ending(ended: Object) -> str:
    if ended.get("reason") == "OOMKilled":
        return "killed because it held more memory than its limit (OOMKilled); raise its memory in the job file"
    code = int(ended.get("exitCode") or 0)
    return f"exit code {code}" + (f" ({KILLED[code]})" if code in KILLED else "")


def _last_words(ended: Object) -> str:
    lines = [_line(each) for each in str(ended.get("message") or "").splitlines() if each.strip()]
    return f"; it says: {' / '.join(lines[-MOST_LINES:])[-MOST_WORDS:]}" if lines else ""


def _owner_reasons(
    owner: Object, pods: Sequence[Object], by_object: Mapping[tuple[str, str], Sequence[Object]]
) -> Iterable[str]:
    kind, name = str(owner["kind"]), str(owner["metadata"]["name"])
    for each in (owner.get("status") or {}).get("conditions") or []:
        if kind in ("Job", "MPIJob") and each.get("type") == "Failed" and each.get("status") == "True":
            why = _line(each.get("message")) or each.get("reason")
            yield f"has failed for good: {why}{_last_words(_last_ending(pods, owner))}"
            return
    wanted = (owner.get("spec") or {}).get("replicas", 1) if kind == "StatefulSet" else 1
    there = [pod for pod in pods if _owned(pod, kind, name)]
    events = by_object.get((kind, name), ())
    failed = [e for e in events if e.get("reason") == "FailedCreate" and not _made_since(e, events, there)]
    if len(there) < wanted and failed:
        message = _line(failed[-1].get("message"))
        if "exceeded quota" in message:
            quota = message.partition("exceeded quota: ")[2]
            yield f"pods are over the namespace's quota: {quota}"
        else:
            yield f"pods cannot be made: {message}"


def _made_since(failed: Object, events: Sequence[Object], there: Sequence[Object]) -> bool:
    """Return whether a pod that could not be made was made later: its event stays for an hour.

    A StatefulSet's event names the pod. A Job's does not, and any pod of it is the one.
    """
    named = re.search(r"create Pod (\S+) in ", str(failed.get("message")))
    made = [
        *(e for e in events if e.get("reason") == "SuccessfulCreate" and (not named or _names(e, named[1]))),
        *(pod for pod in there if not named or pod["metadata"]["name"] == named[1]),
    ]
    # To the second, which is all that some of these times have
    return any(_when(each)[:19] > _when(failed)[:19] for each in made)


def _names(event: Object, pod: str) -> bool:
    return f"create Pod {pod} in " in str(event.get("message"))


def _last_ending(pods: Sequence[Object], owner: Object) -> Object:
    """Return how the last pod that failed of a Job, or the last launcher of an MPIJob, ended."""
    failed = [
        pod
        for pod in pods
        if (pod.get("status") or {}).get("phase") == "Failed" and _component(pod) == _component(owner)
    ]
    for pod in sorted(failed, key=_when, reverse=True):
        for each in pod["status"].get("containerStatuses") or []:
            if ended := (each.get("state") or {}).get("terminated"):
                return dict(ended)
    return {}


def _component(thing: Object) -> str:
    return str((thing["metadata"].get("labels") or {}).get(names.COMPONENT))


def _owned(pod: Object, kind: str, name: str) -> bool:
    if (pod.get("status") or {}).get("phase") == "Failed" and kind == "Job":
        return False
    owners = pod["metadata"].get("ownerReferences") or []
    return any(each.get("kind") == kind and each.get("name") == name for each in owners)


def _by_object(events: Sequence[Object]) -> dict[tuple[str, str], list[Object]]:
    found: dict[tuple[str, str], list[Object]] = {}
    for each in sorted(events, key=_when):
        about = each.get("involvedObject") or {}
        found.setdefault((str(about.get("kind")), str(about.get("name"))), []).append(each)
    return found


def _when(thing: Object) -> str:
    """Return the time of an event, or of a pod's creation."""
    created = (thing.get("metadata") or {}).get("creationTimestamp")
    return str(thing.get("lastTimestamp") or thing.get("eventTime") or created or "")


def _some(who: Sequence[str]) -> str:
    if len(who) <= 3:
        return ", ".join(who)
    return f"{', '.join(who[:2])} and {len(who) - 2} more"


def _line(text: object) -> str:
    return " ".join(str(text or "").split()).rstrip(".")
