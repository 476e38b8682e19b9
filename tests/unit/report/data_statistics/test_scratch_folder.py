"""The folder of temporary files is removed at its end, also that of a process that was killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from esmm_dist.report.data_statistics.scratch_folder import PREFIX, scratch_folder

_KILLED = """
import os, signal
from esmm_dist.report.data_statistics.scratch_folder import scratch_folder
with scratch_folder() as work:
    (work / "file").write_text("x")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_a_folder_is_removed_at_the_end_and_after_an_error(temporary: Path):
    with scratch_folder() as work:
        (work / "file").write_text("x")
        assert work.is_relative_to(temporary)
    assert list(temporary.iterdir()) == []
    with pytest.raises(ValueError, match="no"), scratch_folder():
        raise ValueError("no")
    assert list(temporary.iterdir()) == []


def test_a_folder_that_is_in_use_stays(temporary: Path):
    with scratch_folder() as first:
        with scratch_folder() as second:
            assert first != second
        assert first.is_dir()


def test_a_killed_process_leaves_what_the_next_one_removes(temporary: Path):
    killed = subprocess.run([sys.executable, "-c", _KILLED], env={**os.environ, "TMPDIR": str(temporary)}, check=False)
    assert killed.returncode == -signal.SIGKILL
    (left,) = temporary.iterdir()
    with scratch_folder():
        assert not left.exists()


def test_a_folder_without_a_lock_is_removed_when_it_is_old(temporary: Path):
    old, young = temporary / f"{PREFIX}old", temporary / f"{PREFIX}young"
    for folder in (old, young):
        folder.mkdir()
    os.utime(old, (0, 0))
    with scratch_folder():
        assert not old.exists()
        assert young.exists()
