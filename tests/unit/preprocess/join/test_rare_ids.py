"""Counts are over all days: ids below ``min_count`` are kept as counts, which the next day's log adds to."""

import random
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from esmm_dist.schema.checksum import file_crc32c
from preprocess.join.known_ids import KNOWN_IDS_NAME, write_known_ids
from preprocess.join.vocabulary import RARE_IDS_NAME, VOCABULARY_NAME
from tests.unit.preprocess.plans import use_plan
from tests.unit.preprocess.raw_logs import Log, common_line, item, key_of, make_log, run, skeleton_line, user

Counts = dict[tuple[str, int], int]


def counts_in(out: Path, name: str) -> Counts:
    table = pq.read_table(out / name).to_pydict()
    keys = list(zip(table["field"], table["feature_id"], strict=True))
    assert len(set(keys)) == len(keys)
    return dict(zip(keys, table["count"], strict=True))


def all_counts(out: Path) -> Counts:
    kept, rare = counts_in(out, VOCABULARY_NAME), counts_in(out, RARE_IDS_NAME)
    assert not set(kept) & set(rare)
    return {**kept, **rare}


def log_of_items(shown: list[int], first: int = 1) -> Log:
    """One impression of user 0 for each item."""
    lines = [skeleton_line(first + i, 1, 0, key_of(0), [("205", n, 1.0)]).encode() for i, n in enumerate(shown)]
    return Log({"train": lines}, {"train": [f"{key_of(0)},0,".encode()]})


def day_logs(days: int, impressions: int = 80) -> list[Log]:
    """Days whose items and users are drawn with a long tail, so that most ids are seen once or twice a day."""
    draw = random.Random(5)
    logs = []
    for day in range(days):
        users = [draw.randrange(30) for _ in range(impressions)]
        lines = [
            skeleton_line(1000 * day + n, 1, 0, key_of(who), item(int(draw.paretovariate(1.0)) * 7 + n % 3)).encode()
            for n, who in enumerate(users)
        ]
        lines += log_of_items([int(draw.paretovariate(0.7)) for _ in range(40)], 1000 * day + 500).skeleton["train"]
        common = [common_line(key_of(who), user(who)).encode() for who in sorted({0, *users})]
        logs.append(Log({"train": lines}, {"train": common}))
    return logs


def together(logs: list[Log]) -> Log:
    common = {line.split(b",")[0]: line for log in logs for line in log.common["train"]}
    return Log({"train": [line for log in logs for line in log.skeleton["train"]]}, {"train": list(common.values())})


@pytest.mark.parametrize("min_count", [1, 3, 6])
def test_counts_of_days_one_after_the_other_are_those_of_all_days_together(tmp_path: Path, min_count: int):
    logs = day_logs(3)
    like: dict[str, object] = {}
    for day, log in enumerate(logs, 1):
        run(log.write(tmp_path / f"raw-{day}"), tmp_path / f"day-{day}", min_count=min_count, **like)
        like = {"like": str(tmp_path / f"day-{day}"), "schema": None}
    run(together(logs).write(tmp_path / "raw-all"), tmp_path / "all", min_count=min_count)
    assert counts_in(tmp_path / "day-3", VOCABULARY_NAME) == counts_in(tmp_path / "all", VOCABULARY_NAME)
    assert counts_in(tmp_path / "day-3", RARE_IDS_NAME) == counts_in(tmp_path / "all", RARE_IDS_NAME)
    late = set(counts_in(tmp_path / "day-3", VOCABULARY_NAME)) - set(counts_in(tmp_path / "day-1", VOCABULARY_NAME))
    assert len(late) > 3  # ids that no single day kept are what this is about
    assert bool(counts_in(tmp_path / "all", RARE_IDS_NAME)) == (min_count > 1)


def test_an_id_that_reaches_min_count_on_the_third_day_is_kept_from_then_on(tmp_path: Path):
    """Item 2 stands in one impression a day, item 1 in three on the first, item 3 in two on the second."""
    days = {1: [1, 1, 1, 2], 2: [2, 3, 3], 3: [2]}
    like: dict[str, object] = {}
    manifests = {}
    for day, shown in days.items():
        raw = log_of_items(shown).write(tmp_path / f"raw-{day}")
        manifests[day] = run(raw, tmp_path / f"day-{day}", min_count=3, **like)
        like = {"like": str(tmp_path / f"day-{day}")}
    assert [counts_in(tmp_path / f"day-{day}", VOCABULARY_NAME) for day in days] == [
        {("205", 1): 3},
        {("205", 1): 3},
        {("205", 1): 3, ("205", 2): 3},
    ]
    assert [counts_in(tmp_path / f"day-{day}", RARE_IDS_NAME) for day in days] == [
        {("205", 2): 1},
        {("205", 2): 2, ("205", 3): 2},
        {("205", 3): 2},
    ]
    # The report tells of the day alone: item 1 is kept and not there; item 3 is neither there on day 3 nor dropped
    assert [manifests[day].report["vocabulary"]["205"] for day in (2, 3)] == [
        {"distinct_ids": 2, "kept_ids": 1, "unseen_ids": 1, "dropped_ids": 2, "dropped_occurrences": 3},
        {"distinct_ids": 1, "kept_ids": 2, "unseen_ids": 1, "dropped_ids": 0, "dropped_occurrences": 0},
    ]


