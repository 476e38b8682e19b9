"""How a job is made in a cluster in memory, and what is left of one that is refused midway."""

import pytest

from esmm_dist.errors import ConfigError
from esmm_dist.progress import NoProgress
from launcher.cluster import submit as module
from launcher.cluster.api.errors import ClusterError
from launcher.cluster.checks import check_objects
from launcher.cluster.objects.all import render
from launcher.cluster.submit import follow, submit
from tests.unit.launcher.cluster.jobs import make_job
from tests.unit.launcher.cluster.played_api import NAMESPACE, PlayedApi, PlayedJob
from tests.unit.launcher.run_files.statuses import make_status


@pytest.fixture
def api() -> PlayedApi:
    api = PlayedApi()
    api.store.objects["namespaces", NAMESPACE, NAMESPACE] = {"metadata": {"name": NAMESPACE}}
    for claim in ("clicks", "models"):
        api.store.create("persistentvolumeclaims", NAMESPACE, {"metadata": {"name": claim}})
    return api


def test_a_job_is_rendered_once_and_what_was_checked_is_what_is_made(api, monkeypatch):
    rendered = []

    def counted(*args, **more):
        rendered.append(render(*args, **more))
        return rendered[-1]

    monkeypatch.setattr(module, "render", counted)
    made = submit(api, make_job(), NoProgress())
    [drafts] = rendered
    assert made.objects == len(drafts)
    assert [each for each in api.checked if each[1] != "Pod"] == api.changes
    uid = api.store.get("configmaps", NAMESPACE, "nightly")["metadata"]["uid"]
    for _, kind, name in api.changes[1:]:
        [thing] = [each for (_, _, found), each in api.store.objects.items() if found == name and each["kind"] == kind]
        assert [owner["uid"] for owner in thing["metadata"]["ownerReferences"]] == [uid]


def test_what_was_made_before_a_refusal_is_removed_newest_first(api):
    api.refusals = {("create", "StatefulSet"): 403}
    before = set(api.store.objects)
    with pytest.raises(ClusterError, match="No right to create statefulsets"):
        submit(api, make_job(), NoProgress())
    made = [each[1:] for each in api.changes if each[0] == "create"][:-1]
    assert [each[1:] for each in api.changes if each[0] == "delete"] == made[::-1]
    assert set(api.store.objects) == before


def test_a_claim_that_is_there_already_is_used_and_stays(api):
    api.refusals = {("create", "StatefulSet"): 403}
    job = make_job(cluster={"claims": {"clicks": {"size": "1Gi"}}})
    with pytest.raises(ClusterError):
        submit(api, job, NoProgress())
    assert api.store.find("persistentvolumeclaims", NAMESPACE, "clicks") is not None


def appear_after_checks(api: PlayedApi, monkeypatch: pytest.MonkeyPatch, resource: str, name: str) -> None:
    """Let somebody else make an object between the checks and the creates."""

    def late(*args, **more):
        check_objects(*args, **more)
        api.store.create(resource, NAMESPACE, {"metadata": {"name": name}})

    monkeypatch.setattr(module, "check_objects", late)


@pytest.mark.parametrize(
    ("resource", "name", "text"),
    [
        ("configmaps", "nightly", "There is a job 'nightly' in namespace ml already"),
        (
            "services",
            "nightly-server",
            r"It is of a job that is about to go.*kubectl get services nightly-server -n ml",
        ),
    ],
)
def test_a_name_that_is_taken_while_a_job_is_submitted_is_said(api, monkeypatch, resource, name, text):
    appear_after_checks(api, monkeypatch, resource, name)
    with pytest.raises(ConfigError, match=text):
        submit(api, make_job(), NoProgress())
    assert api.store.find(resource, NAMESPACE, name) is not None  # another's
    assert ("secrets", NAMESPACE, "nightly") not in api.store.objects


def test_following_ends_with_the_job_or_after_its_time():
    job, lines = PlayedJob(), []
    job.publish(make_status(state="running"))
    slept = []
    with pytest.raises(ConfigError, match=r"Job nightly has not ended within 0 s. It goes on: esmm status nightly"):
        follow(job.api, job.name, lines.append, wait_s=0, sleep=slept.append)
    assert slept == []

    def ends(seconds: float) -> None:
        slept.append(seconds)
        job.publish(make_status(state="done"))

    assert follow(job.api, job.name, lines.append, sleep=ends).state == "done"
    assert slept == [module.FOLLOW_S]
    assert lines[-1] == "[nightly] done"
