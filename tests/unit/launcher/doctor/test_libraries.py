"""The doctor on the libraries: each failure says what to do, and a probe that dies is one."""

import sys

import pytest

from launcher.doctor.libraries import ProbeResult, judge_gpu, judge_horovod, judge_tfra, run_probe

GOOD_HOROVOD = {"sum": [1.0, 2.0], "gloo": True, "nccl": False}


@pytest.mark.parametrize(
    ("finding", "status", "text"),
    [
        (judge_tfra(ProbeResult(state={"found": [71, -1, 70]})), "ok", "looked up"),
        (judge_tfra(ProbeResult(state={"found": [71, 0, 70]})), "failed", "looked up [71, 0, 70]"),
        (judge_tfra(ProbeResult(error="undefined symbol")), "failed", "undefined symbol"),
        (judge_horovod(ProbeResult(state=GOOD_HOROVOD)), "ok", "gloo, without NCCL"),
        (judge_horovod(ProbeResult(state=GOOD_HOROVOD | {"nccl": True})), "ok", "gloo and NCCL"),
        (judge_horovod(ProbeResult(state=GOOD_HOROVOD | {"gloo": False})), "failed", "without gloo"),
        (judge_horovod(ProbeResult(state=GOOD_HOROVOD | {"sum": [2.0, 4.0]})), "failed", "is [2.0, 4.0]"),
        (judge_horovod(ProbeResult(error="no module")), "failed", "does not work with TensorFlow: no module"),
        (judge_gpu(ProbeResult(state={"gpus": []}), ProbeResult(state=GOOD_HOROVOD), False), "ok", "none"),
        (judge_gpu(ProbeResult(state={"gpus": []}), ProbeResult(state=GOOD_HOROVOD), True), "note", "sees no GPU"),
        (judge_gpu(ProbeResult(state={"gpus": ["0"]}), ProbeResult(state=GOOD_HOROVOD), True), "note", "lacks NCCL"),
        (judge_gpu(ProbeResult(state={"gpus": ["0"]}), ProbeResult(state={"nccl": True}), True), "ok", "1"),
        (judge_gpu(ProbeResult(error="bad"), ProbeResult(state={"gpus": []}), False), "ok", "none"),
        (judge_gpu(ProbeResult(error="bad"), ProbeResult(error="bad"), False), "failed", "unknown, because"),
    ],
)
def test_a_judgement_says_what_was_found_and_a_bad_one_what_to_do(finding, status, text):
    assert finding.status == status
    assert text in finding.text
    assert bool(finding.remedy) == (status != "ok")


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "killed by signal 11"),
        ("raise ImportError('undefined symbol')", "ImportError: undefined symbol"),
        ("import sys; sys.exit(3)", "ended with status 3"),
        ("import time; time.sleep(60)", "no answer within 1 s"),
    ],
)
def test_a_probe_that_fails_in_any_way_is_an_error_of_one_line(code, error, tmp_path, monkeypatch):
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{code}"\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    assert error in run_probe("tfra", timeout_s=1 if "sleep" in code else 30).error
