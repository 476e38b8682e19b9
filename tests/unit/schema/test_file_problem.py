"""Files of a data set against its manifest."""

from pathlib import Path

import google_crc32c
import pytest

from esmm_dist.schema.file_problem import file_problem
from esmm_dist.schema.manifest import DataFile

DATA = b"record"
FILE = DataFile(path="train/a", file_bytes=len(DATA), crc32c=google_crc32c.value(DATA))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "train").mkdir()
    (tmp_path / "train/a").write_bytes(DATA)
    return tmp_path / "train/a"


def test_a_file_as_it_was_written_has_no_problem(tmp_path: Path, path: Path):
    assert file_problem(tmp_path, FILE) is None


def test_a_missing_file_is_named_as_missing(tmp_path: Path, path: Path):
    path.unlink()
    assert file_problem(tmp_path, FILE) == "is missing, but the manifest lists it"


def test_a_file_that_was_cut_off_is_found_by_its_size(tmp_path: Path, path: Path):
    path.write_bytes(DATA[:4])
    assert file_problem(tmp_path, FILE, compare_bytes=False) == "has 4 bytes, the manifest says 6"


def test_changed_bytes_are_found_where_they_are_compared(tmp_path: Path, path: Path):
    path.write_bytes(b"recorD")
    assert file_problem(tmp_path, FILE, compare_bytes=False) is None
    assert file_problem(tmp_path, FILE) == (
        "has another CRC-32C than the manifest says: its bytes changed after it was written"
    )


def test_a_file_that_the_system_does_not_give_is_a_problem(tmp_path: Path, path: Path):
    path.unlink()
    path.parent.rmdir()
    path.parent.write_bytes(b"")  # a file where the folder should be
    assert file_problem(tmp_path, FILE) == "cannot be read (Not a directory)"
