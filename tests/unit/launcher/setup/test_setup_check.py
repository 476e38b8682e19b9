"""What a machine that lacks something is told, before anything is downloaded."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[4]
TOOLS = ("sh", "uname", "df", "awk", "printf", "cat", "sha256sum", "dirname", "mkdir", "env", "make")


@pytest.fixture
def machine(tmp_path):
    """A PATH on which everything is found that set-up needs; tests take parts away."""
    found = {name: path for name in TOOLS for path in [f"/usr/bin/{name}"] if os.path.exists(path)}
    assert found.keys() == set(TOOLS)
    for name, path in found.items():
        (tmp_path / name).symlink_to(path)
    write(tmp_path, "python3.11", "exit 0")
    write(tmp_path, "g++", "cat > /dev/null")
    return tmp_path


def write(folder, name, body):
    (folder / name).unlink(missing_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{body}\n")
    (folder / name).chmod(0o755)


def check(folder, **environment):
    return subprocess.run(
        ["/bin/sh", str(REPOSITORY / "launcher/setup/environment.sh"), "--check"],
        env={"PATH": str(folder), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_complete_machine_passes_in_silence(machine):
    done = check(machine)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def no_python(machine):
    (machine / "python3.11").unlink()


def other_python(machine):
    no_python(machine)
    write(machine, "python3", 'case "$1" in --version) echo Python 3.12.1 ;; *) exit 1 ;; esac')


def no_compiler(machine):
    (machine / "g++").unlink()


def compiler_without_headers(machine):
    write(machine, "g++", "exit 1")


def no_make(machine):
    (machine / "make").unlink()


def no_venv(machine):
    write(machine, "python3.11", 'case "$2" in *ensurepip*) exit 1 ;; esac')


def no_venv_and_an_old_uv(machine):
    write(machine, "python3.11", 'case "$1 $2" in *ensurepip*|"- uv 0.1.0") exit 1 ;; esac')
    write(machine, "uv", "echo uv 0.1.0")


def other_machine(machine):
    write(machine, "uname", 'case "$1" in -s) echo Linux ;; *) echo aarch64 ;; esac')


def small_disk(machine):
    write(machine, "df", "printf 'Filesystem blocks used free use on\\nx 9 9 1900000 9%% /\\n'")


@pytest.mark.parametrize(
    ("take_away", "message"),
    [
        (no_python, "CPython 3.11 is missing (python3 is: nothing): install it"),
        (other_python, "CPython 3.11 is missing (python3 is: Python 3.12.1): install it"),
        (no_compiler, "a C++17 compiler is missing (g++ does not compile a small program)"),
        (compiler_without_headers, "sudo apt-get install g++"),
        (no_make, "make is missing"),
        (no_venv, "sudo apt-get install python3.11-venv"),
        (no_venv_and_an_old_uv, "or install uv 0.9.0 or newer"),
        (other_machine, "this machine is Linux aarch64"),
        (small_disk, "has 1 GB free, and the environment takes 3"),
    ],
)
def test_what_is_missing_gets_one_sentence_that_says_what_to_do(machine, take_away, message):
    take_away(machine)
    done = check(machine)
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("esmm_dist: ")
    assert message in done.stderr


def test_a_uv_that_is_new_enough_needs_no_venv_module(machine):
    no_venv(machine)
    write(machine, "uv", "echo uv 0.13.9")
    assert check(machine).returncode == 0


def test_another_python_can_be_named(machine):
    no_python(machine)
    write(machine, "mypython", "exit 0")
    assert check(machine, PYTHON="mypython").returncode == 0
    done = check(machine, PYTHON="absent")
    assert "(absent is: nothing)" in done.stderr


@pytest.mark.parametrize(("version", "enough"), [("0.8.99", False), ("0.9.0", True), ("0.10.1", True), ("1.0.0", True)])
def test_versions_of_uv_are_compared_as_numbers(machine, version, enough):
    (machine / "python3.11").unlink()
    (machine / "python3.11").symlink_to(sys.executable)
    write(machine, "uv", f"echo 'uv {version} (x86_64-unknown-linux-gnu)'")
    script = f". {REPOSITORY}/launcher/setup/check.sh; PYTHON_311=python3.11; esmm_uv_is_new_enough"
    done = subprocess.run(["/bin/sh", "-c", script], env={"PATH": str(machine)}, check=False)
    assert (done.returncode == 0) == enough


def test_a_horovod_for_gpus_needs_cudas_compiler(machine, tmp_path):
    gpu = {"HOROVOD_GPU_OPERATIONS": "NCCL", "HOROVOD_CUDA_HOME": str(tmp_path / "cuda")}
    done = check(machine, **gpu)
    assert done.returncode == 1
    assert "nvcc is missing, and HOROVOD_GPU_OPERATIONS=NCCL asks for a Horovod for GPUs" in done.stderr
    (tmp_path / "cuda/bin").mkdir(parents=True)
    write(tmp_path / "cuda/bin", "nvcc", "exit 0")
    assert check(machine, **gpu).returncode == 0
