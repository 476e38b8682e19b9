"""What publishes beside a training: one at a time, and whatever happens to it the training goes on."""

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from esmm_dist.errors import ConfigError
from esmm_dist.progress import NoProgress
from esmm_dist.reporter import NoReporter
from esmm_dist.storage.folder import Folder
from esmm_dist.train import publish_process
from esmm_dist.train.config import EvaluationConfig
from esmm_dist.train.publish_config import PublishConfig
from esmm_dist.train.publisher import ModelPublisher, calibration_warning, publisher_of_rank
from esmm_dist.train.stop_signal import StopSignal
from tests.unit.train import publish_stand_in


class Lines(NoProgress):
    def __init__(self):
        self.messages: list[str] = []

    def message(self, text):
        self.messages.append(text)


class Events(NoReporter):
    def __init__(self):
        self.events: list[tuple] = []

    def event(self, name, **facts):
        self.events.append((name, facts))


@pytest.fixture
def publisher(tmp_path):
    (tmp_path / "run").mkdir()
    config = PublishConfig(publish=str(tmp_path / "models"), publish_every_steps=10, publish_keep=2)
    made = ModelPublisher(config, Folder.open(tmp_path / "run"), Lines(), Events())
    yield made
    made.close()


def orders(place):
    path = place / "orders.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def until_done(publisher):
    deadline = time.monotonic() + 20
    while publisher.step_in_work is not None:
        assert time.monotonic() < deadline
        publisher.poll()
        time.sleep(0.01)


def test_a_version_is_published_beside_the_training(place, publisher, tmp_path):
    (place / "wait").touch()
    publisher.begin(10)
    assert publisher.step_in_work == 10  # whose checkpoint must stay
    publisher.poll()
    assert publisher.published.versions == 0
    (place / "wait").unlink()
    until_done(publisher)
    [order] = orders(place)
    assert (order["run"], order["models"]) == (str(tmp_path / "run"), str(tmp_path / "models"))
    assert (order["step"], order["full_every"], order["keep"]) == (10, 10, 2)
    published = publisher.published
    assert (published.versions, published.newest, published.newest_step) == (1, "10", 10)
    assert publisher._progress.messages == [
        "Publishing: Warning: look here",
        "Published version 10, the model at step 10: 3 rows, 0.0 MB, 0.5 s",
    ]
    assert publisher._reporter.events == [("published", {"step": 10, "version": "10"})]
    assert published.lines() == [f"Published 1 version to {tmp_path}/models; the newest is 10, the model at step 10."]


def test_one_that_is_due_while_another_runs_is_left_out_and_counted(place, publisher):
    (place / "wait").touch()
    publisher.begin(10)
    publisher.begin(10)  # the same step again, as after a change of the ranks
    publisher.begin(20)
    (place / "wait").unlink()
    until_done(publisher)
    publisher.begin(30)
    until_done(publisher)
    assert [each["step"] for each in orders(place)] == [10, 30]
    published = publisher.published
    assert (published.versions, published.skipped, published.newest_step) == (2, 1, 30)
    assert "The model at step 20 is not published: that at step 10 is still being exported." in (
        publisher._progress.messages
    )
    assert published.lines()[1].startswith("1 version left out, because the one before was still being exported")


@pytest.mark.parametrize(
    ("end", "text"),
    [
        ("refused", "The folder is full."),
        ("killed", "Its process ended with status 1: Out of something."),
    ],
)
def test_a_failure_is_said_and_counted_and_the_next_one_is_tried(place, publisher, end, text):
    (place / "end").write_text(end)
    publisher.begin(10)
    until_done(publisher)
    failed = publisher.published
    assert (failed.versions, failed.failures, failed.last_error) == (0, 1, text)
    assert publisher._progress.messages[-1] == (
        f"Publishing the model at step 10 failed; training goes on without it. {text}"
    )
    assert publisher._reporter.events == [("not_published", {"step": 10, "error": text})]
    assert failed.lines() == ["Publishing failed 1 time.", f"Warning: the newest model is not published: {text}"]
    (place / "end").unlink()
    publisher.begin(20)
    until_done(publisher)
    assert (publisher.published.versions, publisher.published.last_error) == (1, None)


