"""The kept lines of each process: the newest, within a bounded size."""

import re
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from launcher.run_files.log_files import LogFiles, log_path, older

STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00 ")


def kept(folder: Path, name: str) -> list[str]:
    path = log_path(folder, name)
    text = "".join(each.read_text(errors="surrogateescape") for each in (older(path), path) if each.exists())
    lines = text.split("\n")[:-1]
    assert all(STAMP.match(line) for line in lines)
    return [STAMP.sub("", line) for line in lines]


def no_refusal(text: str) -> None:
    raise AssertionError(text)


@pytest.mark.parametrize(
    ("name", "file"),
    [("server 0", "server-0.log"), ("worker-1", "worker-1.log"), ("local", "local.log"), ("a/../b", "a-..-b.log")],
)
def test_each_process_has_a_file_within_the_folder(tmp_path, name, file):
    logs = LogFiles(tmp_path / "logs", no_refusal)
    logs.write(name, "a")
    logs.close()
    assert [path.name for path in (tmp_path / "logs").iterdir()] == [file]


def test_the_folder_comes_with_the_first_line(tmp_path):
    logs = LogFiles(tmp_path / "logs", no_refusal)
    assert not (tmp_path / "logs").exists()
    logs.write("driver", "a")
    assert kept(tmp_path / "logs", "driver") == ["a"]
    logs.close()
    logs.close()


def test_each_line_of_a_text_has_its_time_and_so_has_an_empty_one(tmp_path):
    logs = LogFiles(tmp_path, no_refusal)
    logs.write("driver", "a\nb")
    logs.write("driver", "")
    logs.close()
    assert kept(tmp_path, "driver") == ["a", "b", ""]


def test_bytes_of_a_path_that_are_no_text_are_kept_as_they_are(tmp_path):
    logs = LogFiles(tmp_path, no_refusal)
    logs.write("driver", b"\xff".decode(errors="surrogateescape"))
    logs.close()
    assert log_path(tmp_path, "driver").read_bytes().endswith(b" \xff\n")


def test_lines_of_a_later_start_come_after_those_of_an_earlier_one(tmp_path):
    for text in ("first", "second"):
        logs = LogFiles(tmp_path, no_refusal)
        logs.write("driver", text)
        logs.close()
    assert kept(tmp_path, "driver") == ["first", "second"]


@given(sizes=st.lists(st.integers(0, 60), min_size=1, max_size=40), most_bytes=st.integers(100, 300))
def test_what_is_kept_is_the_end_of_what_was_written_in_two_files_of_bounded_size(tmp_path_factory, sizes, most_bytes):
    folder = tmp_path_factory.mktemp("logs")
    lines = [f"{number} {'x' * size}" for number, size in enumerate(sizes)]
    logs = LogFiles(folder, no_refusal, most_bytes=most_bytes)
    for line in lines:
        logs.write("driver", line)
    logs.close()
    found = kept(folder, "driver")
    assert found
    assert found == lines[-len(found) :]
    path = log_path(folder, "driver")
    written = sum(len(line) + len("2026-01-01T00:00:00.000+00:00 \n") for line in lines)
    for each in (path, older(path)):
        assert not each.exists() or each.stat().st_size <= most_bytes
    if written <= most_bytes:
        assert found == lines


def test_a_disk_that_refuses_is_told_once_and_ends_only_the_logs(tmp_path):
    refusals: list[str] = []
    (tmp_path / "logs").write_text("a file is in the way")
    logs = LogFiles(tmp_path / "logs", refusals.append)
    for _ in range(3):
        logs.write("driver", "a")
    logs.close()
    assert len(refusals) == 1
    assert re.search(r"logs cannot be written \(.*\): from now on the lines are shown here only\.", refusals[0])
