"""Verbs of a job that serves, whose pods a Deployment makes."""

import pytest

from esmm_dist.errors import ConfigError, RetryError
from esmm_dist.progress import NoProgress
from launcher.cluster import submit as module
from launcher.cluster.api import kinds
from launcher.cluster.cancel import cancel
from launcher.cluster.delete import delete
from launcher.cluster.jobs import cluster_jobs
from launcher.cluster.logs import logs
from launcher.cluster.resume import resume
from launcher.cluster.scale import scale_servers, scale_workers
from launcher.cluster.serving_verbs import scale_replicas
from launcher.cluster.snapshot import read_snapshot
from launcher.cluster.status import read_status
from launcher.cluster.submit import follow, submit
from launcher.run_files.job_lines import job_lines
from tests.unit.launcher.cluster.jobs import find, make_job
from tests.unit.launcher.cluster.played_api import NAMESPACE, PlayedJob
from tests.unit.launcher.waits import waiting

STUCK = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out."}


class PlayedServing(PlayedJob):
    """A job that serves with 2 pods, whose controllers the test plays."""

    def __init__(self, **serve) -> None:
        super().__init__("serve", serve=serve)
        self.api.store.objects["namespaces", NAMESPACE, NAMESPACE] = {"metadata": {"name": NAMESPACE}}
        self.api.store.create("persistentvolumeclaims", NAMESPACE, {"metadata": {"name": "models"}})
        self.ready(2)

    def ready(self, available: int, *, all_pods: int | None = None, updated: int | None = None, **more) -> None:
        """Let the controller tell how many pods there are."""
        status = {"replicas": all_pods or available, "updatedReplicas": available if updated is None else updated}
        status |= {"availableReplicas": available, "readyReplicas": available, "observedGeneration": 1}
        self.change(status={key: value or None for key, value in status.items()} | more, metadata={"generation": 1})

    def change(self, **parts) -> None:
        self.api.store.patch("apps/deployments", NAMESPACE, "nightly-serving", parts)

    @property
    def spec(self):
        return self.api.store.get("apps/deployments", NAMESPACE, "nightly-serving")["spec"]

    @property
    def autoscaler(self):
        return self.api.find(kinds.AUTOSCALER, "nightly-serving")


@pytest.fixture
def job() -> PlayedServing:
    return PlayedServing()


def lines(job) -> list[str]:
    return job_lines(read_status(job.api, job.name))


def test_a_job_that_answers_says_where_and_with_what(job):
    job.api.lines["nightly-serving-0"] = ["2026-11-29T04:09:00.5Z Version 3 answers: step 90 of run"]
    job.api.lines["nightly-serving-1"] = [
        "2026-11-29T04:09:00.5Z Version 3 answers: step 90 of run",
        "2026-11-29T04:19:00.5Z Version 4.delta answers: step 120 of run",
        "2026-11-29T04:19:01.5Z x",
    ]
    assert lines(job) == [
        "Job nightly in namespace ml: running",
        "pods: serving 2 of 2 ready",
        "answers at http://nightly-serving.ml.svc:8501/v1/score, and as model esmm of TensorFlow Serving's REST",
        "versions in service: 3, 4.delta",
    ]
    [row] = cluster_jobs(job.api)
    assert (row.task, row.state) == ("serve", "running")


def test_a_pod_that_is_not_ready_says_why(job):
    job.remove_pods("serving")
    job.add_pod("serving", 0, conditions=[])
    job.add_pod("serving", 1, phase="Pending")
    job.ready(0, all_pods=2, conditions=[STUCK])
    job.api.lines["nightly-serving-0"] = ["2026-11-29T04:09:00.5Z x", "2026-11-29T04:09:00.5Z s3://m holds no version"]
    assert read_status(job.api, job.name).troubles == [
        "the rolling update is stuck (ProgressDeadlineExceeded: timed out)",
        "serving-0 is not ready; it says: s3://m holds no version",
    ]


def test_status_does_without_logs_that_it_may_not_read(job):
    job.api.lines["nightly-serving-0"] = 403
    assert not any("in service" in line for line in lines(job))


def test_an_update_is_told_until_all_pods_are_new(job):
    job.ready(2, all_pods=3, updated=1)
    assert read_status(job.api, job.name).state == "updating"
    assert "rolling update: 1 of 2 pods are what the job file says now" in lines(job)
    job.ready(2)
    job.change(metadata={"generation": 2})  # changed, and no controller has looked yet
    assert read_status(job.api, job.name).state == "updating"
    job.api.store.get("pods", NAMESPACE, "nightly-serving-1")["metadata"]["deletionTimestamp"] = "2026-11-29T04:09:00Z"
    assert read_status(job.api, job.name).pods == {"serving": "1 of 2 ready"}
    job.ready(0, all_pods=2)
    assert read_status(job.api, job.name).state == "pending"
    job.api.store.delete("apps/deployments", NAMESPACE, "nightly-serving")
    assert read_status(job.api, job.name).state == "stopped"


