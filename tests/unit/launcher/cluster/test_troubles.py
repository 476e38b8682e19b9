"""What pods, owners and events tell a reader, and what they no longer tell him."""

from typing import Any

import pytest

from launcher.cluster.troubles import find_troubles, short_name

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


RUNNING = {"running": {"startedAt": "2026-01-01T10:00:00Z"}}


def _labelled(component: str, name: str, **status: Any) -> dict[str, Any]:
    metadata = {"name": name, "labels": {"app.kubernetes.io/component": component}}
    containers = [{"name": component, "image": "esmm:1"}]
    return {"metadata": metadata, "spec": {"containers": containers}, "status": {"phase": "Running", **status}}


def _worker(name: str = "nightly-worker-0", **status: Any) -> dict[str, Any]:
    return _labelled("worker", name, **status)


def _container(**states: Any) -> dict[str, Any]:
    return {"containerStatuses": [{"name": "worker", **states}]}


def _troubles(*pods: Any, events: Any = (), owners: Any = ()) -> list[str]:
    return find_troubles("nightly", pods=pods, events=events, owners=owners)


def _ended(code: int, **more: Any) -> dict[str, Any]:
    return {"terminated": {"exitCode": code, **more}}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, []),
        ({"phase": "Failed", "reason": "Evicted", "message": "low on memory. "}, ["was evicted: low on memory"]),
        (
            {"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/3 nodes.\n1 taint."}]},
            ["cannot be placed on a node: 0/3 nodes. 1 taint"],
        ),
        (
            {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]},
            ["cannot be placed on a node: Unschedulable"],
        ),
        ({"conditions": [{"type": "PodScheduled", "status": "True"}]}, []),
        (
            _container(state={"waiting": {"reason": "ErrImagePull", "message": "no such host"}}),
            ["cannot pull image esmm:1 (ErrImagePull: no such host). Check cluster.image and cluster.pull_secrets"],
        ),
        (
            _container(state={"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "s" not found'}}),
            ['cannot be started (CreateContainerConfigError: secret "s" not found)'],
        ),
        (_container(state={"waiting": {"reason": "ContainerCreating"}}), []),
        (
            _container(state={"waiting": {"reason": "CrashLoopBackOff"}}, lastState=_ended(78), restartCount=1),
            ["crashes: exit code 78, started 2 times"],
        ),
        (
            _container(
                state={"waiting": {"reason": "CrashLoopBackOff"}},
                lastState=_ended(137, reason="OOMKilled"),
                restartCount=4,
            ),
            [
                "crashes: killed because it held more memory than its limit (OOMKilled); raise its memory in the job "
                "file, started 5 times"
            ],
        ),
        (
            _container(state=_ended(139), restartCount=2),
            ["crashes: exit code 139 (a segmentation fault), started 3 times"],
        ),
        # What has ended once is what elastic runs are made for, as is what ended well
        (_container(state=RUNNING, lastState=_ended(1), restartCount=1), []),
        (_container(state=_ended(0), restartCount=5), []),
        # One that runs again for good is forgiven for longer
        (_container(state=RUNNING, lastState=_ended(1), restartCount=3, ready=True), []),
        (
            _container(state=RUNNING, lastState=_ended(143), restartCount=4, ready=True),
            ["crashes: exit code 143 (terminated by SIGTERM), started 5 times"],
        ),
    ],
)
def test_what_the_state_of_a_pod_tells(status, expected):
    assert _troubles(_worker(**status)) == [f"worker-0 {text}" for text in expected]


def test_a_pod_that_has_done_its_work_or_is_going_has_no_troubles():
    unplaced: Any = {"conditions": [{"type": "PodScheduled", "status": "False", "message": "full"}]}
    assert _troubles(_worker(phase="Succeeded", **unplaced)) == []
    going = _worker(**unplaced)
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert _troubles(going) == []


