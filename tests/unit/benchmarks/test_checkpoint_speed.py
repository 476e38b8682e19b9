"""What saving is compared with copies, writes and reads all bytes."""

import numpy as np

from esmm_dist.embedding.table_files import TableFile
from tests.benchmarks.checkpoint_speed import copy, read, write


def file(name: str, size: int) -> TableFile:
    return TableFile(
        path=name, table="t", kind="rows", first_bucket=0, last_bucket=1, rows=1, file_bytes=size, crc32c=0
    )


def test_a_copy_is_whole_and_a_write_and_a_read_are_of_as_many_bytes(tmp_path):
    source, copied, written = (tmp_path / name for name in ("source", "copied", "written"))
    for folder in (source, copied, written):
        folder.mkdir()
    (source / "a").write_bytes(b"x" * 3_000_000)
    (source / "b").write_bytes(b"abc")
    copy(source, copied)
    assert (copied / "a").read_bytes() == b"x" * 3_000_000
    files = [file("a", 3_000_000), file("b", 3)]
    data = np.zeros(3_000_000, dtype=np.uint8)
    write(written, files, data)
    assert [(written / name).stat().st_size for name in "ab"] == [3_000_000, 3]
    read(source, files, data)
    assert data[:5].tobytes() == b"abcxx"
