"""The whole of preprocess on small logs: nothing lost, nothing twice, the same bytes however it is run."""

import fcntl
import gzip
import io
import json
import tarfile
from collections import Counter
from pathlib import Path

import google_crc32c
import numpy as np
import pyarrow.parquet as pq
import pytest

from esmm_dist.errors import ConfigError, InputDataError
from esmm_dist.schema.manifest import DatasetManifest, read_manifest
from preprocess.config import PreprocessConfig
from preprocess.run import preprocess as run_preprocess
from preprocess.write.records import write_records
from tests.unit.preprocess.plans import use_plan
from tests.unit.preprocess.raw_logs import (
    Impression,
    Log,
    Messages,
    common_line,
    in_schema_order,
    item,
    key_of,
    make_log,
    read_groups,
    read_impressions,
    read_lanes,
    rejects,
    run,
    shard_bytes,
    skeleton_line,
    small_schema,
    user,
)


def assert_adds_up(manifest: DatasetManifest) -> None:
    for split, of_split in manifest.report["splits"].items():
        for kind in ("skeleton", "common"):
            table = of_split[kind]
            assert table["lines_in"] == table["rows_out"] + sum(table["rejected"].values())
        assert of_split["skeleton"]["rows_out"] == manifest.splits[split].impressions


@pytest.fixture
def cut_finely(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many chunks and partitions, as a large log has them."""
    use_plan(monkeypatch, chunk_bytes=500)


def test_every_impression_comes_out_once_with_its_user_and_features(tmp_path: Path, cut_finely: None):
    raw = make_log(60, 9).write(tmp_path / "raw")
    manifest = run(raw, tmp_path / "out")
    schema = str(tmp_path / "schema" / "small.yaml")
    for split, first, count in (("train", 1, 60), ("test", 100_001, 20)):
        expected = [
            Impression(
                n,
                (int(n % 3 == 0), int(n % 9 == 0)),
                in_schema_order(user(n * n % 9), schema, True),
                in_schema_order(item(n), schema, False),
            )
            for n in range(first, first + count)
        ]
        if split == "test":  # ids that the train split lacks would be dropped; here it has them all
            assert {n % 7 for n in range(1, 61)} == set(range(7))
        assert read_impressions(tmp_path / "out", manifest, split) == expected
    assert manifest.splits["train"].label_counts == {"click": 20, "conversion": 6}
    assert_adds_up(manifest)
    assert read_manifest(tmp_path / "out") == manifest
    assert not (tmp_path / "out" / ".work").exists()


def test_records_hold_one_context_and_at_most_group_size_impressions(tmp_path: Path):
    raw = make_log(60, 9).write(tmp_path / "raw")
    manifest = run(raw, tmp_path / "out", group_size=4)
    groups = read_groups(tmp_path / "out", manifest, "train")
    sizes = Counter(n * n % 9 for n in range(1, 61))  # impressions of each user
    assert len(groups) == manifest.splits["train"].records == sum(-(-size // 4) for size in sizes.values())
    assert all(len(group) <= 4 and len({i.sample_id**2 % 9 for i in group}) == 1 for group in groups)


def test_lanes_differ_by_at_most_one_record_and_shards_are_as_listed(
    tmp_path: Path, cut_finely: None, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("preprocess.write.lanes.SLICE_BYTES", 700)  # a few records: lanes go on from slice to slice
    raw = make_log(100, 30).write(tmp_path / "raw")
    manifest = run(raw, tmp_path / "out", lanes=7, group_size=2)
    for split in ("train", "test"):
        lanes = [len(lane) for lane in read_lanes(tmp_path / "out", manifest, split)]
        assert max(lanes) - min(lanes) <= 1
        assert sum(lanes) == manifest.splits[split].records
        for shard in manifest.splits[split].shards:
            data = (tmp_path / "out" / shard.path).read_bytes()
            assert (len(data), google_crc32c.value(data)) == (shard.file_bytes, shard.crc32c)
        assert sum(shard.impressions for shard in manifest.splits[split].shards) == manifest.splits[split].impressions


def test_group_sizes_give_the_same_impressions(tmp_path: Path):
    raw = make_log(60, 5).write(tmp_path / "raw")
    found = []
    for size in (1, 8, 64):
        manifest = run(raw, tmp_path / f"out{size}", group_size=size)
        found.append(read_impressions(tmp_path / f"out{size}", manifest, "train"))
    assert len(found[0]) == 60
    assert found[0] == found[1] == found[2]


def test_number_of_workers_chunks_and_partitions_does_not_change_the_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    log = make_log(100, 12)
    log.skeleton["train"][20:20] = [b"bad line", log.skeleton["train"][3]]
    raw = log.write(tmp_path / "raw")
    whole = run(raw, tmp_path / "whole")
    monkeypatch.setattr("preprocess.memory_plan.TEXT_PER_WORKER_BYTES", 1)
    many = run(raw, tmp_path / "many", workers=3)
    use_plan(monkeypatch, partitions=5, chunk_bytes=300)
    pieces = run(raw, tmp_path / "pieces")
    assert shard_bytes(tmp_path / "whole", whole) == shard_bytes(tmp_path / "many", many)
    assert shard_bytes(tmp_path / "whole", whole) == shard_bytes(tmp_path / "pieces", pieces)
    texts = {(tmp_path / name / "manifest.json").read_bytes() for name in ("whole", "many", "pieces")}
    assert len(texts) == 1
    assert rejects(tmp_path / "whole") == rejects(tmp_path / "pieces")


def test_seed_changes_the_order_only(tmp_path: Path):
    raw = make_log().write(tmp_path / "raw")
    manifests = [run(raw, tmp_path / f"out{seed}", seed=seed) for seed in (1, 2)]
    lanes = [read_lanes(tmp_path / f"out{seed}", m, "train") for seed, m in zip((1, 2), manifests, strict=True)]
    assert lanes[0] != lanes[1]
    first, second = (read_impressions(tmp_path / f"out{s}", m, "train") for s, m in zip((1, 2), manifests, strict=True))
    assert first == second


def test_several_parts_of_a_lane_hold_what_one_part_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("preprocess.write.lanes.SLICE_BYTES", 2000)
    raw = make_log(100, 30).write(tmp_path / "raw")
    one = run(raw, tmp_path / "one", group_size=1)
    several = run(raw, tmp_path / "several", group_size=1, shard_bytes=300)
    assert {shard.part for shard in several.splits["train"].shards} > {0, 1}
    assert {shard.part for shard in one.splits["train"].shards} == {0}
    assert read_lanes(tmp_path / "one", one, "train") == read_lanes(tmp_path / "several", several, "train")


def test_the_manifest_says_how_many_records_of_a_lane_are_shuffled_together(tmp_path: Path):
    raw = make_log(100, 30).write(tmp_path / "raw")
    for compression in ("ZLIB", "NONE"):
        manifest = run(raw, tmp_path / compression, compression=compression, lanes=3)
        for name, split in manifest.splits.items():
            lanes = read_lanes(tmp_path / compression, manifest, name)
            framed = sum(len(record) + 16 for lane in lanes for record in lane)
            assert split.shuffle_block_records == 256_000_000 * split.records // (3 * framed)


def test_compression_none_holds_the_same_records(tmp_path: Path):
    raw = make_log().write(tmp_path / "raw")
    packed, plain = run(raw, tmp_path / "zlib"), run(raw, tmp_path / "none", compression="NONE")
    assert read_lanes(tmp_path / "zlib", packed, "train") == read_lanes(tmp_path / "none", plain, "train")


def test_plain_tensorflow_reads_the_records(tmp_path: Path):
    raw = make_log(60, 9).write(tmp_path / "raw")
    manifest = run(raw, tmp_path / "out")
    import tensorflow as tf

    files = sorted(str(p) for p in (tmp_path / "out" / "train").iterdir())
    ragged = tf.io.RaggedFeature
    spec = {
        "user_ids": ragged(tf.int64, value_key="user_ids", partitions=[ragged.RowLengths("user_lengths")]),
        "impression_weights": ragged(tf.float32),
        "sample_ids": ragged(tf.int64),
        "labels": ragged(tf.int64),
    }
    records = tf.data.TFRecordDataset(files, compression_type="ZLIB").batch(1000)
    batch = next(iter(records.map(lambda r: tf.io.parse_example(r, spec))))
    assert sorted(batch["sample_ids"].flat_values.numpy()) == list(range(1, 61))
    assert batch["labels"].flat_values.numpy().reshape(-1, 2).sum(axis=0).tolist() == [20, 6]
    numbers = batch["sample_ids"].to_tensor()[:, 0].numpy() ** 2 % 9  # each record's user
    expected = [[1000 + u, *(2000 + k for k in range(u % 4))] for u in numbers.tolist()]
    assert [row.flat_values.numpy().tolist() for row in batch["user_ids"]] == expected
    assert manifest.splits["train"].records == len(expected)


def test_id_counts_once_for_every_impression_that_holds_it(tmp_path: Path):
    """A common row's id counts once an impression that uses it; a repeat within a list does not count again."""
    twice: list[tuple[str, int, float]] = [("210", 41, 1.0), ("210", 41, 2.0), ("205", 31, 1.0)]
    log = Log(
        {"train": [skeleton_line(n, 0, 0, key_of(n % 2), twice if n < 3 else item(n)).encode() for n in range(1, 6)]},
        {"train": [common_line(key_of(k), [("101", 70 + k, 1.0), ("109_14", 90, 0.5)]).encode() for k in range(3)]},
    )
    manifest = run(log.write(tmp_path / "raw"), tmp_path / "out", min_count=2)
    vocabulary = pq.read_table(tmp_path / "out" / "vocabulary.parquet").to_pylist()
    counts = {(row["field"], row["feature_id"]): row["count"] for row in vocabulary}
    # Impressions 1, 3, 5 are of user 1, and 2, 4 of user 0; user 2 has none. Items 3, 4, 5: 205 differs, 301 = n % 2.
    assert counts[("101", 71)] == 3
    assert counts[("101", 70)] == 2
    assert counts[("109_14", 90)] == 5
    assert counts[("210", 41)] == 2
    assert counts[("205", 31)] == 2
    assert counts[("301", 5001)] == 2  # items 3 and 5
    assert ("301", 5000) not in counts  # item 4 only
    assert ("101", 72) not in counts
    assert manifest.vocabulary_size == len(vocabulary)
    report = manifest.report["vocabulary"]
    assert report["301"] == {
        "distinct_ids": 2, "kept_ids": 1, "unseen_ids": 0, "dropped_ids": 1, "dropped_occurrences": 1
    }  # fmt: skip
    assert manifest.report["splits"]["train"]["dropped_occurrences"]["301"] == 1
    impressions = read_impressions(tmp_path / "out", manifest, "train")
    assert [f[:2] for f in impressions[0].own] == [("205", 31), ("210", 41), ("210", 41)]
    assert ("301", 5000, 1.0) not in impressions[3].own


def test_vocabulary_is_ordered_by_field_then_id(tmp_path: Path):
    manifest = run(make_log().write(tmp_path / "raw"), tmp_path / "out")
    rows = pq.read_table(tmp_path / "out" / manifest.vocabulary_file).to_pylist()
    order = [field.name for field in manifest.schema.fields]
    keys = [(order.index(row["field"]), row["feature_id"]) for row in rows]
    assert keys == sorted(keys)
    assert len(set(keys)) == manifest.vocabulary_size


def test_test_split_uses_the_train_vocabulary(tmp_path: Path):
    log = make_log()
    log.skeleton["test"].append(skeleton_line(200_000, 1, 0, key_of(1), [("205", 999_999, 1.0)]).encode())
    manifest = run(log.write(tmp_path / "raw"), tmp_path / "out")
    last = read_impressions(tmp_path / "out", manifest, "test")[-1]
    assert (last.sample_id, last.own) == (200_000, ())
    assert manifest.report["splits"]["test"]["dropped_occurrences"] == {"205": 1}


def test_conversion_without_click_is_kept_counted_and_not_positive(tmp_path: Path):
    log = make_log(3)
    log.skeleton["train"] = [skeleton_line(1, 0, 1, key_of(1), item(1)).encode()]
    manifest = run(log.write(tmp_path / "raw"), tmp_path / "out")
    assert [i.labels for i in read_impressions(tmp_path / "out", manifest, "train")] == [(0, 0)]
    assert manifest.splits["train"].broken_chains == {"conversion": 1}
    assert manifest.splits["train"].label_counts == {"click": 0, "conversion": 0}


def test_repeated_sample_id_is_rejected_after_its_first_line(tmp_path: Path, cut_finely: None):
    log = make_log(30)
    log.skeleton["train"].append(skeleton_line(5, 1, 1, key_of(2), item(6)).encode())
    log.skeleton["train"].append(skeleton_line(5, 0, 0, key_of(3), item(6)).encode())
    manifest = run(log.write(tmp_path / "raw"), tmp_path / "out")
    assert rejects(tmp_path / "out") == [
        ("sample_skeleton_train.csv", 31, "repeated_sample_id"),
        ("sample_skeleton_train.csv", 32, "repeated_sample_id"),
    ]
    kept = [i for i in read_impressions(tmp_path / "out", manifest, "train") if i.sample_id == 5]
    assert [i.labels for i in kept] == [(0, 0)]  # 5 is neither a multiple of 3 nor of 9
    assert_adds_up(manifest)


def test_repeated_common_row_is_rejected_after_its_first_line(tmp_path: Path, cut_finely: None):
    log = make_log(30, 4)
    log.common["train"].append(common_line(key_of(1), [("101", 7, 1.0)]).encode())
    manifest = run(log.write(tmp_path / "raw"), tmp_path / "out")
    assert rejects(tmp_path / "out") == [("common_features_train.csv", 5, "repeated_common_row")]
    users = {i.user for i in read_impressions(tmp_path / "out", manifest, "train") if i.sample_id**2 % 4 == 1}
    assert users == {in_schema_order(user(1), str(tmp_path / "schema" / "small.yaml"), True)}
    assert_adds_up(manifest)


def test_impression_without_common_row_is_kept_without_user_fields(tmp_path: Path):
    log = make_log(30, 4)
    log.skeleton["train"].append(skeleton_line(31, 1, 0, "nobody", item(31)).encode())
    log.skeleton["train"].append(skeleton_line(32, 1, 0, "", item(32)).encode())
    manifest = run(log.write(tmp_path / "raw"), tmp_path / "out")
    last = read_impressions(tmp_path / "out", manifest, "train")[-2:]
    assert [(i.sample_id, i.user, len(i.own)) for i in last] == [(31, (), 3), (32, (), 4)]
    assert manifest.report["splits"]["train"]["impressions_without_user"] == 2


def test_common_row_that_nobody_uses_is_counted(tmp_path: Path):
    log = make_log(30, 4)
    log.common["train"].append(common_line(key_of(77), user(77)).encode())
    # n * n % 4 is 0 or 1, so users 2, 3 and 77 have no impression
    assert run(log.write(tmp_path / "raw"), tmp_path / "out").report["splits"]["train"]["unused_common_rows"] == 3


def test_bad_lines_of_both_files_are_listed_and_add_up(tmp_path: Path, cut_finely: None):
    log = make_log(40)
    log.skeleton["train"][10:10] = [b"", b"11,0,0", b"\xff\xfe", b"1,0,0,k,1,205\x02x\x031"]
    log.common["train"][2:2] = [b"k,1,109_14\x025\x03nan", b"k,1,109_14\x025\x03-1"]
    manifest = run(log.write(tmp_path / "raw"), tmp_path / "out")
    assert rejects(tmp_path / "out") == [
        ("sample_skeleton_train.csv", 11, "wrong_columns"),
        ("sample_skeleton_train.csv", 12, "wrong_columns"),
        ("sample_skeleton_train.csv", 13, "bad_utf8"),
        ("sample_skeleton_train.csv", 14, "non_numeric_id"),
        ("common_features_train.csv", 3, "not_finite_value"),
        ("common_features_train.csv", 4, "negative_value"),
    ]
    assert manifest.splits["train"].impressions == 40
    assert_adds_up(manifest)


def test_windows_line_ends_and_an_unterminated_last_line_change_nothing(tmp_path: Path, cut_finely: None):
    log = make_log(40)
    expected = run(log.write(tmp_path / "a" / "raw"), tmp_path / "a" / "out")
    found = run(log.write(tmp_path / "b" / "raw", end=b"\r\n"), tmp_path / "b" / "out")
    assert shard_bytes(tmp_path / "b" / "out", found) == shard_bytes(tmp_path / "a" / "out", expected)
    raw = log.write(tmp_path / "c" / "raw")
    for path in raw.iterdir():
        path.write_bytes(path.read_bytes().removesuffix(b"\n"))
    found = run(raw, tmp_path / "c" / "out")
    assert shard_bytes(tmp_path / "c" / "out", found) == shard_bytes(tmp_path / "a" / "out", expected)


def test_gz_and_tar_gz_give_the_bytes_of_the_plain_files(
    tmp_path: Path, cut_finely: None, monkeypatch: pytest.MonkeyPatch
):
    log = make_log(40)
    log.skeleton["train"].append(log.skeleton["train"][0])  # a repeat, whose text is fetched again
    raw = log.write(tmp_path / "a" / "raw")
    expected = run(raw, tmp_path / "a" / "out")
    for packing in ("gz", "tar"):
        packed = tmp_path / packing / "raw"
        packed.mkdir(parents=True)
        for split in ("train", "test"):
            paths = [raw / f"sample_skeleton_{split}.csv", raw / f"common_features_{split}.csv"]
            if packing == "gz":
                for path in paths:
                    (packed / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
            else:
                with tarfile.open(packed / f"sample_{split}.tar.gz", "w:gz") as archive:
                    for path in paths:
                        archive.add(path, f"./{path.name}")
        if packing == "gz":  # chunks of compressed files travel to the workers
            use_plan(monkeypatch, workers=2, partitions=2)
        out = tmp_path / packing / "out"
        found = run(packed, out)
        assert shard_bytes(out, found) == shard_bytes(tmp_path / "a" / "out", expected)
        assert (
            [r[1:] for r in rejects(out)]
            == [r[1:] for r in rejects(tmp_path / "a" / "out")]
            == [(41, "repeated_sample_id")]
        )


def test_partition_larger_than_memory_gives_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """One user has nearly all impressions; contexts are cut into ranges of about 16."""
    monkeypatch.setattr("preprocess.join.groups.RANGE_IMPRESSIONS", 16)
    log = make_log(30, 4)
    log.skeleton["train"] += [skeleton_line(n, n % 2, 0, key_of(1), item(n)).encode() for n in range(31, 400)]
    log.skeleton["train"] += [skeleton_line(n, n % 2, 0, "nobody", item(n)).encode() for n in range(400, 500)]
    log.skeleton["train"].append(log.skeleton["train"][40])
    raw = log.write(tmp_path / "raw")
    manifests = []
    for name, limit in (("whole", 10**9), ("cut", 2000)):
        use_plan(monkeypatch, partitions=2, partition_limit_bytes=limit, chunk_bytes=4000)
        manifests.append(run(raw, tmp_path / name, min_count=3))
    assert manifests[0] == manifests[1]
    assert shard_bytes(tmp_path / "whole", manifests[0]) == shard_bytes(tmp_path / "cut", manifests[1])
    assert manifests[0].splits["train"].impressions == 499


def test_too_many_rejects_stop_the_run_with_the_reasons(tmp_path: Path):
    log = make_log(40)
    log.skeleton["train"][5] = b"6,0,0"
    log.skeleton["train"][6] = b"7,0,2,k,0,"
    raw = log.write(tmp_path / "raw")
    with pytest.raises(
        InputDataError, match=r"2 of 40 skeleton lines of the train split are rejected \(.*bad_label 1.*raise"
    ):
        run(raw, tmp_path / "out", max_reject_share=0.04)
    assert not (tmp_path / "out" / "manifest.json").exists()
    assert (
        len((tmp_path / "out/.work/final/rejects/train.jsonl").read_text().splitlines()) == 2
    )  # what the message names
    assert run(raw, tmp_path / "out", max_reject_share=0.05).splits["train"].impressions == 38


@pytest.mark.parametrize("workers", [1, 2])
def test_file_of_another_form_stops_the_run_early_and_its_rejects_are_kept(
    tmp_path: Path, cut_finely: None, monkeypatch: pytest.MonkeyPatch, workers: int
):
    use_plan(monkeypatch, workers=workers, chunk_bytes=500)
    log = make_log(40)
    log.skeleton["train"] = [b"a;b;c" + b" " * 200] * 400
    with pytest.raises(
        InputDataError, match=r"wrong_columns (\d+), first in sample_skeleton_train\.csv line 1\)"
    ) as caught:
        run(log.write(tmp_path / "raw"), tmp_path / "out", max_reject_share=0.01)
    kept = tmp_path / "out/.work/final/rejects/train.jsonl"
    lines = [json.loads(line)["line"] for line in kept.read_text().splitlines()]
    assert 2 <= len(lines) < 400
    assert lines == list(range(1, len(lines) + 1))  # no gap, whichever worker was first
    assert f"The run stopped after {len(lines)} lines; see {kept}." in str(caught.value)


def test_finished_data_set_is_recognised_and_left_alone(tmp_path: Path):
    raw = make_log().write(tmp_path / "raw")
    first = run(raw, tmp_path / "out")
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*")}
    (tmp_path / "out" / ".work").mkdir()  # as a kill just after the manifest leaves it
    messages = Messages()
    config = PreprocessConfig(
        raw=raw, out=tmp_path / "out", schema=str(small_schema(tmp_path / "schema")), min_count=1, group_size=4, lanes=3
    )
    assert run_preprocess(config, messages) == first
    assert messages.texts == [
        f"{tmp_path / 'out'} already holds this data set, and its files are complete; nothing to do."
    ]
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*")} == {
        p: t for p, t in before.items() if p.name != ".work"
    }


def test_other_settings_on_a_finished_data_set_are_an_error_that_names_them(tmp_path: Path):
    raw = make_log().write(tmp_path / "raw")
    run(raw, tmp_path / "out", min_count=1)
    with pytest.raises(ConfigError, match=r"min_count was 1 and is now 2.*Give another folder"):
        run(raw, tmp_path / "out", min_count=2)
    with pytest.raises(ConfigError, match=r"finished data set made with other settings or logs: schema: "):
        run(raw, tmp_path / "out", schema="aliccp")
    make_log(61).write(raw)
    with pytest.raises(ConfigError, match=r"input sample_skeleton_train\.csv had \d+ bytes and has \d+"):
        run(raw, tmp_path / "out", min_count=1)


def test_begun_run_with_other_settings_starts_anew_and_says_so(tmp_path: Path):
    log = make_log(40)
    log.skeleton["train"][5] = b"6,0,0"
    raw, out = log.write(tmp_path / "raw"), tmp_path / "out"
    for share in (0.0, 0.0):
        with pytest.raises(InputDataError, match="rejected"):
            run(raw, out, max_reject_share=share)
    messages = Messages()
    schema = str(small_schema(tmp_path / "schema"))
    common = {"raw": raw, "out": out, "schema": schema, "workers": 1, "max_reject_share": 0.5}
    run_preprocess(PreprocessConfig(**common, min_count=3), messages)  # type: ignore[arg-type]
    assert (
        messages.texts[0]
        == "The unfinished run in this folder had other inputs or settings: starting from the beginning."
    )


def test_folder_with_other_files_is_refused(tmp_path: Path):
    raw = make_log().write(tmp_path / "raw")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"holds files, but neither a data set .*Give a new or an empty folder"):
        run(raw, tmp_path / "out")


