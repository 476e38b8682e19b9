"""Raw files are known by their path within the raw folder, size, time and content."""

import gzip
import os
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from esmm_dist.errors import ConfigError, InputDataError
from esmm_dist.schema.checksum import file_crc32c
from esmm_dist.schema.manifest import DatasetManifest
from preprocess.config import PreprocessConfig
from preprocess.read.flat.tasks import flat_tasks
from preprocess.read.raw_files import TIMES_NAME, read_times
from preprocess.run import preprocess as run_preprocess
from preprocess.work.workers import PoolTask
from tests.unit.preprocess.flat_logs import HEADER, schema
from tests.unit.preprocess.plans import use_plan
from tests.unit.preprocess.raw_logs import Messages, make_log, rejects, run, shard_bytes

DAYS = "day=*/part-0.csv"


def write_day(raw: Path, day: int, row: str) -> Path:
    folder = raw / f"day={day}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "part-0.csv").write_text(f"{HEADER}\n{row}\n")
    return folder / "part-0.csv"


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Two days whose files have one name and one size."""
    write_day(tmp_path / "raw", 1, "11,u1,,4,red,1,0")
    write_day(tmp_path / "raw", 2, "12,u1,,5,red,0,0")
    return tmp_path / "raw"


def prepare(raw: Path, out: Path) -> DatasetManifest:
    return run(raw, out, schema=schema(raw.parent, DAYS))


def prepare_and_listen(raw: Path, out: Path) -> list[str]:
    messages = Messages()
    common = {"raw": raw, "out": out, "schema": schema(raw.parent, DAYS), "workers": 1}
    run_preprocess(PreprocessConfig(**common, min_count=1, group_size=4, lanes=3, max_reject_share=0.5), messages)  # type: ignore[arg-type]
    return messages.texts


def set_time(path: Path, seconds: int) -> None:
    os.utime(path, (seconds, seconds))


@pytest.mark.parametrize("day", [1, 2])
def test_a_changed_file_of_a_folder_of_days_is_named(raw: Path, tmp_path: Path, day: int):
    before = prepare(raw, tmp_path / "out")
    write_day(raw, day, "13,u1,,6,red,0,0")  # as many bytes
    set_time(raw / f"day={day}/part-0.csv", 1)  # also an older one is another one
    with pytest.raises(
        ConfigError, match=rf"the content of input day={day}/part-0\.csv has changed\. Give another fol"
    ):
        prepare(raw, tmp_path / "out")
    after = prepare(raw, tmp_path / "new")
    assert shard_bytes(tmp_path / "new", after) != shard_bytes(tmp_path / "out", before)


def test_files_that_are_new_gone_or_of_another_size_are_named(raw: Path, tmp_path: Path):
    prepare(raw, tmp_path / "out")
    third = write_day(raw, 3, "13,u1,,6,red,0,0")
    with pytest.raises(ConfigError, match=r"other settings or logs: input day=3/part-0\.csv is new\. Give"):
        prepare(raw, tmp_path / "out")
    third.unlink()
    size = write_day(raw, 2, "12,u1,,5,red,0,0").stat().st_size
    write_day(raw, 2, "12,u1,,51,red,0,0")
    with pytest.raises(ConfigError, match=rf"input day=2/part-0\.csv had {size} bytes and has {size + 1}"):
        prepare(raw, tmp_path / "out")
    (raw / "day=2/part-0.csv").unlink()
    with pytest.raises(ConfigError, match=r"input day=2/part-0\.csv is gone"):
        prepare(raw, tmp_path / "out")


def test_a_copied_log_of_other_times_is_the_same_log(raw: Path, tmp_path: Path):
    prepare(raw, tmp_path / "out")
    copy = tmp_path / "other/raw"
    shutil.copytree(raw, copy, copy_function=shutil.copyfile)
    for day in (1, 2):
        set_time(copy / f"day={day}/part-0.csv", day)
    said = prepare_and_listen(copy, tmp_path / "out")
    assert said == [f"{tmp_path / 'out'} already holds this data set, and its files are complete; nothing to do."]
    assert read_times(tmp_path / "out") == {f"day={day}/part-0.csv": day * 10**9 for day in (1, 2)}


@pytest.mark.parametrize("text", [None, "", "[1]", "{"])
def test_without_the_times_the_content_is_compared(raw: Path, tmp_path: Path, text: str | None):
    prepare(raw, tmp_path / "out")
    times = tmp_path / "out" / TIMES_NAME
    times.unlink() if text is None else times.write_text(text)
    write_day(raw, 1, "13,u1,,6,red,0,0")
    with pytest.raises(ConfigError, match=r"day=1/part-0\.csv has changed"):
        prepare(raw, tmp_path / "out")
    write_day(raw, 1, "11,u1,,4,red,1,0")
    assert "nothing to do" in prepare_and_listen(raw, tmp_path / "out")[0]


def test_a_begun_run_starts_anew_when_a_day_has_changed(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def crash(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("preprocess.stages.records_stage.write_records", crash)
        with pytest.raises(KeyboardInterrupt):
            prepare(raw, tmp_path / "out")
    write_day(raw, 1, "13,u1,,6,red,0,0")
    set_time(raw / "day=1/part-0.csv", 1)
    said = prepare_and_listen(raw, tmp_path / "out")
    assert said[0] == "The unfinished run in this folder had other inputs or settings: starting from the beginning."
    expected = shard_bytes(tmp_path / "whole", prepare(raw, tmp_path / "whole"))
    assert shard_bytes(tmp_path / "out", prepare(raw, tmp_path / "out")) == expected


def test_rejects_name_the_day(raw: Path, tmp_path: Path):
    write_day(raw, 2, "12,u1,,5,red,maybe,0")
    prepare(raw, tmp_path / "out")
    assert rejects(tmp_path / "out") == [("day=2/part-0.csv", 2, "bad_label")]


def test_the_manifest_has_the_checksum_of_each_file_however_it_is_packed(tmp_path: Path, monkeypatch):
    use_plan(monkeypatch, chunk_bytes=300)  # plain files are read in many pieces
    raw = make_log(60).write(tmp_path / "raw")
    plain, packed = raw / "sample_skeleton_test.csv", raw / "sample_skeleton_test.csv.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()
    check_checksums(raw, run(raw, tmp_path / "out"), 4)
    with tarfile.open(raw / "sample_train.tar.gz", "w:gz") as archive:
        for path in sorted(raw.glob("*_train.csv")):
            archive.add(path, path.name)
            path.unlink()
    check_checksums(raw, run(raw, tmp_path / "out2"), 3)


def test_the_manifest_has_the_checksum_of_parquet_files_too(raw: Path, tmp_path: Path):
    (tmp_path / "tables").mkdir()
    for day in (1, 2):
        table = pyarrow.csv.read_csv(raw / f"day={day}/part-0.csv")
        pq.write_table(table, tmp_path / f"tables/{day}.parquet", row_group_size=1)
    manifest = run(tmp_path / "tables", tmp_path / "out", schema=schema(tmp_path, "*.parquet"))
    check_checksums(tmp_path / "tables", manifest, 2)


def check_checksums(raw: Path, manifest: DatasetManifest, files: int) -> None:
    expected = {
        path.name: {"file_bytes": path.stat().st_size, "crc32c": file_crc32c(path)} for path in sorted(raw.iterdir())
    }
    assert len(expected) == files
    assert manifest.settings["inputs"] == expected


def test_a_file_that_is_written_to_while_it_is_read_is_named(raw: Path, tmp_path: Path, monkeypatch):
    def also_writes(*arguments: Any) -> Iterator[PoolTask]:
        tasks = list(flat_tasks(*arguments))
        with (raw / "day=2/part-0.csv").open("a") as file:
            file.write("13,u1,,6,red,0,0\n")
        return iter(tasks)

    monkeypatch.setattr("preprocess.stages.parse_stage.flat_tasks", also_writes)
    with pytest.raises(InputDataError, match=r"day=2/part-0\.csv was changed while it was read .*Run the same command"):
        prepare(raw, tmp_path / "out")
    monkeypatch.undo()
    assert prepare(raw, tmp_path / "out").splits["train"].impressions == 3
