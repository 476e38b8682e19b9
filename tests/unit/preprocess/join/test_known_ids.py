"""Ids that are known from another data set or a model stay, however few train impressions of this log hold them."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from esmm_dist.errors import ConfigError, InputDataError
from esmm_dist.schema.manifest import DatasetManifest
from preprocess.join.known_ids import KNOWN_IDS_NAME, write_known_ids
from preprocess.join.vocabulary import VOCABULARY_NAME
from tests.unit.preprocess.raw_logs import Log, item, key_of, make_log, read_impressions, run, skeleton_line


def only(log: Log, split: str) -> Log:
    return Log({split: log.skeleton[split]}, {split: log.common[split]})


def shard_bytes(out: Path, split: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((out / split).iterdir())}


def vocabulary(out: Path) -> dict[tuple[str, int], int]:
    table = pq.read_table(out / VOCABULARY_NAME).to_pydict()
    return dict(zip(zip(table["field"], table["feature_id"], strict=True), table["count"], strict=True))


def ids_of_test(out: Path, manifest: DatasetManifest) -> set[int]:
    return {i for each in read_impressions(out, manifest, "test") for _, i, _ in (*each.user, *each.own)}


def log_of_items(counts: dict[int, int], split: str = "train", first: int = 1) -> Log:
    """One impression of user 0 after the other; item n stands in counts[n] of them."""
    shown = [n for n, times in counts.items() for _ in range(times)]
    lines = [skeleton_line(first + i, 1, 0, key_of(0), [("205", n, 1.0)]).encode() for i, n in enumerate(shown)]
    return Log({split: lines}, {split: [f"{key_of(0)},0,".encode()]})


@pytest.fixture
def two_days(tmp_path: Path) -> Path:
    """Data set ``both`` of a log with train and test, and the raw test log alone."""
    log = make_log()
    run(log.write(tmp_path / "raw"), tmp_path / "both", min_count=9)
    only(log, "test").write(tmp_path / "tomorrow")
    return tmp_path


def test_test_split_preprocessed_alone_with_like_has_the_same_bytes(two_days: Path):
    run(two_days / "tomorrow", two_days / "alone", min_count=9, schema=None, like=str(two_days / "both"))
    assert shard_bytes(two_days / "alone", "test") == shard_bytes(two_days / "both", "test")
    assert shard_bytes(two_days / "both", "test")
    assert vocabulary(two_days / "alone") == vocabulary(two_days / "both")


def test_ids_known_by_table_keep_the_same_test_ids_as_the_vocabulary_they_are_of(two_days: Path):
    ids = np.array(sorted({i for _, i in vocabulary(two_days / "both")}), np.int64)
    (two_days / "run").mkdir()
    write_known_ids(two_days / "run" / KNOWN_IDS_NAME, [("main", ids[::2]), ("main", ids[1::2])])
    run(two_days / "tomorrow", two_days / "alone", min_count=9, vocabulary=str(two_days / "run"))
    assert shard_bytes(two_days / "alone", "test") == shard_bytes(two_days / "both", "test")
    # A third day knows them from the second
    run(two_days / "tomorrow", two_days / "third", min_count=9, schema=None, like=str(two_days / "alone"))
    assert shard_bytes(two_days / "third", "test") == shard_bytes(two_days / "both", "test")


def test_without_known_ids_the_same_day_keeps_only_its_own(two_days: Path):
    """The fault that is mended: item 3001 was frequent yesterday, and is not today."""
    today = make_log()
    today.skeleton["train"] = [
        skeleton_line(n, 1, 0, key_of(0), item(7 * n)).encode() for n in range(1, 30)
    ]  # shows item 3000 alone
    raw = today.write(two_days / "today")
    manifest = run(raw, two_days / "forgets", min_count=9)
    assert 3001 not in ids_of_test(two_days / "forgets", manifest)
    manifest = run(raw, two_days / "knows", min_count=9, vocabulary=str(two_days / "both"))
    both = run(two_days / "raw", two_days / "both", min_count=9)
    assert ids_of_test(two_days / "both", both) - {5000, 5001} <= ids_of_test(two_days / "knows", manifest)
    assert 3001 in ids_of_test(two_days / "knows", manifest)


def test_impressions_of_both_data_sets_count(tmp_path: Path):
    """Item: held before, held now. min_count 3; 1 is known, 2 was too rare and is not any more, 3 is new."""
    first = log_of_items({1: 3, 2: 2})
    run(first.write(tmp_path / "raw-1"), tmp_path / "day-1", min_count=3)
    assert vocabulary(tmp_path / "day-1") == {("205", 1): 3}
    second = log_of_items({1: 1, 2: 1, 3: 4})
    manifest = run(
        second.write(tmp_path / "raw-2"), tmp_path / "day-2", min_count=3, vocabulary=str(tmp_path / "day-1")
    )
    assert vocabulary(tmp_path / "day-2") == {("205", 1): 3 + 1, ("205", 2): 2 + 1, ("205", 3): 4}
    third = log_of_items({3: 1})
    manifest = run(third.write(tmp_path / "raw-3"), tmp_path / "day-3", min_count=3, vocabulary=str(tmp_path / "day-2"))
    assert vocabulary(tmp_path / "day-3") == {("205", 1): 4, ("205", 2): 3, ("205", 3): 5}
    counts = manifest.report["vocabulary"]["205"]
    assert counts == {
        "distinct_ids": 1, "kept_ids": 3, "unseen_ids": 2, "dropped_ids": 0, "dropped_occurrences": 0
    }  # fmt: skip


def test_known_id_stays_however_large_min_count_is(tmp_path: Path):
    run(log_of_items({1: 3, 2: 1}).write(tmp_path / "raw-1"), tmp_path / "day-1", min_count=2)
    second = log_of_items({1: 1, 2: 5, 3: 9})
    run(second.write(tmp_path / "raw-2"), tmp_path / "day-2", min_count=9, vocabulary=str(tmp_path / "day-1"))
    assert vocabulary(tmp_path / "day-2") == {("205", 1): 4, ("205", 3): 9}


def test_another_vocabulary_makes_another_data_set(two_days: Path):
    run(two_days / "tomorrow", two_days / "alone", vocabulary=str(two_days / "both"))
    run(two_days / "tomorrow", two_days / "alone", vocabulary=str(two_days / "both"))  # nothing to do
    other = make_log(impressions=30)
    run(other.write(two_days / "raw-other"), two_days / "other")
    with pytest.raises(
        ConfigError, match=r"finished data set made with other settings or logs: known_ids_crc32c was .* and is now"
    ):
        run(two_days / "tomorrow", two_days / "alone", vocabulary=str(two_days / "other"))


def test_folder_without_ids_is_refused(two_days: Path):
    with pytest.raises(ConfigError, match=r"raw is not a data set: it holds no vocabulary\.parquet"):
        run(two_days / "tomorrow", two_days / "alone", vocabulary=str(two_days / "raw"))


def test_ids_of_other_fields_alone_are_refused_and_some_are_named(two_days: Path, capsys):
    (two_days / "run").mkdir()
    write_known_ids(two_days / "run" / KNOWN_IDS_NAME, [("words", np.arange(3))])
    with pytest.raises(ConfigError, match=r"holds ids of table words, and schema 'small' has none of these"):
        run(two_days / "tomorrow", two_days / "alone", vocabulary=str(two_days / "run"))


def test_log_without_train_split_needs_known_ids(two_days: Path):
    with pytest.raises(InputDataError, match="no train log in the Ali-CCP form"):
        run(two_days / "tomorrow", two_days / "alone")


def test_schema_or_like_is_needed(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"schema is missing\. Give --schema NAME .* or --like DATA"):
        run(tmp_path, tmp_path / "out", schema=None)
