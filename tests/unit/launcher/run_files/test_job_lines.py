"""The state of a job as a reader and as a program gets it, from each backend."""

import pytest

from launcher.run_files.job import THIS_MACHINE, JobStatus
from launcher.run_files.job_lines import job_lines, job_result
from launcher.run_files.plain_run import PlainProgress
from tests.unit.launcher.run_files.statuses import make_status

PROGRESS = PlainProgress(
    step=30,
    total_steps=100,
    checkpoint_step=20,
    losses={"ctr_loss": 0.25},
    evaluation={"step": 20, "split": "test", "auc": {"ctr": (0.6, 0.01)}},
)


def test_a_training_without_a_driver_is_told_by_its_files():
    status = JobStatus(job="run", where=THIS_MACHINE, state="stopped", progress=PROGRESS)
    assert job_lines(status) == [
        "run: stopped (not elastic)",
        "step 30 of 100 (30%)",
        "last checkpoint: step 20",
        "losses: ctr_loss 0.2500",
        "AUC on test at step 20: ctr 0.6000 ± 0.0100",
    ]
    assert job_result(status)["progress"]["checkpoint_step"] == 20
    nothing_yet = JobStatus(job="run", where=THIS_MACHINE, state="running")
    assert job_lines(nothing_yet) == ["run: running (not elastic)"]


def test_an_elastic_run_of_this_machine_is_its_drivers_status():
    status = JobStatus(job="/r", where=THIS_MACHINE, state="running", run=make_status(), stale=False)
    lines = job_lines(status)
    assert lines[0].startswith("run: running for 1 min 40 s; 2 ranks of 2 wanted (1 to 4)")
    assert lines[1] == "step 7 of 100 (7%)"
    found = job_result(status)
    assert (found["ranks"], found["workers"][1]["name"], found["stale"]) == (2, "worker-1", False)


@pytest.mark.parametrize(
    ("where", "remedy"),
    [
        (THIS_MACHINE, "If esmm local has ended too, the same command goes on from the last checkpoint"),
        ("namespace ml", "The Job starts it again; if it does not, see below, and esmm logs nightly --driver"),
    ],
)
def test_a_run_whose_driver_is_lost_has_a_remedy(where, remedy):
    status = JobStatus(job="nightly", where=where, state="running", run=make_status(written_ago_s=61.0), stale=True)
    [line] = [line for line in job_lines(status) if "has written nothing for 1 min 01 s (it was running)" in line]
    assert remedy in line


def test_a_cluster_job_has_its_pods_and_troubles_before_its_run():
    status = JobStatus(
        job="nightly",
        where="namespace ml",
        state="running",
        run=make_status(),
        troubles=["worker-1 cannot be placed on a node: full"],
        pods={"worker": "1 of 2 ready", "driver": "1 of 1 ready"},
    )
    assert job_lines(status)[:4] == [
        "Job nightly in namespace ml: running",
        "pods: worker 1 of 2 ready, driver 1 of 1 ready",
        "trouble: worker-1 cannot be placed on a node: full",
        "",
    ]
    assert job_result(status)["run"]["ranks"] == 2


@pytest.mark.parametrize(("state", "more"), [("pending", ["Its driver has published nothing yet."]), ("done", [])])
def test_a_cluster_job_without_a_run_says_only_while_it_may_get_one_that_there_is_none(state, more):
    status = JobStatus(job="nightly", where="namespace ml", state=state)
    assert job_lines(status) == [f"Job nightly in namespace ml: {state}", *more]
