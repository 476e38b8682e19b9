"""Every verb in every state of a job, on this machine and in a cluster: one table."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from esmm_dist.errors import ConfigError
from esmm_dist.progress import NoProgress
from esmm_dist.storage.folder import Folder
from launcher.command import Outcome
from launcher.jobs.backend import JobBackend
from launcher.jobs.cluster_job import ClusterJob
from launcher.jobs.local_run import LocalRun
from launcher.run_files.run_record import recorded
from launcher.run_files.run_status import write_status
from launcher.terminal.wait import Wait
from tests.unit.launcher.cluster.played_api import NAMESPACE, PlayedJob
from tests.unit.launcher.run_files.statuses import make_status

STATES = ("running", "done", "stopped", "failed", "lost")
"""``lost``: the run should go on, and whatever trained it is gone."""


def started_again(line: object) -> Outcome:
    return Outcome(lines=["started again"], result={})


VERBS: dict[str, Callable[[JobBackend, Wait], Outcome]] = {
    "scale workers": lambda job, wait: job.scale_workers(3, wait),
    "scale servers": lambda job, wait: job.scale_servers(3, wait),
    "scale replicas": lambda job, wait: job.scale_replicas(3, 3, wait),
    "cancel": lambda job, wait: job.cancel(wait, now=False),
    "cancel now": lambda job, wait: job.cancel(wait, now=True),
    "resume": lambda job, wait: job.resume(wait, started_again),
    "delete": lambda job, wait: job.delete(wait, keep_data=True),
}

HAS_ENDED = "has ended .*nothing to scale"
NOT_RUNNING = "is not running. To go on with it: esmm resume"
BY_HAND = "give that command again with --servers 3"

LOCAL: dict[str, dict[str, Any]] = {
    "scale workers": {
        "running": "Asked for 3 workers (before: 2).",
        **dict.fromkeys(("done", "stopped", "failed"), ConfigError(HAS_ENDED)),
        "lost": ConfigError("is not running: its driver has written nothing for 0 s. esmm resume .* goes on with it"),
    },
    "scale servers": dict.fromkeys(STATES, ConfigError(BY_HAND)),
    "scale replicas": {"running": ConfigError("--replicas is for cluster jobs with task: serve. Set --workers")},
    "cancel": {
        "running": "RUN is asked to save and stop.",
        **dict.fromkeys(("done", "stopped", "failed", "lost"), ConfigError(NOT_RUNNING)),
    },
    "cancel now": dict.fromkeys(("done", "stopped", "failed", "lost"), ConfigError(NOT_RUNNING)),
    "resume": {
        "running": ConfigError("is running already. Look at esmm status"),
        **dict.fromkeys(("done", "stopped", "failed", "lost"), "started again"),
    },
    "delete": {
        "running": ConfigError("is running. Stop it first: esmm cancel"),
        **dict.fromkeys(("done", "stopped", "failed", "lost"), "RUN is deleted."),
    },
}
"""What each verb answers in each state, or raises. Killing this very process is no test of ``cancel --now``."""

NOTHING_TO_CANCEL = "nothing to cancel. esmm resume nightly goes on with it, esmm delete nightly removes it"
MOST_OBJECTS = "Job nightly is deleted: "

CLUSTER: dict[str, dict[str, Any]] = {
    "scale workers": {
        "running": "Asked for 3 workers (before: 2).",
        "done": ConfigError(r"Job nightly has ended \(done\); there is nothing to scale\.$"),
        **dict.fromkeys(("stopped", "failed"), ConfigError("nothing to scale. esmm resume nightly goes on with it")),
        "lost": "Asked for 3 workers (before: 2).",  # the Job starts the driver again, which will see the pods
    },
    "scale servers": {
        "done": ConfigError("Job nightly is done; there is nothing to scale"),
        **dict.fromkeys(
            ("stopped", "failed"),
            "Job nightly will have 3 servers (before: 2). esmm resume nightly goes on with it.",
        ),
        "lost": ConfigError("Job nightly has no running driver that could have its workers save"),
    },
    "scale replicas": {"running": ConfigError("is a train job, and --replicas is for task: serve")},
    "cancel": {
        "running": "Job nightly is asked to stop.",
        **dict.fromkeys(("done", "stopped", "failed"), ConfigError(NOTHING_TO_CANCEL)),
        "lost": ConfigError("has no running driver .*esmm cancel nightly --now ends it without saving"),
    },
    "cancel now": {
        **dict.fromkeys(("running", "lost"), "Job nightly is asked to stop."),
        **dict.fromkeys(("done", "stopped", "failed"), ConfigError(NOTHING_TO_CANCEL)),
    },
    "resume": {
        **dict.fromkeys(("running", "lost"), ConfigError(r"has not ended \(it is running\)")),
        "done": ConfigError("is done, so there is nothing to resume. To train on, raise what ends it"),
        **dict.fromkeys(("stopped", "failed"), "Job nightly is started again."),
    },
    "delete": dict.fromkeys(STATES, MOST_OBJECTS),
}
"""The same in a cluster. A change of servers while it trains has a test of its own: it waits for the cancel."""


def rows(table: dict[str, dict[str, Any]]) -> list[tuple[str, str, Any]]:
    found = [(verb, state, answer) for verb, states in table.items() for state, answer in states.items()]
    assert len(found) > 25
    return found


def waiting(seconds: float = 0.0) -> Wait:
    return Wait(timeout_s=seconds, progress=NoProgress())


@contextlib.contextmanager
def local_run(folder: Path, state: str) -> Iterator[JobBackend]:
    run = Folder.open(folder)
    write_status(run, make_status("running" if state == "lost" else state, run=str(folder)))
    with contextlib.ExitStack() as stack:
        held = recorded(run, ("local", "--", "train"))
        if state == "running":
            stack.enter_context(held)
        else:
            with held:
                pass
        yield LocalRun(str(folder))


def cluster_job(state: str) -> tuple[JobBackend, PlayedJob]:
    played = PlayedJob()
    played.publish(make_status("running" if state == "lost" else state, written_ago_s=60.0 if state == "lost" else 0.0))
    if state == "lost":
        played.remove_pods("driver")
    elif state != "running":
        played.remove_pods("driver", "server", "worker")
    return ClusterJob(played.api, played.name), played


def check(verb: str, job: JobBackend, expected: object) -> Outcome | None:
    if isinstance(expected, ConfigError):
        with pytest.raises(ConfigError, match=str(expected)):
            VERBS[verb](job, waiting())
        return None
    outcome = VERBS[verb](job, waiting())
    assert outcome.done
    assert outcome.lines[0].startswith(str(expected))
    return outcome


@pytest.mark.parametrize(("verb", "state", "expected"), rows(LOCAL))
def test_a_verb_of_a_local_run(tmp_path, verb, state, expected):
    folder = tmp_path / "run"
    folder.mkdir()
    expected = expected.replace("RUN", str(folder)) if isinstance(expected, str) else expected
    with local_run(folder, state) as job:
        status = job.status()
        assert (status.state, status.stale) == ("running" if state == "lost" else state, state == "lost")
        check(verb, job, expected)


@pytest.mark.parametrize(("verb", "state", "expected"), rows(CLUSTER))
def test_a_verb_of_a_cluster_job(verb, state, expected):
    job, played = cluster_job(state)
    status = job.status()
    assert status.where == f"namespace {NAMESPACE}"
    assert (status.state, status.stale) == ("running" if state == "lost" else state, state == "lost")
    outcome = check(verb, job, expected)
    if outcome is None:
        assert played.api.changes == []  # what is refused changes nothing
    else:
        assert outcome.result["job"] == "nightly"
