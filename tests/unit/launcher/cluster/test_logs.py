"""``esmm logs`` of a job of a cluster: each line once, over pods and containers that come one after the other."""

from typing import Any

import pytest

from esmm_dist.errors import ConfigError
from launcher.cluster.api.errors import ClusterError
from launcher.cluster.logs import LogReader, find_process, logs
from launcher.cluster.snapshot import read_snapshot
from tests.unit.launcher.cluster.played_api import NAMESPACE, PlayedApi, PlayedJob
from tests.unit.launcher.run_files.statuses import make_status


def pod(name: str, *, restarts: int = 0, made: str = "2026-01-01T10:00:00Z") -> dict[str, Any]:
    containers = [{"name": "worker", "restartCount": restarts}]
    metadata = {"name": name, "uid": f"uid-{name}", "creationTimestamp": made}
    return {"metadata": metadata, "status": {"containerStatuses": containers}}


def line(second: int, text: str) -> str:
    return f"2026-01-01T10:00:{second:02}.123456789Z {text}"


@pytest.fixture
def api() -> PlayedApi:
    return PlayedApi()


def test_each_line_is_read_once_though_its_second_is_asked_for_again(api):
    reader = LogReader(api)
    api.lines["a"] = [line(1, "one"), line(1, "two")]
    assert reader.read([pod("a")]) == ["one", "two"]
    api.lines["a"] = [line(1, "one"), line(1, "two"), f"2026-01-01T10:00:01.2{'0' * 8}Z three", line(2, "four")]
    assert reader.read([pod("a")]) == ["three", "four"]
    assert reader.read([pod("a")]) == []


def test_only_what_is_new_since_the_last_second_is_asked_for(api, monkeypatch):
    asked: list[str] = []

    def answer(pod: str, *, since: str = "", previous: bool = False, tail: int | None = None) -> list[str]:
        asked.append(since)
        return [line(7, "one")]

    monkeypatch.setattr(api, "logs", answer)
    reader = LogReader(api)
    reader.read([pod("a")])
    reader.read([pod("a")])
    assert asked == ["", "2026-01-01T10:00:07Z"]


def test_pods_that_hold_a_place_one_after_the_other_are_read_oldest_first(api):
    api.lines |= {"new": [line(9, "second life")], "old": [line(1, "first life")]}
    pods = [pod("new", made="2026-01-01T10:00:08Z"), pod("old")]
    assert LogReader(api).read(pods) == ["first life", "second life"]


def test_a_container_that_was_started_again_shows_what_the_one_before_wrote(api):
    api.lines |= {"a before": [line(1, "dies")], "a": [line(5, "lives")]}
    reader = LogReader(api)
    assert reader.read([pod("a", restarts=1)]) == ["dies", "lives"]
    assert reader.read([pod("a", restarts=1)]) == []


@pytest.mark.parametrize("status", [400, 404])
def test_a_container_that_waits_to_start_has_no_lines_yet(api, status):
    api.lines["a"] = status
    assert LogReader(api).read([pod("a")]) == []
    api.lines |= {"a before": status, "a": [line(1, "one")]}
    assert LogReader(api).read([pod("a", restarts=2)]) == ["one"]


@pytest.mark.parametrize("name", ["a", "a before"])
def test_another_refusal_is_an_error(api, name):
    api.lines |= {"a": [], name: 403}
    with pytest.raises(ClusterError, match="refused with 403"):
        LogReader(api).read([pod("a", restarts=1)])


def test_lines_without_a_time_are_counted_instead(api):
    reader = LogReader(api)
    api.lines["a"] = ["one"]
    assert reader.read([pod("a")]) == ["one"]
    api.lines["a"] = ["one", "two"]
    assert reader.read([pod("a")]) == ["two"]
    api.lines |= {"a before": ["one", "two"], "a": ["three"]}
    assert reader.read([pod("a", restarts=1)]) == ["one", "two", "three"]
    assert reader.read([pod("a", restarts=1)]) == []


