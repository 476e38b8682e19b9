"""How often files are read, as logs grow."""

import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.unit.preprocess.plans import use_plan
from tests.unit.preprocess.raw_logs import make_log, run

_opened: Counter[str] = Counter()
"""Files of rows and of records that were opened, by the end of their name."""
_is_counting = False


def _count(event: str, arguments: tuple[object, ...]) -> None:
    if _is_counting and event == "open":
        name = str(arguments[0])
        for end in (".rows", ".records"):
            _opened[end] += name.endswith(end)


def opened(folder: Path, monkeypatch: pytest.MonkeyPatch, *, factor: int) -> Counter[str]:
    """Preprocess a log in which partitions, chunks and slices are as many times as many; return what was opened."""
    global _is_counting
    use_plan(monkeypatch, partitions=4 * factor, chunk_bytes=1000)
    raw = make_log(1000 * factor, 50 * factor).write(folder / f"raw-{factor}")
    _opened.clear()
    _is_counting = True
    try:
        run(raw, folder / f"out-{factor}")
    finally:
        _is_counting = False
    return Counter(_opened)


def test_files_are_read_in_a_straight_line_with_the_log_however_many_chunks_and_partitions_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Each chunk was read once for each partition in each pass, and each partition's records once for each slice."""
    sys.addaudithook(_count)  # there is no way to take it off
    monkeypatch.setattr("preprocess.work.merge_blocks.BLOCK_BYTES", 2000)
    monkeypatch.setattr("preprocess.write.merge_records.MOST_FILES", 4)
    monkeypatch.setattr("preprocess.write.lanes.SLICE_BYTES", 10_000)
    small, large = (opened(tmp_path, monkeypatch, factor=factor) for factor in (2, 8))
    assert small[".rows"] > 100
    assert small[".records"] > 20
    # Four times as many; heads of files, which grow with the partitions, are large beside so small chunks. It was 16.
    assert large[".rows"] < 6.5 * small[".rows"]
    assert large[".records"] < 6.5 * small[".records"]
