"""A place that nothing can be written to is named in one sentence, whatever is wrong with it."""

import subprocess
import sys
from pathlib import Path

import pytest

from launcher.cli import main
from launcher.doctor.libraries import run_probe
from tests.support.small_disk import read_only
from tests.unit.preprocess.raw_logs import make_log, small_schema

ROOT = Path(__file__).resolve().parents[4]
LONG = "x" * 300

PLACES = {
    "dangling": "dangling is a link to nowhere/at/all, which does not exist",
    "dangling/out": "dangling is a link to nowhere/at/all, which does not exist",
    "loop": "loop",
    "file/out": "file",
    LONG: LONG,
    "locked/out": "locked/out",
}


@pytest.fixture
def places(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("dangling").symlink_to("nowhere/at/all")
    Path("loop").symlink_to("loop2")
    Path("loop2").symlink_to("loop")
    Path("file").write_text("x")
    make_log(200, 9).write(Path("raw"))
    small_schema(Path("schema"))
    Path("locked").mkdir()
    with read_only(Path("locked")):
        yield


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "line",
    ["synth OUT --impressions 300", "preprocess raw OUT --schema schema/small.yaml", "copy raw OUT"],
    ids=lambda line: line[:5],
)
def test_a_place_that_cannot_be_written_is_named(places, line, place, capsys):
    assert main([word.replace("OUT", place) for word in line.split()]) in (1, 2)
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("esmm: ")
    assert PLACES[place] in said


def test_a_current_folder_that_was_removed_is_named(tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    code = (
        "import os, sys; from launcher.cli import main; os.rmdir(os.getcwd());"
        f"sys.exit(main(['synth', '{tmp_path}/raw', '--impressions', '300']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=gone,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert (
        done.stderr
        == f"esmm: The current folder {gone} was removed. Change to another folder (cd), and run the command again.\n"
    )


OPENS_POOL = """
import sys
from pathlib import Path
from esmm_dist.errors import StackError
from preprocess.work.workers import open_pool

try:
    with open_pool(Path(sys.argv[1]), int(sys.argv[2])):
        print("opened")
except StackError as e:
    print(e)
"""


@pytest.mark.parametrize("options", ["ro", "size=4k"])
def test_shared_memory_that_cannot_be_written_is_named_and_one_worker_does_without(tmp_path, options):
    space = ["unshare", "--mount", "sh", "-c"]
    mount = f"mount -t tmpfs -o {options} tmpfs /dev/shm && (cat /dev/zero > /dev/shm/all 2>/dev/null; true)"
    if subprocess.run([*space, mount], stderr=subprocess.DEVNULL, check=False).returncode:
        pytest.skip("only root can mount something else at /dev/shm")
    said = []
    for workers in ("2", "1"):
        line = [*space, f'{mount} && exec "$@"', "sh", sys.executable, "-c", OPENS_POOL, str(tmp_path), workers]
        done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True)
        said.append(done.stdout)
    assert said[0].startswith("/dev/shm cannot be written (")
    assert "give --workers 1" in said[0]
    assert said[1] == "opened\n"


@pytest.mark.parametrize("name", ["random.py", "token.py", "launcher.py"])
@pytest.mark.parametrize("how", [["-P", "-m", "launcher"], ["-m", "launcher"]])
def test_modules_of_the_users_folder_stand_for_none_of_ours(tmp_path, name, how):
    if name == "launcher.py" and "-P" not in how:
        pytest.skip("python -m launcher is the user's own then")
    (tmp_path / name).write_text("raise SystemExit('the wrong one')\n")
    done = subprocess.run(
        [sys.executable, *how, "synth", "raw", "--impressions", "300"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_doctors_probes_take_no_module_of_the_users_folder(tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("raise SystemExit('the wrong one')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    assert run_probe("nothing").error == "KeyError: 'nothing'"