def test_troubles_are_those_of_the_deployment_and_of_the_autoscaler():
    job = PlayedServing(max=4)
    job.ready(2, all_pods=3, updated=1, conditions=[STUCK])
    metrics = [{"resource": {"name": "cpu", "current": {"averageUtilization": 41}}}]
    blind = {"type": "ScalingActive", "status": "False", "reason": "FailedGetResourceMetric", "message": "no metrics"}
    status = {"status": {"currentMetrics": metrics, "conditions": [blind]}}
    job.api.store.patch("autoscaling/horizontalpodautoscalers", NAMESPACE, "nightly-serving", status)
    found = read_status(job.api, job.name)
    assert list(found.troubles) == [
        "the rolling update is stuck (ProgressDeadlineExceeded: timed out). The pods of before go on answering",
        "the autoscaler leaves the number of pods as it is (FailedGetResourceMetric: no metrics)",
    ]
    assert "autoscaler: 2 to 4 pods; they use 41% of their cpu" in job_lines(found)
    job.ready(2, conditions=[{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: small"}])
    blind |= {"reason": "ScalingDisabled"}
    job.api.store.patch("autoscaling/horizontalpodautoscalers", NAMESPACE, "nightly-serving", status)
    assert list(read_status(job.api, job.name).troubles) == ["pods cannot be made: exceeded quota: small"]
    job.api.refusals["get", "HorizontalPodAutoscaler"] = 403
    assert "autoscaler: 2 to 4 pods; they use not known yet of their cpu" in lines(job)


def test_logs_are_those_of_all_pods_with_their_names_ends(job):
    for i in range(2):
        job.api.lines[f"nightly-serving-{i}"] = [f"2026-11-29T04:09:0{second}.5Z {second}" for second in range(3)]
    found = list(logs(job.api, job.name, None, follow=False, tail=2, say=print))
    assert found == ["[0] 1", "[0] 2", "[1] 1", "[1] 2"]
    with pytest.raises(ConfigError, match=r"is a serve job: the lines of all its pods are shown. Leave out --rank"):
        list(logs(job.api, job.name, "worker-0", follow=False, tail=None, say=print))


def test_cancel_ends_all_pods_and_resume_starts_them(job):
    outcome = cancel(job.api, job.name, waiting(lambda: job.remove_pods("serving")), now=False)
    assert job.spec["replicas"] == 0
    assert outcome.result["state"] == "stopped"
    assert read_status(job.api, job.name).state == "stopped"
    with pytest.raises(ConfigError, match="Job nightly is stopped already. esmm resume nightly starts its pods"):
        cancel(job.api, job.name, waiting(), now=False)
    with pytest.raises(ConfigError, match="Job nightly is stopped; there is nothing to scale"):
        scale_replicas(job.api, job.name, 3, 3, waiting())
    job.ready(0)
    outcome = resume(job.api, job.name, waiting(lambda: job.ready(1), lambda: job.ready(2)))
    assert job.spec["replicas"] == 2
    assert outcome.lines[0].startswith("Job nightly answers again, after ")
    with pytest.raises(ConfigError, match=r"is not stopped \(it is running\), so there is nothing to resume"):
        resume(job.api, job.name, waiting())


def test_cancel_and_resume_can_be_asked_without_a_wait(job):
    assert cancel(job.api, job.name, waiting(timeout_s=0), now=True).lines == ["Job nightly is asked to stop."]
    assert resume(job.api, job.name, waiting(timeout_s=0)).lines == ["Job nightly will answer again."]


def test_scale_sets_the_number_of_pods_and_the_job_file(job):
    outcome = scale_replicas(job.api, job.name, 3, 3, waiting(lambda: job.ready(3)))
    assert outcome.lines[0].startswith("Job nightly answers with 3 pods (before: 2), after ")
    assert job.spec["replicas"] == 3
    assert read_snapshot(job.api, job.name).file.cluster.serve.min == 3
    with pytest.raises(RetryError, match="all pods are ready"):
        scale_replicas(job.api, job.name, 4, 4, waiting(timeout_s=0.01))


def test_scale_gives_the_choice_to_an_autoscaler_and_takes_it_back(job):
    scale_replicas(job.api, job.name, 3, 6, waiting(timeout_s=0))
    assert (job.autoscaler["spec"]["minReplicas"], job.autoscaler["spec"]["maxReplicas"]) == (3, 6)
    assert job.autoscaler["metadata"]["ownerReferences"][0]["uid"] == job.uid
    assert job.spec["replicas"] == 3
    scale_replicas(job.api, job.name, 1, 2, waiting(timeout_s=0))
    assert (job.autoscaler["spec"]["minReplicas"], job.spec["replicas"]) == (1, 2)
    scale_replicas(job.api, job.name, 4, 4, waiting(timeout_s=0))
    assert job.autoscaler is None
    assert job.spec["replicas"] == 4


def test_what_is_not_scaled_so_says_how(job):
    for verb in (scale_workers, scale_servers):
        with pytest.raises(ConfigError, match="is a serve job, .* esmm scale nightly --replicas 4 sets"):
            verb(job.api, job.name, 3, waiting())
    for task, how in (("train", "--workers or --servers"), ("export", "cluster.pod.cpu in its job file")):
        other = PlayedJob(task)
        with pytest.raises(ConfigError, match=f"--replicas is for task: serve. Its size is that of {how}"):
            scale_replicas(other.api, other.name, 3, 3, waiting())


def test_a_job_whose_deployment_is_gone_is_made_again_by_submit(job):
    job.api.store.delete("apps/deployments", NAMESPACE, "nightly-serving")
    with pytest.raises(ConfigError, match="has no Deployment nightly-serving any more. esmm submit it again"):
        resume(job.api, job.name, waiting())
    assert submit(job.api, make_job("serve"), NoProgress()).updated
    assert job.spec["replicas"] == 2


def test_submitted_again_it_becomes_what_the_new_file_says_and_keeps_its_token():
    job = PlayedServing(max=4)
    secret = job.api.get(kinds.SECRET, "nightly")
    job.change(spec={"replicas": 3, "template": {"spec": {"dnsPolicy": "ClusterFirst"}}})
    job.api.changes.clear()
    new = make_job("serve", max_users=7, cluster={"image": "esmm:2.0", "serve": {"max": 4}})
    assert submit(job.api, new, NoProgress()).updated
    assert job.spec["replicas"] == 3  # as the autoscaler has chosen
    template = job.spec["template"]["spec"]
    assert (template["containers"][0]["image"], "dnsPolicy" in template) == ("esmm:2.0", False)
    assert job.api.get(kinds.SECRET, "nightly") == secret
    patched = [(kind, name) for verb, kind, name in job.api.changes if verb == "patch"]
    assert patched.index(("ConfigMap", "nightly")) < patched.index(("Deployment", "nightly-serving"))
    assert read_snapshot(job.api, job.name).uid == job.uid


def test_a_dry_run_of_a_job_that_serves_keeps_its_token_and_its_number_of_pods(monkeypatch):
    job = PlayedServing(max=4)
    job.change(spec={"replicas": 3})
    monkeypatch.setattr(module, "connect", lambda namespace: job.api)
    manifests = module.dry_run(make_job("serve", cluster={"serve": {"max": 4}}))
    assert "Secret" not in {each["kind"] for each in manifests}
    assert find(manifests, "Deployment", "nightly-serving")["spec"]["replicas"] == 3
    first = module.dry_run(make_job("serve", name="new"))
    assert "Secret" in {each["kind"] for each in first}
    assert job.api.changes == []


def test_an_update_removes_what_is_no_longer_wanted():
    job = PlayedServing(max=4)
    new = make_job("serve", cluster={"network_policy": False, "serve": {"min": 1}})
    submit(job.api, new, NoProgress())
    assert job.autoscaler is None
    assert job.api.all(kinds.NETWORK_POLICY) == []
    assert job.spec["replicas"] == 1


def test_a_job_of_another_task_does_not_replace_one_that_serves(job):
    with pytest.raises(ConfigError, match="There is a job 'nightly' in namespace ml already"):
        submit(job.api, make_job("pipeline", schedule="@daily"), NoProgress())


def test_following_ends_when_all_pods_answer_or_the_update_is_stuck(job):
    job.ready(1, all_pods=2)
    job.api.lines["nightly-serving-0"] = ["2026-11-29T04:09:00.5Z Version 3 answers: step 90 of run"]
    shown = []
    snapshot = follow(job.api, job.name, shown.append, sleep=lambda _: job.ready(2))
    assert snapshot.rolled_out is True
    assert shown[0] == "[0] Version 3 answers: step 90 of run"
    assert shown[-1] == "[nightly] running, serving 2 of 2 ready"
    job.ready(2, all_pods=3, updated=1, conditions=[STUCK])
    assert follow(job.api, job.name, shown.append, sleep=lambda _: None).rolled_out is False
    assert "the rolling update is stuck" in shown[-1]


def test_delete_removes_the_autoscaler_before_the_pods():
    job = PlayedServing(max=4)
    delete(job.api, job.name, waiting(lambda: job.remove_pods("serving")), keep_data=True)
    gone = [kind for verb, kind, _ in job.api.changes if verb == "delete"]
    assert gone[0] == "HorizontalPodAutoscaler"
    assert gone[-1] == "ConfigMap"
    assert not any(job.api.all(each) for each in (kinds.DEPLOYMENT, kinds.SERVICE, kinds.SECRET))