def test_a_process_that_is_killed_is_a_failure(place, publisher):
    (place / "wait").touch()
    publisher.begin(10)
    os.kill(publisher._process._process.pid, 9)
    until_done(publisher)
    assert publisher.published.last_error == (
        "Its process ended by signal 9, as a process does that takes more memory than there is."
    )


def test_a_process_that_cannot_start_is_a_failure(place, publisher, monkeypatch):
    monkeypatch.setattr(publish_process, "tied_to_this_process", lambda command: ["/no/such/program"])
    publisher.begin(10)
    assert publisher.published.failures == 1
    assert "No process can be started: " in str(publisher.published.last_error)


def test_the_end_waits_for_what_runs_and_publishes_the_last_step(place, publisher):
    publisher.begin(10)
    with StopSignal() as stop:
        publisher.finish(14, stop)
    assert [each["step"] for each in orders(place)] == [10, 14]
    assert (publisher.published.versions, publisher.published.newest_step) == (2, 14)


def test_a_signal_ends_the_wait(place, publisher, tmp_path):
    (place / "wait").touch()
    publisher.begin(10)
    with StopSignal() as stop:
        stop.name = "SIGTERM"
        publisher.finish(14, stop)
    pid = publisher._process._process.pid
    publisher.close()
    publisher.close()
    assert not Path(f"/proc/{pid}").exists()
    assert list((tmp_path / "run").iterdir()) == []


def test_the_process_is_no_rank_and_sees_no_gpu(place, publisher, monkeypatch):
    monkeypatch.setenv("HOROVOD_RANK", "1")
    environment = publish_process._environment(os.environ)
    assert "HOROVOD_RANK" not in environment
    assert environment["CUDA_VISIBLE_DEVICES"] == ""
    assert str(Path(publish_stand_in.__file__).parents[3]) in environment["PYTHONPATH"].split(os.pathsep)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"publish": " "}, "publish is empty"),
        ({"publish": "models", "publish_every_steps": -1}, "publish_every_steps is -1. Set 0 or more."),
        ({"publish": "models", "publish_full_every": 0}, "publish_full_every is 0. Set 1 "),
        ({"publish": "models", "publish_keep": 0}, "publish_keep is 0. Keep at least 1."),
        ({"publish_every_steps": 5}, r"publish_every_steps is 5, and publish names no folder. .*--publish MODELS"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        PublishConfig(**settings)


def test_who_is_rank_0_no_more_ends_what_it_publishes(place, publisher, context_of, tmp_path):
    context = context_of(tmp_path / "other-run", publishing={"publish": str(tmp_path / "models")})
    (place / "wait").touch()
    publisher.begin(10)
    kept = [publisher_of_rank(context, publisher)]  # it still is rank 0
    assert kept == [publisher]
    assert publisher.step_in_work == 10
    kept = [publisher_of_rank(replace(context, run=None), publisher)]
    assert kept == [None]
    assert publisher.step_in_work is None
    begun = publisher_of_rank(context, None)
    assert begun is not None
    assert begun.published.place == str(tmp_path / "models")


@pytest.mark.parametrize(
    ("publishing", "evaluation", "warns"),
    [
        (10, {"eval_every_steps": 5, "eval_max_impressions": 0}, False),
        (10, {"eval_every_steps": 5, "eval_max_impressions": 3}, True),  # on a part of the split
        (10, {"eval_every_steps": 4, "eval_max_impressions": 0}, True),  # at steps 10, 30, ... there is none
        (10, {"eval_every_steps": 0}, True),
        (10, {"eval_every_steps": 0, "calibrate": "none"}, False),
        (0, {"eval_every_steps": 0}, False),  # the end alone
    ],
)
def test_versions_without_a_calibration_are_warned_of(context_of, tmp_path, publishing, evaluation, warns):
    places = {"publish": str(tmp_path / "models"), "publish_every_steps": publishing}
    context = context_of(tmp_path / "run", publishing=places)
    settings = EvaluationConfig(**{"calibrate": "platt", "eval_split": "test", **evaluation})
    warning = calibration_warning(replace(context.config, evaluation=settings), context.manifest)
    assert (warning is not None) == warns
    if warning is not None:
        assert "Set --eval-every-steps 10 --eval-max-impressions 0 to calibrate each of them" in warning
