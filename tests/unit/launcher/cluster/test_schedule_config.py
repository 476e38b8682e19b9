"""The schedule of a job file: what is read, and what is refused with FILE:LINE."""

import pytest

from esmm_dist.errors import ConfigError
from launcher.cluster.job_file import job_yaml, read_job
from launcher.cluster.schedule_config import ScheduleConfig
from launcher.pipeline.run import GATE_STATUS
from launcher.tasks import TASKS
from tests.unit.launcher.cluster.jobs import TASK_SETTINGS, find, job_text, make_job, rendered


def test_a_text_is_short_for_its_cron_alone():
    assert make_job("pipeline", schedule="0 4 * * *").schedule == ScheduleConfig(cron="0 4 * * *")
    given = {"cron": "@daily", "suspend": True}
    assert make_job("pipeline", schedule=given).schedule == ScheduleConfig(cron="@daily", suspend=True)
    assert make_job("pipeline").schedule is None


@pytest.mark.parametrize("task", [each for each in TASK_SETTINGS if each not in ("train", "serve")])
def test_every_task_of_one_pod_can_have_a_schedule_and_is_read_back(task):
    job = make_job(task, schedule={"cron": "@weekly", "time_zone": "Asia/Tokyo", "keep_done": 0})
    assert read_job(job_yaml(job)) == job
    spec = find(rendered(job), "CronJob", "nightly-task")["spec"]
    assert (spec["schedule"], spec["timeZone"], spec["successfulJobsHistoryLimit"]) == ("@weekly", "Asia/Tokyo", 0)
    assert (spec["concurrencyPolicy"], spec["suspend"]) == ("Forbid", False)
    once = rendered(make_job(task))[-1]
    assert spec["jobTemplate"] == {"metadata": {"labels": once["metadata"]["labels"]}, "spec": once["spec"]}


def test_a_schedule_of_a_training_is_that_of_its_learning_rates():
    assert make_job(schedule="cosine").settings["schedule"] == "cosine"


def test_the_name_of_the_longest_job_fits_a_cron_job():
    job = make_job("pipeline", name="n" * 40, schedule="@daily")
    assert len(rendered(job)[-1]["metadata"]["name"]) <= 52  # Kubernetes adds 11 for each run


@pytest.mark.parametrize(
    ("task", "schedule", "text"),
    [
        ("pipeline", "4 o'clock", "has 2 fields"),
        ("pipeline", {"cron": "0 4 * * *", "time_zone": "Berlin"}, "time_zone is 'Berlin', which is not known"),
        ("pipeline", {"cron": "0 4 * * *", "starting_deadline_s": 5}, "Set 10 or more"),
        ("pipeline", {"cron": "0 4 * * *", "keep_failed": -1}, "keep_failed is -1"),
        ("pipeline", {"cron": "0 4 * * *", "every": 1}, "every"),
        ("pipeline", {"cron": "0 4 * * *", "overlap": "Allow"}, "a second pipeline in the same work folder"),
        ("pipeline", 4, "schedule"),
        ("train", "0 4 * * *", "schedule a task: pipeline"),
        ("train", {"cron": "@daily"}, "schedule a task: pipeline"),
        ("train", "@daily", "schedule a task: pipeline"),
    ],
)
def test_a_wrong_schedule_is_refused_with_its_line(task, schedule, text):
    content = job_text(task, schedule=schedule)
    line = next(i for i, each in enumerate(content.splitlines(), 1) if each.startswith("schedule"))
    with pytest.raises(ConfigError, match=rf"job.yaml:({line}|{line + 1}|{line + 2}): .*{text}"):
        read_job(content)


def test_a_gate_that_said_no_is_not_asked_again():
    assert TASKS["pipeline"].final_statuses == (GATE_STATUS,)
    rules = rendered(make_job("pipeline"))[-1]["spec"]["podFailurePolicy"]["rules"]
    assert rules[0]["onExitCodes"]["values"] == [2, GATE_STATUS]