def test_second_run_in_the_same_folder_is_refused(tmp_path: Path):
    raw = make_log().write(tmp_path / "raw")
    (tmp_path / "out" / ".work").mkdir(parents=True)
    with (tmp_path / "out" / ".work" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ConfigError, match="Another esmm preprocess is running"):
            run(raw, tmp_path / "out")


def test_split_whose_files_are_empty_is_refused(tmp_path: Path):
    log = make_log()
    log.skeleton["test"], log.common["test"] = [], []
    with pytest.raises(
        InputDataError, match=r"The test split has no impressions: .*sample_skeleton_test\.csv holds none"
    ):
        run(log.write(tmp_path / "raw"), tmp_path / "out")


def test_log_without_a_test_split_gives_a_data_set_without_one(tmp_path: Path):
    log = make_log()
    del log.skeleton["test"], log.common["test"]
    assert list(run(log.write(tmp_path / "raw"), tmp_path / "out").splits) == ["train"]


def test_lines_without_a_column_for_each_label_of_the_schema_stop_the_run_with_how_many_there_are(tmp_path: Path):
    raw = make_log().write(tmp_path / "raw")
    path = small_schema(tmp_path / "schema")
    path.write_text(path.read_text().replace("[click, conversion]", "[click, cart, conversion]"))
    with pytest.raises(InputDataError, match=r"wrong_columns .* one column for each label of the schema, and four"):
        run(raw, tmp_path / "out", schema=str(path))


