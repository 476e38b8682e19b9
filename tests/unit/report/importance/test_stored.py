"""The importance of fields is kept in a run, and read again as it was."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from esmm_dist.errors import StorageError
from esmm_dist.report.importance.stored import keep_importance, read_importance, write_importance
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


def test_a_few_fields_do_not_replace_them_and_others_of_the_same_checkpoint(tmp_path: Path) -> None:
    run = Folder.open(tmp_path)
    both, one = found_of({"a": {"ctr": 0.1}, "b": {"ctr": 0.2}}), found_of({"a": {"ctr": 0.1}})

    def fields() -> list[str]:
        again = read_importance(run, "test")
        assert again is not None
        return [each.field for each in again.fields]

    assert keep_importance(one, run) == f"Written to {tmp_path}/report/importance-test.json."
    assert keep_importance(both, run).startswith("Written to ")
    assert keep_importance(one, run).startswith("Not kept in the run: what it has of 2 fields stays. ")
    assert fields() == ["a", "b"]
    assert keep_importance(both, run).startswith("Written to ")  # as many: the newer
    assert keep_importance(replace(one, step=one.step + 1), run).startswith("Written to ")
    assert fields() == ["a"]


def test_a_damaged_result_is_replaced_and_a_run_that_may_only_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "report").mkdir()
    (tmp_path / "report/importance-test.json").write_text('{"run": ')
    assert keep_importance(found_of({"a": {"ctr": 0.1}}), Folder.open(tmp_path)).startswith("Written to ")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/report").write_text("a file")
    assert keep_importance(found_of({"a": {"ctr": 0.1}}), Folder.open(tmp_path / "other")).startswith("Not kept in the")


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
