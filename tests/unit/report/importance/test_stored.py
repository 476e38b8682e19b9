"""The importance of fields is kept in a run, and read again as it was."""

import math
from pathlib import Path

import pytest

from esmm_dist.errors import StorageError
from esmm_dist.report.importance.stored import read_importance, write_importance
from esmm_dist.report.sealed_json import sealed_json
from esmm_dist.storage.folder import Folder
from tests.unit.report.importance.test_sections import found_of


def test_what_is_read_is_what_was_written_nan_too(tmp_path: Path) -> None:
    run = Folder.open(tmp_path)
    found = found_of({"a": {"ctr": 0.1, "ctcvr": math.nan}, "b": {"ctr": 0.0, "ctcvr": math.nan}}, not_seen=("c",))
    assert read_importance(run, "test") is None
    assert write_importance(found, run) == f"{tmp_path}/report/importance-test.json"
    again = read_importance(run, "test")
    assert again is not None
    assert repr(again.to_mapping()) == repr(found.to_mapping())  # nan is not equal to itself
    assert again.not_seen == ("c",)
    assert read_importance(run, "validation") is None


def test_it_takes_the_place_of_that_of_an_earlier_time(tmp_path: Path) -> None:
    run = Folder.open(tmp_path)
    write_importance(found_of({"a": {"ctr": 0.1}}), run)
    write_importance(found_of({"b": {"ctr": 0.1}}), run)
    again = read_importance(run, "test")
    assert again is not None
    assert [each.field for each in again.fields] == ["b"]


def test_damaged_file_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "report").mkdir()
    (tmp_path / "report/importance-test.json").write_text('{"run": ')
    with pytest.raises(StorageError, match=r"importance-test\.json is damaged .*Run esmm importance --split test"):
        read_importance(Folder.open(tmp_path), "test")
    (tmp_path / "report/importance-test.json").write_bytes(sealed_json({"run": "run"}))
    with pytest.raises(StorageError, match=r"importance-test\.json"):
        read_importance(Folder.open(tmp_path), "test")


def test_changed_number_is_not_drawn(tmp_path: Path) -> None:
    run = Folder.open(tmp_path)
    file = Path(write_importance(found_of({"a": {"ctr": 0.125}}), run))
    assert "0.125" in file.read_text()
    file.write_text(file.read_text().replace("0.125", "1e999", 1))
    with pytest.raises(StorageError, match=r"importance-test\.json is damaged \(its checksum does not fit\)"):
        read_importance(run, "test")


def test_run_that_cannot_be_written_to_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "report").write_text("a file")
    with pytest.raises(StorageError):
        write_importance(found_of({"a": {"ctr": 0.1}}), Folder.open(tmp_path))