def test_rare_ids_are_listed_with_their_checksum_and_pass_through_a_day_without_a_train_split(tmp_path: Path):
    log = make_log()
    manifest = run(log.write(tmp_path / "raw"), tmp_path / "day-1", min_count=9)
    listed = {file.path: file.crc32c for file in manifest.other_files}
    assert listed[RARE_IDS_NAME] == file_crc32c(tmp_path / "day-1" / RARE_IDS_NAME)
    test_alone = Log({"test": log.skeleton["test"]}, {"test": log.common["test"]})
    scored = run(
        test_alone.write(tmp_path / "raw-2"), tmp_path / "day-2", schema=None, like=str(tmp_path / "day-1"), min_count=9
    )
    assert all_counts(tmp_path / "day-2") == all_counts(tmp_path / "day-1")
    assert counts_in(tmp_path / "day-2", RARE_IDS_NAME)
    assert scored.settings["known_ids_crc32c"] == {
        VOCABULARY_NAME: listed[VOCABULARY_NAME], RARE_IDS_NAME: listed[RARE_IDS_NAME]
    }  # fmt: skip


def test_a_data_set_from_before_rare_ids_were_kept_is_continued_by_its_vocabulary(tmp_path: Path):
    run(log_of_items([1, 1, 1, 2, 2]).write(tmp_path / "raw-1"), tmp_path / "day-1", min_count=3)
    (tmp_path / "day-1" / RARE_IDS_NAME).unlink()
    raw = log_of_items([1, 2]).write(tmp_path / "raw-2")
    manifest = run(raw, tmp_path / "day-2", min_count=3, like=str(tmp_path / "day-1"))
    assert counts_in(tmp_path / "day-2", VOCABULARY_NAME) == {("205", 1): 4}
    assert list(manifest.settings["known_ids_crc32c"]) == [VOCABULARY_NAME]


def test_with_the_rows_of_a_run_the_counts_of_like_still_count(tmp_path: Path):
    """The run has a row of item 9 alone; items 1 and 2 reach min_count over both days, 3 does not."""
    run(log_of_items([1, 1, 1, 2, 2, 3]).write(tmp_path / "raw-1"), tmp_path / "day-1", min_count=3)
    (tmp_path / "run").mkdir()
    write_known_ids(tmp_path / "run" / KNOWN_IDS_NAME, [("main", np.array([9]))])
    raw = log_of_items([1, 2, 3, 9]).write(tmp_path / "raw-2")
    like = {"like": str(tmp_path / "day-1"), "vocabulary": str(tmp_path / "run")}
    run(raw, tmp_path / "day-2", min_count=3, **like)
    test_alone = Log({"test": log_of_items([1, 2, 9]).skeleton["train"]}, {"test": [f"{key_of(0)},0,".encode()]})
    run(test_alone.write(tmp_path / "raw-3"), tmp_path / "scored", min_count=3, **like)
    assert counts_in(tmp_path / "scored", VOCABULARY_NAME) == {}  # the model knows its rows alone
    assert counts_in(tmp_path / "day-2", VOCABULARY_NAME) == {("205", 1): 4, ("205", 2): 3, ("205", 9): 1}
    assert counts_in(tmp_path / "day-2", RARE_IDS_NAME) == {("205", 3): 2}


def test_a_lower_min_count_keeps_what_the_day_holds_and_leaves_the_others_as_counts(tmp_path: Path):
    run(log_of_items([1, 1, 1, 2, 2, 3]).write(tmp_path / "raw-1"), tmp_path / "day-1", min_count=3)
    raw = log_of_items([3]).write(tmp_path / "raw-2")
    run(raw, tmp_path / "day-2", min_count=2, like=str(tmp_path / "day-1"))
    assert counts_in(tmp_path / "day-2", VOCABULARY_NAME) == {("205", 1): 3, ("205", 3): 2}
    assert counts_in(tmp_path / "day-2", RARE_IDS_NAME) == {("205", 2): 2}


def test_neither_partitions_nor_memory_change_the_file_of_rare_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    raw = together(day_logs(3)).write(tmp_path / "raw")
    run(raw, tmp_path / "whole", min_count=5)
    use_plan(monkeypatch, workers=2, partitions=5)
    monkeypatch.setattr("preprocess.join.vocabulary._GROUP_ROWS", 4)
    monkeypatch.setattr("preprocess.join.vocabulary._SAMPLED", 2)
    run(raw, tmp_path / "small-groups", min_count=5)
    monkeypatch.setattr("preprocess.stages.vocabulary_stage.write_rare_ids", _with_little_memory)
    run(raw, tmp_path / "in-ranges", min_count=5)
    assert all_counts(tmp_path / "small-groups") == all_counts(tmp_path / "whole")
    rare = tmp_path / "in-ranges" / RARE_IDS_NAME
    assert rare.read_bytes() == (tmp_path / "small-groups" / RARE_IDS_NAME).read_bytes()
    listed = pq.read_table(tmp_path / "whole" / RARE_IDS_NAME).to_pydict()
    of_field = Counter(listed["field"])
    assert max(of_field.values()) > 20  # more than one range, and more than one group
    order = [("101", "109_14", "205", "210", "301").index(field) for field in listed["field"]]
    assert list(zip(order, listed["feature_id"], strict=True)) == sorted(zip(order, listed["feature_id"], strict=True))


def _with_little_memory(path, job, rare_ids, memory_bytes):
    from preprocess.join.vocabulary import write_rare_ids

    write_rare_ids(path, job, rare_ids, memory_bytes=7 * 64)
