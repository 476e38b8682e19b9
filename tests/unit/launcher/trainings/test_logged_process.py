"""A process whose log goes to a file: its progress, its processor time and its report."""

import os
import sys
import time

import pytest

from launcher.trainings.logged_process import LoggedProcess
from launcher.trainings.work_share import WorkShare

PROGRAM = """
import json, sys, time
def tell(**event): print("\\x1e" + json.dumps(event), file=sys.stderr, flush=True)
def burn(seconds):
    until = time.process_time() + seconds
    while time.process_time() < until: pass
print("Hello", file=sys.stderr, flush=True)
burn(0.3)
tell(event="start", task="Training", total=8, unit="steps", done=0)
tell(event="advance", amount=2, note="")
time.sleep(1)
burn(0.5)
tell(event="start", task="Evaluating", total=9, unit="impressions", done=0)
tell(event="advance", amount=9, note="")
print(json.dumps({"step": 8}))
"""


def test_processor_time_before_and_after_the_first_work_is_told_apart(tmp_path):
    process = LoggedProcess("one", [sys.executable, "-c", PROGRAM], tmp_path / "log", os.environ)
    give_up = time.monotonic() + 60
    while not process.poll():
        assert time.monotonic() < give_up
        time.sleep(0.01)
    process.close()
    assert process.result() == {"step": 8}
    assert (tmp_path / "log").read_text() == "Hello\n"
    assert process.begun_share == 2 / 8
    assert process.work.share == 2 / 8  # impressions of the evaluation are no steps
    assert process.begun_cpu_s >= 0.28  # ticks of 10 ms
    assert 0.48 <= process.cpu_s - process.begun_cpu_s < 0.9


def test_work_that_is_done_before_counts_and_more_than_all_is_all():
    work = WorkShare("runs")
    assert work.share == 0
    work.start("Comparing", 10, "runs", 5)
    work.advance(2)
    assert work.share == pytest.approx(0.7)
    work.advance(99)
    assert work.share == 1
    work.message("a")
    assert (work.take_messages(), work.take_messages()) == (["a"], [])
