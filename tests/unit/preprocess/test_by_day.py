"""A data set of each day, each continuing the one before, and counts over all days."""

import random
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from esmm_dist.errors import ConfigError, InputDataError
from esmm_dist.progress import NoProgress
from esmm_dist.schema.manifest import DatasetManifest
from launcher.commands.data_set_report import days_lines
from preprocess.by_day import preprocess_by_day
from preprocess.config import PreprocessConfig
from preprocess.run import preprocess
from tests.unit.preprocess.plans import use_plan
from tests.unit.preprocess.raw_logs import Messages, files, run

SCHEMA = """
name: own
labels: [click, conversion]
source:
  form: flat
  files: {train: "log*.csv"}
  labels: {click: clicked, conversion: bought}
  time: at
fields:
  - {name: user, owner: user}
  - {name: item, owner: item}
  - {name: seen, owner: user, multi_hot: true, ids_of: item}
  - {name: price, owner: item, numeric: {buckets: quantile 3}}
  - {name: weekday, owner: context, of_time: weekday}
"""
COUNTED = ("vocabulary.parquet", "rare_ids.parquet")


def rows_of(day: int, rows: int = 70, seed: int = 3) -> list[str]:
    """Rows of 2024-03-``day`` whose users and items are drawn with a long tail."""
    draw = random.Random(seed * 100 + day)

    def item() -> int:
        return int(draw.paretovariate(0.8)) + 10 * (day % 3)

    return [
        f"{draw.randrange(25)},{item()},{item()}|{item()},2024-03-{day:02}T{draw.randrange(24):02}:15,{n % 9},{n % 2},0"
        for n in range(rows)
    ]


def write(folder: Path, rows: list[str], name: str = "log-1.csv") -> Path:
    raw = folder / "raw"
    raw.mkdir(exist_ok=True, parents=True)
    (raw / name).write_text("\n".join(["user,item,seen,at,price,clicked,bought", *rows]) + "\n")
    (folder / "own.yaml").write_text(SCHEMA)
    return raw


def by_day(folder: Path, out: str = "days", **settings: object) -> dict[str, DatasetManifest]:
    chosen: dict[str, object] = {"schema": str(folder / "own.yaml"), "min_count": 3, "lanes": 3, "workers": 1}
    config = PreprocessConfig(raw=folder / "raw", out=folder / out, by_day=True, **(chosen | settings))  # type: ignore[arg-type]
    return preprocess_by_day(config, NoProgress())


def counts(out: Path) -> dict[tuple[str, int], int]:
    tables = [pq.read_table(out / name).to_pydict() for name in COUNTED]
    return {
        (field, id_): count
        for table in tables
        for field, id_, count in zip(table["field"], table["feature_id"], table["count"], strict=True)
    }