def test_the_last_lines_of_a_process_that_ended_are_shown():
    said = _ended(1, message="step 1\n\nstep 2\nstep 3\nesmm: the disk is full.\n")
    [trouble] = _troubles(_worker(**_container(state=said, restartCount=2)))
    assert (
        trouble == "worker-0 crashes: exit code 1, started 3 times; it says: step 2 / step 3 / esmm: the disk is full"
    )
    [trouble] = _troubles(_worker(**_container(state=_ended(1, message="x" * 1000), restartCount=2)))
    assert trouble.endswith(f"; it says: {'x' * 400}")


def test_a_copy_of_the_data_is_told_while_it_runs_and_when_it_fails():
    copies: Any = {"initContainerStatuses": [{"name": "fetch", "state": {"running": {"startedAt": "10:00"}}}]}
    assert _troubles(_worker(**copies)) == ["worker-0 copies its data, since 10:00"]
    fails: Any = {"initContainerStatuses": [{"name": "fetch", "state": _ended(1), "restartCount": 2}]}
    assert _troubles(_worker(**fails)) == ["worker-0 cannot copy its data: exit code 1, started 3 times"]


def test_why_an_image_cannot_be_pulled_is_in_the_event_before_the_back_off():
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}}
    event = _event("Failed", "Failed to pull image: not found", "2026-01-01T10:00:00Z", "Pod", "nightly-worker-0")
    [trouble] = _troubles(_worker(**_container(state=waiting)), events=[event])
    assert "(ImagePullBackOff: Failed to pull image: not found)" in trouble
    [trouble] = _troubles(_worker(**_container(state=waiting)))
    assert "(ImagePullBackOff: Back-off pulling image)" in trouble


def test_a_volume_is_waited_for_only_until_a_container_runs():
    event = _event("FailedMount", "no such volume.", "2026-01-01T10:00:00Z", "Pod", "nightly-worker-0")
    waits = _container(state={"waiting": {"reason": "ContainerCreating"}})
    assert _troubles(_worker(**waits), events=[event]) == ["worker-0 waits for a volume: no such volume"]
    assert _troubles(_worker(**_container(state=RUNNING)), events=[event]) == []


def test_pods_with_the_same_trouble_are_told_together_and_many_are_counted():
    crash = _container(state=_ended(1), restartCount=2)
    three = [_worker(f"nightly-worker-{i}", **crash) for i in range(3)]
    assert _troubles(*three)[0].startswith("worker-0, worker-1, worker-2 crashes: ")
    five = [_worker(f"nightly-worker-{i}", **crash) for i in range(5)]
    assert _troubles(*five)[0].startswith("worker-0, worker-1 and 3 more crashes: ")
    assert len(_troubles(*five)) == 1


@pytest.mark.parametrize("kind", ["Job", "MPIJob"])
def test_a_job_that_has_failed_for_good_tells_how_its_last_pod_ended(kind):
    conditions = [{"type": "Failed", "status": "True", "message": "Job has reached the specified backoff limit"}]
    owner = _labelled("driver", "nightly-driver", conditions=conditions) | {"kind": kind}
    pods = [
        _labelled("driver", f"nightly-driver-{i}", phase="Failed", containerStatuses=[{"name": "d", "state": ended}])
        for i, ended in enumerate([_ended(1, message="first"), _ended(1, message="last")])
    ]
    for number, pod in enumerate(pods):
        pod["metadata"]["creationTimestamp"] = f"2026-01-01T10:00:0{number}Z"
    assert _troubles(owners=[owner]) == ["driver has failed for good: Job has reached the specified backoff limit"]
    [trouble, *_] = _troubles(*pods, owners=[owner])
    assert trouble.endswith("backoff limit; it says: last")


@pytest.mark.parametrize(
    ("thing", "expected"),
    [
        (_labelled("driver", "nightly-driver-x7f2p"), "driver"),
        (_labelled("task", "nightly-task-x7f2p"), "task"),
        (_labelled("worker", "nightly-worker-3"), "worker-3"),
        (_labelled("server", "nightly-server"), "server"),
    ],
)
def test_a_reader_calls_an_object_by_its_place_in_the_job(thing, expected):
    assert short_name("nightly", thing) == expected
