"""Verbs of a job with a schedule: its runs are Jobs that its CronJob makes."""

from datetime import UTC, datetime

import pytest

from esmm_dist.errors import ConfigError
from esmm_dist.progress import NoProgress
from launcher.cluster import names
from launcher.cluster.api import kinds
from launcher.cluster.cancel import cancel
from launcher.cluster.delete import delete
from launcher.cluster.jobs import cluster_jobs
from launcher.cluster.logs import logs
from launcher.cluster.resume import resume
from launcher.cluster.schedule_runs import schedule_status
from launcher.cluster.snapshot import read_snapshot
from launcher.cluster.status import read_status
from launcher.cluster.submit import submit
from launcher.cluster.update import changes
from launcher.run_files.job_lines import job_lines
from tests.unit.launcher.cluster.jobs import make_job
from tests.unit.launcher.cluster.played_api import NAMESPACE, PlayedJob
from tests.unit.launcher.waits import waiting

TIMES = [f"2026-11-2{day}T04:00:00Z" for day in range(7, 10)]


class PlayedSchedule(PlayedJob):
    """A pipeline with a schedule, whose runs the test makes."""

    def __init__(self, **schedule) -> None:
        super().__init__("pipeline", schedule={"cron": "0 4 * * *", **schedule})
        self.api.store.objects["namespaces", NAMESPACE, NAMESPACE] = {"metadata": {"name": NAMESPACE}}
        for claim in ("clicks", "models"):
            self.api.store.create("persistentvolumeclaims", NAMESPACE, {"metadata": {"name": claim}})

    def run(self, number: int, ending: str = "", *, code: int = 0, message: str = "") -> str:
        """Add a run: one that goes on, or has ended as a Job's condition says."""
        name = f"{self.name}-task-{number}"
        labels = {names.NAME: names.APP, names.INSTANCE: self.name, names.COMPONENT: "task"}
        conditions = [{"type": ending, "status": "True", "lastTransitionTime": TIMES[number]}] if ending else []
        job = {
            "metadata": {"name": name, "labels": labels},
            "spec": {"template": {"spec": {}}},
            "status": {"startTime": TIMES[number], "conditions": conditions},
        }
        self.api.store.create("batch/jobs", NAMESPACE, job)["metadata"]["creationTimestamp"] = TIMES[number]
        phase = {"": "Running", "Complete": "Succeeded", "Failed": "Failed"}[ending]
        ended = {"terminated": {"exitCode": code, "message": message}} if ending else {"running": {}}
        self.add_pod("task", name=f"{name}-x", phase=phase, containerStatuses=[{"name": "task", "state": ended}])
        pod = self.api.store.get("pods", NAMESPACE, f"{name}-x")
        pod["metadata"]["labels"]["job-name"] = name
        return name

    def change(self, **parts) -> None:
        self.api.store.patch("batch/cronjobs", NAMESPACE, f"{self.name}-task", parts)

    @property
    def spec(self):
        return self.api.store.get("batch/cronjobs", NAMESPACE, f"{self.name}-task")["spec"]


@pytest.fixture
def job() -> PlayedSchedule:
    return PlayedSchedule()


def test_a_schedule_waits_runs_and_can_be_suspended(job):
    assert read_status(job.api, job.name).state == "scheduled"
    job.change(status={"active": [{"name": "nightly-task-0"}]})
    assert read_status(job.api, job.name).state == "running"
    job.run(0)
    assert read_status(job.api, job.name).pods == {"task": "1 of 1 ready"}
    [row] = cluster_jobs(job.api)
    assert (row.task, row.state) == ("pipeline", "running")
    job.change(status={"active": None}, spec={"suspend": True})
    assert read_status(job.api, job.name).state == "suspended"
    assert "no run is due: it is suspended (schedule 0 4 * * *, UTC)" in job_lines(read_status(job.api, job.name))
    job.api.store.delete("batch/cronjobs", NAMESPACE, "nightly-task")
    assert read_status(job.api, job.name).state == "stopped"


def test_status_tells_the_next_run_in_the_zone_of_the_schedule(job):
    file = make_job("pipeline", schedule={"cron": "0 4 * * *", "time_zone": "Europe/Berlin"})
    snapshot = read_snapshot(job.api, job.name)
    status = schedule_status(file, snapshot.driver, [], [], datetime(2026, 11, 29, 12, tzinfo=UTC))
    assert status.next_run == "2026-11-30T04:00+01:00"


def test_status_tells_how_runs_ended_and_what_the_gate_said(job):
    job.run(0, "Failed", code=1, message="esmm: the log of 2022-04-27 is missing\n")
    said = "In service: version 1\nThe model of 2022-04-27 was refused by the gate:\n  ctr: AUC 0.61 is below 0.70\n"
    job.run(1, "Failed", code=3, message=said)
    job.run(2, "Complete")
    job.api.lines["nightly-task-2-x"] = [
        "2026-11-29T04:09:00.5Z In service: version 3, of 2022-04-28, at step 90: s3://m/3"
    ]
    status = read_status(job.api, job.name)
    assert status.schedule is not None
    assert [(each.name[-1], each.state) for each in status.schedule.runs] == [
        ("2", "done"),
        ("1", "refused"),
        ("0", "failed"),
    ]
    lines = job_lines(status)
    assert "nightly-task-2 (done): In service: version 3, of 2022-04-28, at step 90: s3://m/3" in lines
    assert any("nightly-task-1 (refused): " in line and "ctr: AUC 0.61 is below 0.70" in line for line in lines)
    assert "nightly-task-0 (failed): esmm: the log of 2022-04-27 is missing" in lines
    assert status.troubles == []  # they are of the past