def test_lines_have_a_column_for_each_label_of_the_schema(tmp_path: Path):
    log = make_log()
    for split, lines in log.skeleton.items():
        log.skeleton[split] = [b",".join([*(c := line.split(b","))[:3], b"1", *c[3:]]) for line in lines]
    raw = log.write(tmp_path / "raw")
    path = small_schema(tmp_path / "schema")
    path.write_text(path.read_text().replace("[click, conversion]", "[click, conversion, favourite after click]"))
    manifest = run(raw, tmp_path / "out", schema=str(path))
    counts = manifest.splits["train"].label_counts
    assert counts["favourite"] == counts["click"] > counts["conversion"] > 0
    clicks = counts["click"]
    assert manifest.splits["train"].broken_chains["favourite"] == manifest.splits["train"].impressions - clicks


def test_numbers_that_do_not_add_up_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    original = write_records

    def loses_one(*args: object, **kwargs: object) -> dict[str, object]:
        result = original(*args, **kwargs)  # type: ignore[arg-type]
        return {**result, "impressions": result["impressions"] - 1}

    monkeypatch.setattr("preprocess.stages.records_stage.write_records", loses_one)
    with pytest.raises(InputDataError, match=r"The train split does not add up: 60 skeleton lines in, but 59 out"):
        run(make_log(60).write(tmp_path / "raw"), tmp_path / "out")


