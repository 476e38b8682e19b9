"""What the driver of a job publishes in the cluster's API, what it obeys there, and what it leaves behind."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from esmm_dist.errors import ConfigError, EsmmError, RetryError
from esmm_dist.progress import NoProgress
from launcher.cluster.api.errors import ClusterError
from launcher.cluster.in_pod import drive_job as job_module
from launcher.cluster.in_pod.drive_job import drive_job
from launcher.cluster.in_pod.job_objects import JobObjects
from launcher.cluster.in_pod.run_state import RunState, newest_within
from launcher.driver.config import DriverConfig
from launcher.driver.driver import DriverError
from launcher.run_files.run_status import RunStatus
from tests.support.pod_api import JOB, NAMESPACE, PodApi

STATUS = RunStatus(run="s3://models/nightly", state="running", written_at=1.0, started_at=0.0, driver_pid=1, step=40)
STOP = '{"do": "stop", "id": "a1"}'


class Driver:
    """What publishes: says what the test wants it to say."""

    def __init__(self) -> None:
        self.now = STATUS
        self.events = ['{"event": "driver_started"}']
        self.finished = 0

    def status(self) -> RunStatus:
        return replace(self.now, written_at=time.time())

    def event_lines(self, most: int) -> list[str]:
        return self.events[-most:]

    def finish(self) -> None:
        self.finished += 1


@pytest.fixture
def driver() -> Driver:
    return Driver()


@pytest.fixture
def clock(monkeypatch) -> Callable[[float], None]:
    """Let so many seconds pass."""
    now = [1000.0]
    monkeypatch.setattr("launcher.cluster.in_pod.run_state.time.monotonic", lambda: now[0])

    def passes(seconds: float) -> None:
        now[0] += seconds

    return passes


def run_state(api: PodApi, **settings) -> RunState:
    return RunState(
        api.client(), JobObjects(job=JOB, namespace=NAMESPACE, **settings), NoProgress(), sleep=lambda _: None
    )


def begun(api: PodApi, driver: Driver) -> RunState:
    """Return a state whose thread is not needed: the test says when it looks."""
    state = run_state(api)
    state._source = driver
    return state


def test_a_status_is_published_at_once_then_every_five_seconds_when_it_has_changed(api, driver, clock):
    state = begun(api, driver)
    state.update()
    assert api.published()["step"] == 40
    assert api.maps[f"{JOB}-status"]["data"]["events.jsonl"] == '{"event": "driver_started"}\n'
    driver.now = replace(STATUS, step=41)
    clock(4.0)
    state.update()
    assert api.published()["step"] == 40
    clock(1.0)
    state.update()
    assert api.published()["step"] == 41
    clock(5.0)
    state.update()
    assert len(api.patches) == 2  # nothing has changed but the time
    driver.events.append('{"event": "saved"}')
    state.update()
    assert len(api.patches) == 3
    clock(10.0)
    state.update()
    assert len(api.patches) == 4  # a sign of life


def test_a_request_to_stop_is_obeyed_within_two_seconds_and_no_other_is(api, driver, clock):
    state = begun(api, driver)
    for nonsense in ("{", "[]", "7", '{"do": "dance", "id": "a1"}'):
        api.request(nonsense)
        clock(2.0)
        state.update()
    assert driver.finished == 0
    api.request(STOP)
    clock(1.9)
    state.update()
    assert driver.finished == 0
    clock(0.1)
    state.update()
    assert driver.finished == 1


def test_an_api_that_does_not_answer_holds_up_nothing_and_what_changed_is_published_later(api, driver, clock):
    state = begun(api, driver)
    api.is_down = True
    state.update()
    api.is_down = False
    clock(5.0)
    state.update()
    assert api.published()["step"] == 40


def test_a_refusal_of_the_api_and_its_end_are_each_told_once(api, driver, clock):
    told: list[str] = []

    class Messages(NoProgress):
        def message(self, text: str) -> None:
            told.append(text)

    state = RunState(api.client(), JobObjects(job=JOB, namespace=NAMESPACE), Messages())
    state._source = driver
    for is_down in (True, True, False, False):
        api.is_down = is_down
        state.update()
        clock(5.0)
    assert [text.partition(":")[0] for text in told] == [
        "Training goes on, but stop requests cannot be read",
        "Training goes on, but the status cannot be published",
        "Stop requests can be read again.",
        "The status can be published again.",
    ]


def test_the_end_is_published_before_the_pods_are_given_back(api, driver):
    state = run_state(api)
    state.begin(driver)
    driver.now = replace(STATUS, state="done", step=50)
    state.close()
    assert state.end(STATUS).state == "done"
    assert [what for what, _ in api.patches][-3:] == [
        f"configmaps/{JOB}-status",
        f"statefulsets/scale/{JOB}-worker",
        f"statefulsets/scale/{JOB}-server",
    ]
    assert api.published()["step"] == 50
    assert api.replicas == {f"{JOB}-worker": 0, f"{JOB}-server": 0}


def test_the_workers_of_an_mpijob_are_left_to_its_operator(api):
    run_state(api, backend="mpijob").give_back()
    assert api.replicas == {f"{JOB}-worker": 2, f"{JOB}-server": 0}


def test_the_end_is_insisted_on_while_the_api_is_away_and_given_up_without_the_right(api, clock):
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        clock(seconds)
        api.is_down = len(pauses) < 3

    state = RunState(api.client(), JobObjects(job=JOB, namespace=NAMESPACE), NoProgress(), sleep=sleep)
    api.is_down = True
    state.end(replace(STATUS, state="done"))
    assert pauses == [0.5, 1.0, 2.0]
    assert api.replicas[f"{JOB}-worker"] == 0
    api.forbidden.add(("patch", f"statefulsets/scale/{JOB}-server"))
    with pytest.raises(ClusterError, match="403"):
        state.give_back()


def test_what_was_deleted_meanwhile_needs_no_end(api):
    api.replicas.clear()
    api.maps.clear()
    assert run_state(api).end(replace(STATUS, state="done")).state == "done"
    assert {verb for verb, _ in api.calls} == {"patch"}
    assert len(api.calls) == 3  # each once: what is not there is not tried again


def test_an_api_that_stays_away_at_the_end_is_an_error_after_five_minutes(api, clock):
    state = RunState(api.client(), JobObjects(job=JOB, namespace=NAMESPACE), NoProgress(), sleep=clock)
    api.is_down = True
    with pytest.raises(ClusterError, match=r"gives no answer \(Remote end closed connection without response\)\.$"):
        state.give_back()


def publish(api: PodApi, state: str) -> None:
    api.maps[f"{JOB}-status"]["data"] = {"status.json": replace(STATUS, state=state).to_json()}


@pytest.mark.parametrize(
    ("published", "request_", "found"),
    [
        ("done", "", "done"),
        ("failed", "", "failed"),
        ("running", "", None),
        ("starting", STOP, None),
        ("stopped", STOP, "stopped"),  # its driver was ended before it could exit
        ("stopped", "", None),  # resumed
    ],
)
def test_an_end_that_was_published_is_found(api, published, request_, found):
    publish(api, published)
    if request_:
        api.request(request_)
    end = run_state(api).find_end()
    assert (end.state if end else None) == found


def test_without_a_status_or_with_a_damaged_one_the_run_has_not_ended(api):
    assert run_state(api).find_end() is None
    api.maps[f"{JOB}-status"]["data"] = {"status.json": "{"}
    assert run_state(api).find_end() is None


def test_the_newest_lines_are_kept_up_to_a_number_and_a_size():
    lines = [f"{number:03}" for number in range(300)]
    assert newest_within(lines, most=200, most_bytes=10_000) == lines[100:]
    assert newest_within(lines, most=200, most_bytes=9) == lines[-2:]  # 4 bytes each with the end of the line
    assert newest_within([], most=200, most_bytes=9) == []


def config(api: PodApi, tmp_path: Path) -> DriverConfig:
    return DriverConfig(
        run=str(tmp_path / "run"),
        job=JOB,
        service_account=api.folder,
        servers="127.0.0.1:7070",
        token_file=tmp_path / "token",
    )


@pytest.fixture
def driven(api, monkeypatch) -> Callable[[EsmmError | None], None]:
    """Let the driver itself end with an error, or be none at all."""
    for name, value in api.environment.items():
        monkeypatch.setenv(name, value)

    def ends(error: EsmmError | None) -> None:
        def drive(config, progress, *, directory, publisher):
            assert error is not None, "it must not be started"
            raise error

        monkeypatch.setattr(job_module, "drive", drive)

    return ends


@pytest.mark.parametrize("error", [DriverError("worker-0 was lost 6 times"), ConfigError("learning_rate is -1")])
def test_a_failure_that_stays_one_is_published_and_is_no_error_of_the_pod(api, tmp_path, driven, error):
    driven(error)
    result = drive_job(config(api, tmp_path), NoProgress())
    assert result.state == "failed"
    assert (api.published()["state"], api.published()["error"]) == ("failed", str(error))
    assert set(api.replicas.values()) == {0}


def test_a_refusal_of_the_api_is_left_to_the_job_to_try_again(api, tmp_path, driven):
    driven(None)
    api.forbidden.add(("get", f"configmaps/{JOB}-status"))
    with pytest.raises(RetryError, match="refuses to get ConfigMap nightly-status in namespace ml with 403"):
        drive_job(config(api, tmp_path), NoProgress())


def test_a_failure_that_may_pass_is_left_to_the_job_to_try_again(api, tmp_path, driven):
    driven(RetryError("the object store does not answer"))
    with pytest.raises(RetryError, match="object store"):
        drive_job(config(api, tmp_path), NoProgress())
    assert api.published() == {}
    assert api.replicas == {f"{JOB}-worker": 2, f"{JOB}-server": 1}


@pytest.mark.parametrize("state", ["done", "failed"])
def test_a_new_driver_of_a_run_that_has_ended_starts_nothing_and_gives_back_the_pods(api, tmp_path, driven, state):
    driven(None)
    publish(api, state)
    result = drive_job(config(api, tmp_path), NoProgress())
    assert (result.state, result.step) == (state, 40)
    assert set(api.replicas.values()) == {0}


def test_agents_are_found_in_exactly_one_way():
    wrongs: list[dict[str, Any]] = [{}, {"agents_file": Path("agents.json"), "job": JOB}]
    for wrong in wrongs:
        with pytest.raises(ConfigError, match="give exactly one of them. In a pod it is --job NAME"):
            DriverConfig(run="run", servers="127.0.0.1:7070", **wrong)


def test_statuses_are_whole_json(api, driver, clock):
    driver.now = replace(STATUS, error='a "quoted" line\nand another')
    begun(api, driver).update()
    assert json.loads(api.maps[f"{JOB}-status"]["data"]["status.json"])["error"] == driver.now.error
