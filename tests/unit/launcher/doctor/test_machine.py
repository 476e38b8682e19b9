"""The doctor on the machine: each failure says what to do."""

from pathlib import Path

import pytest

from launcher.doctor import machine


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
    ],
)
def test_a_judgement_says_what_was_found_and_a_bad_one_what_to_do(finding, status, text):
    assert finding.status == status
    assert text in finding.text
    assert bool(finding.remedy) == (status != "ok")


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
