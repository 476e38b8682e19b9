"""Files written piece by piece: their size and checksum are those of the file, and a full disk is said."""

import errno

import google_crc32c
import pyarrow as pa
import pytest

from esmm_dist.errors import StorageError
from esmm_dist.storage.checksummed_output import checksummed_output
from esmm_dist.storage.folder import Folder


def test_size_and_checksum_are_those_of_the_file(tmp_path):
    with checksummed_output(Folder.open(tmp_path), "f") as output:
        assert output.write(b"one") == 3
        output.write(pa.py_buffer(b", two"))
        with pa.PythonFile(output, mode="w") as file:  # its end does not end the stream
            file.write(b", three")
        output.write(b".")
    data = (tmp_path / "f").read_bytes()
    assert data == b"one, two, three."
    assert (output.size, output.crc32c) == (len(data), google_crc32c.value(data))


def test_a_disk_that_is_full_is_named(tmp_path, monkeypatch):
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with (
        pytest.raises(StorageError, match="f cannot be written: No space left on device"),
        checksummed_output(Folder.open(tmp_path), "f") as output,
    ):
        output.write(b"x")
