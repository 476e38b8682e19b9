"""One small synthetic log for all tests, and a plain reader of it that shares no code with the writer."""

from collections import Counter
from dataclasses import dataclass, field

import pyarrow.parquet as pq
import pytest

from preprocess.synthetic.config import SynthConfig
from preprocess.synthetic.synthesize import synthesize


def parsed_features(text):
    """[(field, id text, value text)] of a feature list."""
    features = []
    for piece in text.split("\x01"):
        name, rest = piece.split("\x02")
        features.append((name, *rest.split("\x03")))
    return features


@dataclass
class ReadSplit:
    common: dict = field(default_factory=dict)
    """key -> features"""
    common_lines: Counter = field(default_factory=Counter)
    impressions: list = field(default_factory=list)
    """(sample_id, click, conversion, key, features), good lines only, in file order."""
    faults: Counter = field(default_factory=Counter)
    truth: object = None


def read_split(folder, split):
    read = ReadSplit(truth=pq.read_table(folder / f"truth_{split}.parquet"))
    for line in (folder / f"common_features_{split}.csv").read_text().removesuffix("\n").split("\n"):
        key, number, features = line.split(",")
        read.common[key] = parsed_features(features)
        read.common_lines[key] += 1
        assert int(number) == len(read.common[key])
    seen = set()
    for line in (folder / f"sample_skeleton_{split}.csv").read_text().removesuffix("\n").split("\n"):
        columns = line.split(",")
        if len(columns) != 6:
            read.faults["cut_short"] += 1
            continue
        features = parsed_features(columns[5])
        assert int(columns[4]) == len(features)
        if any(not id_text.isdecimal() for _, id_text, _ in features):
            read.faults["non_numeric_id"] += 1
        elif any(float(value) < 0 for _, _, value in features):
            read.faults["negative_value"] += 1
        elif columns[0] in seen:
            read.faults["repeated_sample_id"] += 1
        else:
            seen.add(columns[0])
            read.impressions.append((int(columns[0]), int(columns[1]), int(columns[2]), columns[3], features))
    return read


@dataclass(frozen=True)
class Log:
    folder: object
    config: SynthConfig
    report: object
    splits: dict


@pytest.fixture(scope="session")
def log(tmp_path_factory):
    """44,000 impressions: two blocks of training, one of test."""
    folder = tmp_path_factory.mktemp("synth") / "raw"
    config = SynthConfig(out=folder, impressions=44_000, test_share=0.25, seed=7)
    report = synthesize(config)
    return Log(folder, config, report, {split: read_split(folder, split) for split in ("train", "test")})
