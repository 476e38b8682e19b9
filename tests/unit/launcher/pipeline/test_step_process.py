"""Lines of ``esmm`` as processes of their own: their report, their failure, and a signal."""

import os
import signal
import threading
from collections.abc import Sequence

import pytest

from esmm_dist.process.signals import StoppedBySignal
from launcher.command import Outcome
from launcher.pipeline import step_process
from launcher.pipeline.step_process import run_in_process
from launcher.pipeline.step_runner import StepRunner
from launcher.processes.ending import LocalError
from launcher.steps.step import Step
from tests.unit.launcher.commands.played_context import Messages, make_context


def test_the_report_of_a_line_is_returned_and_its_messages_are_shown(tmp_path):
    progress = Messages()
    found = run_in_process(["synth", str(tmp_path / "raw"), "--impressions", "100"], progress)
    assert found["out"] == str(tmp_path / "raw")
    assert any(str(tmp_path / "raw") in text for text in progress.texts)
    assert all(text.startswith("  ") for text in progress.texts)


def test_a_line_that_fails_ends_with_its_message_and_its_status(tmp_path):
    with pytest.raises(LocalError, match="run is .*none, which is not a folder") as caught:
        run_in_process(["checkpoints", str(tmp_path / "none")], Messages())
    assert caught.value.exit_status == 2


def test_a_signal_is_passed_on_and_ends_the_wait(monkeypatch):
    monkeypatch.setattr(step_process, "_command", lambda line: ("/bin/sleep", "600"))
    threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGTERM)).start()
    with pytest.raises(StoppedBySignal) as caught:
        run_in_process(["sleep"], Messages())
    assert caught.value.number == signal.SIGTERM


def runner(result, ran):
    def run_line(line: Sequence[str]) -> Outcome:
        ran.append(("here", list(line)))
        return Outcome(lines=["said"], result=result)

    def run_process(line, progress):
        ran.append(("process", list(line)))
        return result

    return StepRunner(make_context(progress=Messages(), run_line=run_line), run_process)


def step(*args: str) -> Step:
    return Step(name="x", args=args, why="Because.")


@pytest.mark.parametrize(
    ("command", "where"),
    [("train", "process"), ("evaluate", "process"), ("export", "process"), ("preprocess", "here"), ("copy", "here")],
)
def test_what_needs_tensorflow_is_a_process_of_its_own(command, where):
    ran: list[tuple[str, list[str]]] = []
    assert runner({"step": 3}, ran).run(step(command, "a b")) == {"step": 3}
    assert ran == [(where, [command, "a b"])]


def test_several_processes_report_as_json():
    ran: list[tuple[str, list[str]]] = []
    runner({}, ran).run(step("local", "--", "--data", "d"))
    assert ran == [("here", ["local", "--", "--data", "d", "--json"])]


def test_a_step_is_shown_as_the_line_that_a_user_types():
    made = runner({}, [])
    made.run(step("copy", "a b"))
    assert made.progress.texts == ["$ esmm copy 'a b'    # Because.", "  said"]


def test_credentials_of_a_store_are_not_shown():
    made = runner({}, [])
    made.show(step("copy", "s3://KEY:SECRET@bucket/a?region=eu", "here"))
    assert made.progress.texts == ["$ esmm copy 's3://bucket/a?region=eu' here    # Because."]


def test_a_training_that_a_signal_stopped_stops_the_pipeline():
    with pytest.raises(StoppedBySignal) as caught:
        runner({"stopped_by": "SIGTERM"}, []).run(step("train"))
    assert caught.value.number == signal.SIGTERM