def test_real_size_ids_survive(tmp_path: Path):
    """Ids up to 2^63 - 1, far apart, take the binary search instead of the table."""
    ids = [0, 1, 2**40, 2**62, 2**63 - 1]
    log = Log(
        {"train": [skeleton_line(n, 0, 0, key_of(1), [("205", i, 1.0)]).encode() for n, i in enumerate(ids)]},
        {"train": [common_line(key_of(1), user(1)).encode()]},
    )
    manifest = run(log.write(tmp_path / "raw"), tmp_path / "out")
    found = [i.own[0][1] for i in read_impressions(tmp_path / "out", manifest, "train")]
    np.testing.assert_array_equal(found, ids)


def test_member_missing_from_an_archive_is_named(tmp_path: Path):
    raw = tmp_path / "raw"
    raw.mkdir()
    with tarfile.open(raw / "sample_train.tar.gz", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("sample_skeleton_train.csv"), io.BytesIO(b""))
    with pytest.raises(InputDataError, match=r"sample_train\.tar\.gz lacks common_features_train\.csv"):
        run(raw, tmp_path / "out")


def test_cut_off_archive_is_named(tmp_path: Path):
    raw = make_log().write(tmp_path / "raw")
    path = raw / "sample_skeleton_train.csv"
    (raw / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes())[:-20])
    path.unlink()
    with pytest.raises(InputDataError, match=r"sample_skeleton_train\.csv\.gz cannot be read .*fetch it again"):
        run(raw, tmp_path / "out")