# The 5th has no impressions. Rows of a day are anywhere in the file
ROWS = [row for day in (3, 4, 6) for row in rows_of(day)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("days")
    write(folder, random.Random(1).sample(ROWS, len(ROWS)))
    return folder


@pytest.fixture(scope="module")
def days(folder: Path) -> dict[str, DatasetManifest]:
    return by_day(folder)


def test_each_day_with_impressions_is_a_data_set_that_continues_the_one_before(
    folder: Path, days: dict[str, DatasetManifest]
):
    assert list(days) == ["2024-03-03", "2024-03-04", "2024-03-06"]
    assert sorted(path.name for path in (folder / "days").iterdir()) == list(days)
    assert [manifest.splits["train"].impressions for manifest in days.values()] == [70, 70, 70]
    first, *others = days.values()
    assert "known_ids_crc32c" not in first.settings
    for before, manifest in zip(days.values(), others, strict=False):
        listed = {file.path: file.crc32c for file in before.other_files}
        assert manifest.settings["known_ids_crc32c"] == {name: listed[name] for name in COUNTED}
        assert manifest.schema == first.schema  # the edges of the first day's prices


def test_counts_of_the_last_day_are_those_of_all_days_in_one_data_set(folder: Path, days: dict[str, DatasetManifest]):
    price = days["2024-03-03"].schema
    together = run(folder / "raw", folder / "all", schema=None, like=str(folder / "days" / "2024-03-03"),
                   vocabulary=str(_without_ids(folder)), min_count=3)  # fmt: skip
    assert together.schema == price
    found = counts(folder / "all")
    assert counts(folder / "days" / "2024-03-06") == found
    assert len({count for count in found.values() if count < 3}) == 2
    vocabularies = [pq.read_table(folder / name / COUNTED[0]) for name in ("all", "days/2024-03-06")]
    assert vocabularies[0].equals(vocabularies[1])


def _without_ids(folder: Path) -> Path:
    """A vocabulary without ids, so that the schema of --like is used and none of its counts."""
    empty = folder / "empty"
    empty.mkdir()
    pq.write_table(pq.read_table(folder / "days" / "2024-03-03" / COUNTED[0]).slice(0, 0), empty / COUNTED[0])
    return empty


def test_the_days_are_what_preprocess_makes_of_each_with_days_and_like(folder: Path, days: dict[str, DatasetManifest]):
    like: dict[str, object] = {"schema": str(folder / "own.yaml")}
    for day in days:
        one = folder / "one" / day
        settings = {"min_count": 3, "group_size": None, "lanes": 3, **like}
        run(folder / "raw", one, days=day, **(settings | ({"group_size": 1} if "like" in like else {})))
        assert files(one) == files(folder / "days" / day)
        like = {"schema": str(folder / "own.yaml"), "like": str(one)}


def test_run_again_it_finds_all_done_and_a_grown_log_adds_its_new_days(tmp_path: Path, monkeypatch):
    write(tmp_path, ROWS[:140])
    days = by_day(tmp_path)
    assert list(days) == ["2024-03-03", "2024-03-04"]
    before = files(tmp_path / "days")
    assert by_day(tmp_path) == days
    write(tmp_path, ROWS[140:], "log-2.csv")
    use_plan(monkeypatch, workers=1, chunk_bytes=900)
    grown = by_day(tmp_path)
    assert list(grown) == ["2024-03-03", "2024-03-04", "2024-03-06"]
    assert {name: data for name, data in files(tmp_path / "days").items() if "03-06" not in name} == before
    whole = tmp_path / "whole"
    write(whole, ROWS)
    by_day(whole)
    for name in COUNTED:
        ids = [pq.read_table(folder / "days" / "2024-03-06" / name) for folder in (tmp_path, whole)]
        assert ids[0].equals(ids[1])
    write(tmp_path, rows_of(4, rows=1), "log-3.csv")
    with pytest.raises(
        ConfigError,
        match=r"2024-03-04 holds a data set of 70 impressions of 2024-03-04, and the log has 71 of that day",
    ):
        by_day(tmp_path)


def test_stopped_within_a_day_it_goes_on_there(folder: Path, days: dict[str, DatasetManifest], monkeypatch):
    calls = []

    def stop(run_, parsed):
        calls.append(run_)
        if len(calls) == 2:
            raise KeyboardInterrupt
        from preprocess.stages.merge_stage import merge_rows

        return merge_rows(run_, parsed)

    with monkeypatch.context() as patch:
        patch.setattr("preprocess.run.merge_rows", stop)
        with pytest.raises(KeyboardInterrupt):
            by_day(folder, "stopped")
    (folder / "stopped" / ".days").mkdir()  # as a kill leaves it
    again = by_day(folder, "stopped")
    assert again == days
    assert files(folder / "stopped") == files(folder / "days")


def test_days_choose_among_them_and_another_data_set_may_come_before(
    folder: Path, days: dict[str, DatasetManifest], tmp_path: Path
):
    config = PreprocessConfig(
        raw=folder / "raw", out=tmp_path / "later", like=str(folder / "days" / "2024-03-03"), by_day=True,
        days="2024-03-04..2024-03-31", min_count=3, lanes=3, group_size=1,
    )  # fmt: skip
    later = preprocess_by_day(config, NoProgress())
    assert list(later) == ["2024-03-04", "2024-03-06"]
    for day in later:
        assert counts(tmp_path / "later" / day) == counts(folder / "days" / day)


def test_what_is_printed_lists_the_days(folder: Path, days: dict[str, DatasetManifest]):
    messages = Messages()
    config = PreprocessConfig(
        raw=folder / "raw", out=folder / "days", schema=str(folder / "own.yaml"), by_day=True, min_count=3, lanes=3
    )
    preprocess_by_day(config, messages)
    assert messages.texts[0] == "3 days have impressions: 2024-03-03, 2024-03-04, 2024-03-06."
    assert "2024-03-04 (2 of 3): 70 impressions" in messages.texts
    lines = days_lines(folder / "days", days)
    assert lines[0] == f"3 data sets in {folder / 'days'}, each continuing the one before:"
    sizes = [manifest.vocabulary_size for manifest in days.values()]
    assert lines[1].split() == ["day", "split", "impressions", "click", "conversion", "ids", "new", "ids"]
    assert lines[2].split() == ["2024-03-03", "train", "70", "35", "0", f"{sizes[0]}", f"{sizes[0]}"]
    assert lines[4].split() == ["2024-03-06", "train", "70", "35", "0", f"{sizes[2]}", f"{sizes[2] - sizes[1]}"]


def test_folders_and_settings_that_do_not_fit_are_refused(
    folder: Path, days: dict[str, DatasetManifest], tmp_path: Path
):
    with pytest.raises(ConfigError, match=r"2024-03-03 holds a data set, and --by-day makes a folder of them"):
        by_day(folder, "days/2024-03-03")
    with pytest.raises(ConfigError, match=r"raw holds log-1\.csv, and --by-day makes a folder of data sets alone"):
        by_day(folder, "raw")
    with pytest.raises(InputDataError, match=r"No impression is of 2024-03-05: those of the log are of 2024-03-03, "):
        by_day(folder, "none", days="2024-03-05")
    with pytest.raises(
        ConfigError, match=r"by_day makes a data set of each day, and test_days is 1: there are no days"
    ):
        by_day(folder, "none", test_days=1)
    with pytest.raises(ConfigError, match=r"by_day, but schema 'guidebook' names no column of the time"):
        by_day(folder, "none", schema="guidebook")
    with pytest.raises(
        ConfigError, match=r"by_day makes several data sets: preprocess\.by_day\.preprocess_by_day does"
    ):
        preprocess(PreprocessConfig(raw=tmp_path, out=tmp_path / "x", schema="aliccp", by_day=True), NoProgress())
