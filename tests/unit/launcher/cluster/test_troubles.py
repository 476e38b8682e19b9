"""What pods, owners and events tell a reader, and what they no longer tell him."""

from typing import Any

import pytest

from launcher.cluster.troubles import find_troubles

POD = "nightly-worker-1"
REFUSED = 'pods "x" is forbidden: exceeded quota: team'


def _pod(name: str, owner: tuple[str, str], made: str = "2026-01-01T10:00:00Z", **status: Any) -> dict[str, Any]:
    references = [{"kind": owner[0], "name": owner[1]}]
    return {
        "metadata": {"name": name, "creationTimestamp": made, "ownerReferences": references},
        "status": {"phase": "Running", **status},
    }


def _event(reason: str, message: str, at: str, kind: str = "StatefulSet", name: str = "nightly-worker") -> Any:
    about = {"kind": kind, "name": name}
    return {"reason": reason, "message": message, "lastTimestamp": at, "involvedObject": about}


def _set_troubles(events: list[Any], pods: list[Any]) -> list[str]:
    owner = {"kind": "StatefulSet", "metadata": {"name": "nightly-worker"}, "spec": {"replicas": 2}}
    return find_troubles("nightly", pods=pods, events=events, owners=[owner])


FIRST = _pod("nightly-worker-0", ("StatefulSet", "nightly-worker"))
FAILED = _event(
    "FailedCreate", f"create Pod {POD} in StatefulSet nightly-worker failed error: {REFUSED}", "2026-01-01T10:00:00Z"
)


def test_a_pod_that_cannot_be_made_is_a_trouble():
    assert _set_troubles([FAILED], [FIRST]) == ["worker pods are over the namespace's quota: team"]


@pytest.mark.parametrize(
    ("pod", "at", "held_up"),
    [
        (POD, "2026-01-01T10:00:09Z", False),
        (POD, "2026-01-01T10:00:00Z", True),  # the order within a second is not known
        (POD, "2026-01-01T09:59:59Z", True),
        ("nightly-worker-0", "2026-01-01T10:00:09Z", True),  # another pod
        ("nightly-worker-11", "2026-01-01T10:00:09Z", True),
    ],
)
def test_a_pod_that_was_made_later_is_no_trouble_any_more(pod, at, held_up):
    made = _event("SuccessfulCreate", f"create Pod {pod} in StatefulSet nightly-worker successful", at)
    assert bool(_set_troubles([FAILED, made], [FIRST])) == held_up


def test_of_two_pods_that_could_not_be_made_the_one_that_is_still_missing_is_told():
    other = _event(
        "FailedCreate",
        "create Pod nightly-worker-0 in StatefulSet nightly-worker failed error: b",
        "2026-01-01T10:00:02Z",
    )
    made = {**FIRST, "metadata": {**FIRST["metadata"], "creationTimestamp": "2026-01-01T10:00:05Z"}}
    assert _set_troubles([FAILED, other], [made]) == ["worker pods are over the namespace's quota: team"]


def _job_troubles(events: list[Any], pods: list[Any], conditions: list[Any] | None = None) -> list[str]:
    owner = {
        "kind": "Job",
        "metadata": {"name": "nightly-driver", "labels": {"app.kubernetes.io/component": "driver"}},
        "status": {"conditions": conditions or []},
    }
    return find_troubles("nightly", pods=pods, events=events, owners=[owner])


def test_a_job_whose_event_names_no_pod_is_in_trouble_until_any_of_its_pods_was_made():
    failed = _event("FailedCreate", f"Error creating: {REFUSED}", "2026-01-01T10:00:00Z", "Job", "nightly-driver")
    assert _job_troubles([failed], []) == ["driver pods are over the namespace's quota: team"]
    made = _event("SuccessfulCreate", "Created pod: nightly-driver-x", "2026-01-01T10:00:01Z", "Job", "nightly-driver")
    assert _job_troubles([failed, made], []) == []


def test_a_job_that_failed_for_good_says_what_its_last_pod_wrote():
    def ended(name: str, made: str, message: str) -> Any:
        states = [{"name": "driver", "state": {"terminated": {"exitCode": 1, "message": message}}}]
        pod = _pod(name, ("Job", "nightly-driver"), made, phase="Failed", containerStatuses=states)
        pod["metadata"]["labels"] = {"app.kubernetes.io/component": "driver"}
        return pod

    pods = [ended("b", "2026-01-01T10:05:00Z", "a\nb\n\nc\nd\n"), ended("a", "2026-01-01T10:00:00Z", "old")]
    condition = {"type": "Failed", "status": "True", "message": "Job has reached the specified backoff limit"}
    [told] = _job_troubles([], pods, [condition])
    assert told == "driver has failed for good: Job has reached the specified backoff limit; it says: b / c / d"


def test_a_crash_is_told_with_the_last_lines():
    state = {
        "name": "worker",
        "restartCount": 3,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": {"exitCode": 1, "message": f"{'x' * 999}\nValueError: no such file\n"}},
    }
    pod = _pod(POD, ("StatefulSet", "nightly-worker"), containerStatuses=[state])
    [told] = find_troubles("nightly", pods=[pod], events=[], owners=[])
    assert told.startswith("worker-1 crashes: exit code 1, started 4 times; it says: xxx")
    assert told.endswith("x / ValueError: no such file")
    assert len(told) < 500


def test_a_copy_of_data_that_fails_is_told_with_what_it_says():
    wrong = {"reason": "Error", "exitCode": 1, "message": "esmm: s3://clicks/data cannot be listed: ACCESS_DENIED."}
    state = {"waiting": {"reason": "CrashLoopBackOff"}}
    init = {"name": "fetch", "state": state, "lastState": {"terminated": wrong}, "restartCount": 2, "ready": False}
    copies = init | {"state": {"running": {"startedAt": "2026-11-26T10:00:00Z"}}, "restartCount": 0}
    waits = {"name": "worker", "state": {"waiting": {"reason": "PodInitializing"}}, "restartCount": 0, "ready": False}
    pod = {
        "metadata": {"name": "nightly-worker-0", "labels": {"app.kubernetes.io/component": "worker"}},
        "status": {"phase": "Pending", "initContainerStatuses": [init], "containerStatuses": [waits]},
    }
    [told] = find_troubles("nightly", pods=[pod], events=[], owners=[])
    assert told.startswith(
        "worker-0 cannot copy its data: exit code 1, started 3 times; it says: esmm: s3://clicks/data"
    )
    pod["status"]["initContainerStatuses"] = [copies]  # type: ignore[index]
    found = find_troubles("nightly", pods=[pod], events=[], owners=[])
    assert found == ["worker-0 copies its data, since 2026-11-26T10:00:00Z"]
