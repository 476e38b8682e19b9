"""The doctor's judgements: each failure says what to do."""

import json
import sys
from pathlib import Path

import pytest

from launcher import cli
from launcher.doctor import machine
from launcher.doctor import run as doctor
from launcher.doctor.finding import Finding, finding_lines
from launcher.doctor.libraries import ProbeResult, judge_gpu, judge_horovod, judge_tfra, run_probe
from launcher.doctor.lock import LOCK_FILE, check_lock, judge_versions, read_pins

GOOD_HOROVOD = {"sum": [1.0, 2.0], "gloo": True, "nccl": False}


@pytest.mark.parametrize(
    ("finding", "status", "text"),
    [
        (machine.judge_platform("Linux", "x86_64", "CPython", (3, 11)), "ok", "CPython 3.11 on Linux x86_64"),
        (machine.judge_platform("Darwin", "arm64", "CPython", (3, 11)), "failed", "on Darwin arm64"),
        (machine.judge_platform("Linux", "x86_64", "CPython", (3, 12)), "failed", "CPython 3.12"),
        (machine.judge_memory(machine.MIN_MEMORY_BYTES), "ok", "3 GB free"),
        (machine.judge_memory(machine.MIN_MEMORY_BYTES - 1), "failed", "the demo needs 3 GB"),
        (machine.judge_disk(Path("/x"), machine.MIN_DISK_BYTES), "ok", "2 GB free in /x"),
        (machine.judge_disk(Path("/x"), 10**6), "failed", "1 MB free in /x; the demo needs 2 GB"),
        (machine.judge_compiler("g++ 12"), "ok", "g++ 12"),
        (machine.judge_host_name("localhost"), "ok", "'localhost' resolves to this machine"),
        (machine.judge_host_name("192.0.2.77"), "note", "'192.0.2.77' does not resolve to an address of this machine"),
        (machine.judge_compiler(None), "note", "g++ is not on PATH"),
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


def test_versions_that_differ_from_the_lock_are_named():
    pins = read_pins("# c\nnumpy==1.26.4 \\\n    --hash=sha256:00\n    # via x==1\nrich==15.0.0\ntyro==1.0\n")
    assert pins == {"numpy": "1.26.4", "rich": "15.0.0", "tyro": "1.0"}
    installed = {"numpy": "1.26.4", "rich": "14.0.0"}.get
    finding = judge_versions(pins, installed)
    assert finding.status == "failed"
    assert finding.text.endswith("2 of 3 packages differ from requirements.lock: "
                                 "rich 14.0.0 (lock: 15.0.0), tyro missing (lock: 1.0)")  # fmt: skip
    assert finding.remedy == "Run: make setup"


def test_many_wrong_versions_are_cut_to_five():
    finding = judge_versions({str(i): "1" for i in range(8)}, lambda name: None)
    assert finding.text.count("missing") == 5
    assert finding.text.endswith(" and 3 more")


def test_the_lock_file_of_the_checkout_is_found_and_compared():
    assert len(read_pins(LOCK_FILE.read_text())) > 50
    assert check_lock().status == "ok"


def test_a_missing_lock_file_is_a_note(tmp_path):
    assert check_lock(tmp_path / "none").status == "note"


def test_free_memory_is_what_the_system_and_the_container_leave(tmp_path):
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:  9 kB\nMemAvailable:   8000 kB\n")
    limit, used = tmp_path / "limit", tmp_path / "used"
    assert machine.available_memory_bytes(meminfo, ((limit, used),)) == 8000 * 1024
    limit.write_text("max\n")
    used.write_text("1000\n")
    assert machine.available_memory_bytes(meminfo, ((limit, used),)) == 8000 * 1024
    limit.write_text("5000\n")
    assert machine.available_memory_bytes(meminfo, ((limit, used),)) == 4000


def test_the_compiler_is_asked_for_its_version(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.compiler_version() is None
    compiler = tmp_path / "g++"
    compiler.write_text("#!/bin/sh\necho 'g++ 99'\necho more\n")
    compiler.chmod(0o755)
    assert machine.compiler_version() == "g++ 99"
    compiler.write_text("#!/bin/sh\nexit 1\n")
    assert machine.compiler_version() is None


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


def test_the_command_fails_if_one_check_fails(monkeypatch, capsys):
    bad = Finding(name="TFRA table", status="failed", text="broken", remedy="Mend it.")
    monkeypatch.setattr(doctor, "check_libraries", lambda: [bad])
    assert cli.main(["doctor"]) == 1
    assert "FAILED  TFRA table: broken\n        -> Mend it." in capsys.readouterr().out
    assert cli.main(["doctor", "--json"]) == 1
    result = json.loads(capsys.readouterr().out)
    assert result["ok"] is False
    assert result["checks"][-1] == {"name": "TFRA table", "status": "failed", "text": "broken", "remedy": "Mend it."}


def test_the_command_passes_if_all_checks_do(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "check_libraries", lambda: [])
    monkeypatch.setattr(doctor, "check_machine", lambda folder: [])
    assert cli.main(["doctor"]) == 0
    assert capsys.readouterr().out.endswith("All 1 checks passed.\n")


def test_a_good_finding_is_one_line():
    assert finding_lines(Finding(name="disk", status="ok", text="much")) == ["ok      disk: much"]
