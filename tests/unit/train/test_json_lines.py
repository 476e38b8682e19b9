"""Files that grow by a line: pending lines, and lines that are damaged."""

from collections.abc import Mapping
from typing import Any

import pytest

from esmm_dist.storage.folder import Folder
from esmm_dist.train.json_lines import JsonLines, parsed_lines, read_lines


class Disk:
    """Takes lines until it is full."""

    def __init__(self) -> None:
        self.lines: list[Mapping[str, Any]] = []
        self.is_full = False

    def append(self, entry: Mapping[str, Any]) -> None:
        if self.is_full:
            raise OSError(28, "No space left on device")
        self.lines.append(entry)


def test_what_a_full_disk_refuses_is_written_in_order_once_there_is_room():
    disk = Disk()
    lines = JsonLines(disk.append)
    lines.add({"n": 1})
    disk.is_full = True
    lines.add({"n": 2})
    lines.add({"n": 3})
    assert disk.lines == [{"n": 1}]
    disk.is_full = False
    lines.add({"n": 4})
    assert disk.lines == [{"n": number} for number in (1, 2, 3, 4)]


@pytest.mark.parametrize(
    "damaged",
    [
        b'{"n": 2',  # half a line
        b"[2]",
        b"2",
        b"null",
        b"",
        b"\xff\xfe\x00",
        b"[" * 100_000,  # more than json nests
    ],
)
def test_a_line_that_is_no_object_is_left_out(damaged):
    assert parsed_lines(b'{"n": 1}\n' + damaged + b'\n{"n": 3}\n') == [{"n": 1}, {"n": 3}]


def test_a_file_that_is_missing_has_no_lines(tmp_path):
    assert read_lines(Folder.open(tmp_path), "speed.jsonl") == []
    assert read_lines(Folder.open(tmp_path / "gone"), "speed.jsonl") == []
