"""A job with a schedule, from the command line."""

from tests.fake_kubernetes.flows import SCHEDULE, last_json, write
from tests.fake_kubernetes.server import wait_until


def test_a_schedule_is_submitted_shown_updated_suspended_resumed_and_deleted(cluster, esmm, tmp_path) -> None:
    file = write(tmp_path, SCHEDULE)
    assert "Job every-night is submitted to namespace default" in esmm("submit", file)
    text = esmm("status", "every-night")
    assert "Job every-night in namespace default: scheduled\nnext run: 20" in text
    assert "T04:00+00:00 (schedule 0 4 * * *, UTC)\nIt has not run yet, or none of its runs was kept." in text

    write(tmp_path, SCHEDULE.replace("0 4", "15 5"))
    assert "Job every-night is updated in namespace default" in esmm("submit", file)
    status = last_json(esmm("status", "every-night", "--json"))
    assert (status["schedule"]["cron"], status["schedule"]["next_run"][11:16]) == ("15 5 * * *", "05:15")

    found = cluster.store.get("batch/cronjobs", "default", "every-night-task")
    template = found["spec"]["jobTemplate"]
    run = {"metadata": {**template["metadata"], "name": "every-night-task-1"}, "spec": template["spec"]}
    cluster.store.create("batch/jobs", "default", run)
    cluster.store.patch("batch/cronjobs", "default", "every-night-task", {"status": {"active": [{"name": "one"}]}})
    wait_until(lambda: cluster.names("pods"))
    assert "every-night-task-1" in esmm("status", "every-night")
    assert "and its run every-night-task-1 is ended" in esmm("cancel", "every-night")
    assert cluster.names("pods") == []

    assert "runs by its schedule again" in esmm("resume", "every-night")
    assert "Job every-night is deleted" in esmm("delete", "every-night")
    assert cluster.everything() == ["persistentvolumeclaims/data"]


def test_a_schedule_cannot_be_followed(cluster, esmm, tmp_path) -> None:
    text = esmm("submit", write(tmp_path, SCHEDULE), "--follow", status=2)
    assert "following it would have no end. Leave --follow out; esmm logs every-night -f" in text
    assert cluster.names("configmaps") == []


def test_a_time_zone_that_the_cluster_would_drop_is_refused(cluster, esmm, tmp_path) -> None:
    cluster.version = ("1", "22")
    zoned = SCHEDULE.replace('"0 4 * * *"', '{cron: "0 4 * * *", time_zone: Europe/Berlin}')
    assert "CronJobs have time zones since Kubernetes 1.25" in esmm("submit", write(tmp_path, zoned), status=2)
    assert cluster.names("configmaps") == []