@pytest.mark.parametrize(("tail", "expected"), [(None, ["1", "2", "3"]), (2, ["2", "3"]), (0, [])])
def test_a_tail_is_of_the_first_read_only(api, tail, expected):
    api.lines["a"] = [line(i, str(i)) for i in (1, 2, 3)]
    reader = LogReader(api, tail=tail)
    assert reader.read([pod("a")]) == expected
    api.lines["a"] = [line(i, str(i)) for i in (4, 5, 6)]
    assert reader.read([pod("a")]) == ["4", "5", "6"]


@pytest.fixture
def job() -> PlayedJob:
    made = PlayedJob()
    made.publish(make_status())
    return made


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        (None, ("driver", None)),
        ("driver", ("driver", None)),
        ("worker-3", ("worker", "nightly-worker-3")),
        ("server-0", ("server", "nightly-server-0")),
        ("rank-1", ("worker", "worker-1")),  # as the status names it
    ],
)
def test_a_word_names_a_component_and_where_it_is_fixed_the_pod(job, which, expected):
    assert find_process(read_snapshot(job.api, job.name), which) == expected


def test_a_rank_that_nobody_has_is_named_with_those_that_there_are(job):
    with pytest.raises(ConfigError, match=r"\(running\) has no rank 7 now\. Its ranks: 0, 1\. --worker 7 shows"):
        find_process(read_snapshot(job.api, job.name), "rank-7")
    fresh = PlayedJob()
    with pytest.raises(ConfigError, match=r"\(pending\) has no rank 0 now\. Its ranks: none"):
        find_process(read_snapshot(fresh.api, fresh.name), "rank-0")


def test_a_task_of_one_pod_has_no_processes_to_choose_from():
    job = PlayedJob("preprocess")
    snapshot = read_snapshot(job.api, job.name)
    assert find_process(snapshot, None) == ("task", None)
    with pytest.raises(ConfigError, match="is a preprocess job, which runs in one pod: leave out --rank, --worker"):
        find_process(snapshot, "worker-0")


def read(job: PlayedJob, which: str | None, *, follow: bool, said: list[str] | None = None) -> list[str]:
    say = (lambda text: None) if said is None else said.append
    return list(logs(job.api, job.name, which, follow=follow, tail=None, say=say))


def test_a_pod_that_is_gone_is_an_error_that_names_those_that_are_there(job):
    job.remove_pods("worker")
    with pytest.raises(ConfigError) as failure:
        read(job, "worker-1", follow=False)
    assert "has no pod of worker-1 now, so its lines are gone with it" in str(failure.value)
    assert "Its pods: driver-0, server-0, server-1." in str(failure.value)
    job.remove_pods("driver", "server")
    with pytest.raises(ConfigError, match="Its pods: none"):
        read(job, None, follow=False)


def test_lines_are_followed_until_the_job_has_ended_and_why_there_are_none_is_said_once(job, monkeypatch):
    said: list[str] = []
    steps = iter(
        [
            lambda: None,
            lambda: job.api.lines.update({"nightly-driver-0": [line(1, "one")]}),
            lambda: job.publish(make_status("done")),
        ]
    )
    monkeypatch.setattr("launcher.cluster.logs.time.sleep", lambda seconds: next(steps)())
    assert read(job, "driver", follow=True, said=said) == ["one"]
    assert said == ["no lines yet"]


def test_the_trouble_that_keeps_a_process_from_writing_is_said(job, monkeypatch):
    job.remove_pods("worker")
    message = "0/1 nodes are available."
    unplaced = {"type": "PodScheduled", "status": "False", "message": message}
    job.api.store.create(
        "pods",
        NAMESPACE,
        {
            "metadata": {
                "name": "nightly-worker-0",
                "labels": {"app.kubernetes.io/instance": "nightly", "app.kubernetes.io/component": "worker"}
                | {"app.kubernetes.io/name": "esmm-dist"},
            },
            "status": {"phase": "Pending", "conditions": [unplaced]},
        },
    )
    said: list[str] = []
    monkeypatch.setattr("launcher.cluster.logs.time.sleep", lambda seconds: job.publish(make_status("stopped")))
    job.api.lines["nightly-worker-0"] = 400
    assert read(job, "worker-0", follow=True, said=said) == []
    assert said == ["worker-0 cannot be placed on a node: 0/1 nodes are available"]