def test_a_failure_is_told_by_the_log_where_the_pod_does_not_tell_it(job):
    job.run(0, "Failed", code=70)
    job.run(1)
    job.api.lines["nightly-task-0-x"] = ["2026-11-29T04:09:00.5Z one", "2026-11-29T04:09:01.5Z esmm: no log"]
    status = read_status(job.api, job.name)
    assert status.schedule is not None
    assert [each.last_words for each in status.schedule.runs] == ["", "one / esmm: no log"]


def test_status_does_without_a_log_that_it_may_not_read(job):
    job.run(0, "Complete")
    job.api.lines["nightly-task-0-x"] = 403
    status = read_status(job.api, job.name)
    assert status.schedule is not None
    assert status.schedule.runs[0].last_words == ""


def test_logs_are_those_of_the_newest_run(job):
    job.run(0, "Complete")
    job.run(1, "Complete")
    for number in (0, 1):
        job.api.lines[f"nightly-task-{number}-x"] = [f"2026-11-29T04:09:00.5Z of run {number}"]
    assert list(logs(job.api, job.name, None, follow=False, tail=None, say=print)) == ["of run 1"]


def test_logs_before_the_first_run_say_that_there_is_none(job):
    with pytest.raises(ConfigError, match=r"Job nightly \(scheduled\) has no pod of task now"):
        list(logs(job.api, job.name, None, follow=False, tail=None, say=print))


def test_cancel_suspends_and_ends_the_run_in_progress(job):
    job.run(0, "Complete")
    running = job.run(1)
    outcome = cancel(job.api, job.name, waiting(lambda: job.remove_pods("task")), now=False)
    assert job.spec["suspend"] is True
    assert [each for each in job.api.changes if each[0] == "delete"] == [("delete", "Job", running)]
    assert outcome.lines == [
        "Job nightly is suspended, and its run nightly-task-1 is ended. esmm resume nightly lets runs start again."
    ]
    with pytest.raises(ConfigError, match="is suspended already, and no run is in progress"):
        cancel(job.api, job.name, waiting(), now=False)


def test_resume_lets_runs_start_again(job):
    with pytest.raises(ConfigError, match=r"kubectl create job nightly-now --from=cronjob/nightly-task -n ml"):
        resume(job.api, job.name, waiting())
    job.change(spec={"suspend": True})
    outcome = resume(job.api, job.name, waiting())
    assert job.spec["suspend"] is False
    assert outcome.lines[0].startswith("Job nightly runs by its schedule again. Next run: 20")


def test_a_schedule_whose_cron_job_is_gone_is_made_again_by_submit(job):
    job.api.store.delete("batch/cronjobs", NAMESPACE, "nightly-task")
    with pytest.raises(ConfigError, match="has no CronJob nightly-task any more. esmm submit it again makes it"):
        cancel(job.api, job.name, waiting(), now=False)
    assert submit(job.api, make_job("pipeline", schedule="@daily"), NoProgress()).updated
    assert job.spec["schedule"] == "@daily"


def test_delete_ends_the_schedule_before_its_runs(job):
    job.run(0, "Complete")
    delete(job.api, job.name, waiting(lambda: job.remove_pods("task")), keep_data=True)
    assert job.api.changes[0] == ("delete", "CronJob", "nightly-task")
    assert [each for each in job.api.changes if each[1] == "CronJob"] == [("delete", "CronJob", "nightly-task")]
    assert job.api.all(kinds.JOB) == []


def test_submitted_again_it_becomes_what_the_new_file_says_and_keeps_its_runs(job):
    job.run(0, "Complete")
    job.change(spec={"suspend": True, "jobTemplate": {"spec": {"template": {"spec": {"dnsPolicy": "ClusterFirst"}}}}})
    new = make_job("pipeline", schedule="30 5 * * *", keep_versions=7, cluster={"image": "esmm:2.0"})
    made = submit(job.api, new, NoProgress())
    assert made.updated
    template = job.spec["jobTemplate"]["spec"]["template"]["spec"]
    assert (job.spec["schedule"], job.spec["suspend"]) == ("30 5 * * *", False)
    assert (template["containers"][0]["image"], "dnsPolicy" in template) == ("esmm:2.0", False)
    snapshot = read_snapshot(job.api, job.name)
    assert snapshot.uid == job.uid
    assert snapshot.file.settings["keep_versions"] == 7
    assert "keep_versions: 7" in snapshot.config["data"]["pipeline.yaml"]
    assert len(snapshot.runs) == 1


def test_an_update_removes_a_network_policy_that_is_no_longer_wanted(job):
    assert job.api.all(kinds.NETWORK_POLICY)
    submit(job.api, make_job("pipeline", schedule="@daily", cluster={"network_policy": False}), NoProgress())
    assert job.api.all(kinds.NETWORK_POLICY) == []


def test_a_job_that_runs_once_does_not_replace_a_schedule(job):
    with pytest.raises(ConfigError, match="There is a job 'nightly' in namespace ml already"):
        submit(job.api, make_job("pipeline"), NoProgress())


@pytest.mark.parametrize(
    ("now", "wanted", "patch"),
    [
        ({"a": 1}, {"a": 2}, {"a": 2}),
        ({"a": 1, "b": 2}, {"a": 1}, {"a": 1, "b": None}),
        ({"a": {"b": 1, "c": [1]}}, {"a": {"c": [2, 3]}}, {"a": {"b": None, "c": [2, 3]}}),
        (None, {"a": 1}, {"a": 1}),
    ],
)
def test_changes_remove_what_is_not_wanted(now, wanted, patch):
    assert changes(now, wanted) == patch
