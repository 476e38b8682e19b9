"""Running the generator: same bytes by seed, nothing half written, other logs left alone."""

import dataclasses
import errno
import json
import math
import tracemalloc

import pytest

from esmm_dist.errors import ConfigError, StorageError
from preprocess.synthetic import calibrate
from preprocess.synthetic.block import Generator
from preprocess.synthetic.config import SynthConfig
from preprocess.synthetic.synthesize import SCHEMA_NAME, file_names, synthesize


def small(folder, **changes):
    return dataclasses.replace(SynthConfig(out=folder, impressions=3000), **changes)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_same_settings_and_seed_give_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        synthesize(small(tmp_path / name))
    assert sorted(contents(tmp_path / "a")) == sorted(file_names())
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_another_seed_gives_another_log(tmp_path):
    synthesize(small(tmp_path / "a"))
    synthesize(small(tmp_path / "b", seed=2))
    a, b = contents(tmp_path / "a"), contents(tmp_path / "b")
    assert all(a[name] != b[name] for name in file_names() if name != SCHEMA_NAME)


def test_blocks_join_without_a_seam(tmp_path, monkeypatch):
    monkeypatch.setattr("preprocess.synthetic.synthesize.BLOCK_IMPRESSIONS", 500)
    report = synthesize(small(tmp_path / "raw"))
    lines = (tmp_path / "raw" / "sample_skeleton_train.csv").read_text().splitlines()
    repeated = report.splits["train"].warts["repeated_sample_id"]
    assert len(lines) == 2250
    assert sum(int(line.split(",")[0]) != n for n, line in enumerate(lines, 1)) == repeated == 3
    keys = [line.split(",")[0] for line in (tmp_path / "raw" / "common_features_train.csv").read_text().splitlines()]
    assert len(keys) - len(set(keys)) == report.splits["train"].warts["duplicated_common_row"]


def test_no_block_and_no_split_repeats_another(tmp_path, monkeypatch):
    monkeypatch.setattr("preprocess.synthetic.synthesize.BLOCK_IMPRESSIONS", 500)
    synthesize(small(tmp_path / "raw"))
    beginnings = []
    for split, size in (("train", 2250), ("test", 750)):
        lines = (tmp_path / "raw" / f"sample_skeleton_{split}.csv").read_text().splitlines()
        beginnings += [[line.split(",")[-1] for line in lines[at : at + 20]] for at in range(0, size, 500)]
    assert len(beginnings) == 7
    assert len({feature for block in beginnings for feature in block}) > 0.9 * 7 * 20


def test_memory_does_not_grow_with_the_log(tmp_path, monkeypatch):
    monkeypatch.setattr("preprocess.synthetic.synthesize.BLOCK_IMPRESSIONS", 1000)
    monkeypatch.setattr(calibrate, "_PILOT_IMPRESSIONS", 1000)

    def peak_bytes(impressions):
        config = small(tmp_path, impressions=impressions, dimension_scale=0.0001, list_scale=0.05)
        tracemalloc.start()
        synthesize(config)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    peak_bytes(4000)  # imports and caches
    # the text of 12,000 more impressions alone is 2.5 MB, the peak of one block some 4 MB
    assert peak_bytes(16_000) < peak_bytes(4000) + 1e6


def test_a_split_of_fewer_than_2000_impressions_has_no_faults(tmp_path):
    report = synthesize(small(tmp_path / "raw", impressions=2600))  # 1,950 for training
    assert all(count == 0 for split in report.splits.values() for count in split.warts.values())
    assert report.splits["train"].impressions == 1950


def test_the_smallest_log_has_its_aucs_as_null_where_there_are_too_few_conversions(tmp_path):
    report = synthesize(small(tmp_path / "raw", impressions=100, cvr=0.0005))
    assert math.isnan(report.best_auc["cvr"])
    stored = json.loads((tmp_path / "raw" / "synth.json").read_text(), parse_constant=pytest.fail)
    assert stored["report"]["best_auc"]["cvr"] is None
    assert any("nan" in line for line in report.lines())


def test_lists_may_be_empty(tmp_path):
    report = synthesize(small(tmp_path / "raw", list_scale=0.001, seed=3))
    assert report.splits["train"].mean_ids["109_14"] < 1
    assert report.splits["train"].impressions > 2000


def test_rates_given_are_used(tmp_path):
    report = synthesize(small(tmp_path / "raw", ctr=0.5, cvr=0.4))
    assert report.rates == {"click": 0.5, "conversion": 0.4}
    assert sum(s.label_counts["click"] for s in report.splits.values()) == pytest.approx(1500, rel=0.2)


def test_real_rates_are_not_called_raised(tmp_path):
    report = synthesize(small(tmp_path / "raw", ctr=0.03887, cvr=0.00535))
    assert "too few to learn from" not in "\n".join(report.lines())


def test_an_earlier_synthetic_log_is_replaced(tmp_path):
    synthesize(small(tmp_path, impressions=5000))
    synthesize(small(tmp_path))
    assert sorted(contents(tmp_path)) == sorted(file_names())
    assert json.loads((tmp_path / "synth.json").read_text())["settings"]["impressions"] == 3000


def test_a_log_that_is_not_synthetic_is_left_alone(tmp_path):
    precious = tmp_path / "common_features_test.csv"
    precious.write_text("real\n")
    with pytest.raises(ConfigError, match=r"already holds common_features_test.csv, and no synth.json beside it"):
        synthesize(small(tmp_path))
    assert contents(tmp_path) == {precious.name: b"real\n"}


def test_a_full_disk_leaves_the_earlier_log_whole_and_no_partial_files(tmp_path, monkeypatch):
    synthesize(small(tmp_path))
    before = contents(tmp_path)

    def full_disk(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Generator, "block", full_disk)
    with pytest.raises(StorageError, match=rf"^{tmp_path}: .*ENOSPC: No space left on device\)\. Free space"):
        synthesize(small(tmp_path, seed=9))
    assert contents(tmp_path) == before


def test_a_run_killed_while_renaming_can_be_repeated(tmp_path):
    synthesize(small(tmp_path))
    (tmp_path / "synth.json").rename(tmp_path / ".synth.json.partial")
    synthesize(small(tmp_path))
    assert sorted(contents(tmp_path)) == sorted(file_names())


def test_progress_is_told_of_every_impression(tmp_path):
    class Recorder:
        def __init__(self):
            self.started, self.done, self.finished = [], 0.0, 0

        def start(self, task, total, unit, done=0.0):
            self.started.append((task, total, unit))

        def advance(self, amount, note=""):
            self.done += amount

        def message(self, text):
            pass

        def finish(self):
            self.finished += 1

    progress = Recorder()
    synthesize(small(tmp_path / "raw"), progress)
    assert progress.started == [("synth", 3000, "impressions")]
    assert progress.done == 3000
    assert progress.finished == 1
