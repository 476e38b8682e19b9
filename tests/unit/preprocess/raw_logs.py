"""Small raw logs in the Ali-CCP form, and a reader of data sets that shares no code with the writer."""

import json
import struct
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from esmm_dist.progress import NoProgress
from esmm_dist.schema import Schema, load_schema
from esmm_dist.schema.manifest import DatasetManifest
from preprocess.config import PreprocessConfig
from preprocess.run import preprocess

Features = list[tuple[str, int, float]]

SCHEMA_TEXT = """
name: small
labels: [click, conversion]
source: {form: aliccp}
fields:
  - {name: "101", owner: user}
  - {name: "109_14", owner: user, multi_hot: true, weighted: true}
  - {name: "205", owner: item}
  - {name: "210", owner: item, multi_hot: true, weighted: true}
  - {name: "301", owner: context}
"""


def feature_list(features: Iterable[tuple[str, object, object]]) -> str:
    return "\x01".join(f"{field}\x02{feature_id}\x03{value}" for field, feature_id, value in features)


def skeleton_line(sample_id: int, click: int, conversion: int, key: str, features: Features) -> str:
    return f"{sample_id},{click},{conversion},{key},{len(features)},{feature_list(features)}"


def common_line(key: str, features: Features) -> str:
    return f"{key},{len(features)},{feature_list(features)}"


def user(number: int) -> Features:
    """User n has id 1000 + n and n % 4 categories."""
    return [("101", 1000 + number, 1.0), *(("109_14", 2000 + k, 0.5 + k) for k in range(number % 4))]


def item(number: int) -> Features:
    """Impression n shows item n % 7 with n % 3 intentions."""
    lists = [("210", 4000 + k, 1.5) for k in range(number % 3)]
    return [*lists, ("205", 3000 + number % 7, 1.0), ("301", 5000 + number % 2, 1.0)]


def key_of(number: int) -> str:
    return f"{number:016x}"


@dataclass
class Log:
    """The lines of both files of the splits; bytes, so that tests can damage them."""

    skeleton: dict[str, list[bytes]]
    common: dict[str, list[bytes]]

    def write(self, folder: Path, end: bytes = b"\n") -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for stem, splits in (("sample_skeleton", self.skeleton), ("common_features", self.common)):
            for split, lines in splits.items():
                (folder / f"{stem}_{split}.csv").write_bytes(b"".join(line + end for line in lines))
        return folder


def make_log(impressions: int = 60, users: int = 9) -> Log:
    """Impression n (from 1) is user (n * n) % users's; every 3rd is clicked, every 9th converts; test has a third."""
    log = Log({}, {})
    for split, first, count in (("train", 1, impressions), ("test", 100_001, impressions // 3)):
        numbers = range(first, first + count)
        log.skeleton[split] = [
            skeleton_line(n, int(n % 3 == 0), int(n % 9 == 0), key_of(n * n % users), item(n)).encode() for n in numbers
        ]
        log.common[split] = [common_line(key_of(u), user(u)).encode() for u in range(users)]
    return log


def small_schema(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "small.yaml"
    path.write_text(SCHEMA_TEXT)
    return path


def run(raw: Path, out: Path, **settings: object) -> DatasetManifest:
    """Preprocess with settings that suit small logs."""
    chosen: dict[str, object] = {"min_count": 1, "group_size": 4, "lanes": 3, "workers": 1, "max_reject_share": 0.5}
    if "schema" not in settings:
        settings["schema"] = str(small_schema(raw.parent / "schema"))
    return preprocess(PreprocessConfig(raw=raw, out=out, **(chosen | settings)), NoProgress())  # type: ignore[arg-type]


@dataclass(frozen=True)
class Impression:
    """One impression as it stands in a record."""

    sample_id: int
    labels: tuple[int, ...]
    user: tuple[tuple[str, int, float], ...]
    own: tuple[tuple[str, int, float], ...]


def read_lanes(out: Path, manifest: DatasetManifest, split: str) -> list[list[bytes]]:
    """Return the records of each lane, in order; checks the frame's lengths, not its checksums."""
    lanes: list[list[bytes]] = [[] for _ in range(manifest.lanes)]
    for shard in manifest.splits[split].shards:
        data = (out / shard.path).read_bytes()
        data = zlib.decompress(data) if manifest.compression == "ZLIB" else data
        begin = 0
        while begin < len(data):
            (length,) = struct.unpack_from("<Q", data, begin)
            lanes[shard.lane].append(data[begin + 12 : begin + 12 + length])
            begin += 16 + length
    return lanes


def read_groups(out: Path, manifest: DatasetManifest, split: str) -> list[list[Impression]]:
    """Decode every record with TensorFlow's own message class."""
    return [_decode(record, manifest.schema) for lane in read_lanes(out, manifest, split) for record in lane]


def read_impressions(out: Path, manifest: DatasetManifest, split: str) -> list[Impression]:
    """Return all impressions of a split, ordered by sample id."""
    groups = read_groups(out, manifest, split)
    return sorted((i for group in groups for i in group), key=lambda i: i.sample_id)


def _decode(record: bytes, schema: Schema) -> list[Impression]:
    import tensorflow as tf

    lists = tf.train.Example.FromString(record).features.feature
    names_user = [f.name for f in schema.user_fields]
    names_own = [f.name for f in schema.impression_fields]
    user_part = _features(lists, "user", names_user)
    sample_ids = list(lists["sample_ids"].int64_list.value)
    own = _features(lists, "impression", names_own * len(sample_ids))
    num_labels = len(schema.labels)
    labels = list(lists["labels"].int64_list.value)
    lengths = list(lists["impression_lengths"].int64_list.value)
    impressions, begin = [], 0
    for i, sample_id in enumerate(sample_ids):
        count = sum(lengths[i * len(names_own) : (i + 1) * len(names_own)])
        of_sample = tuple(labels[i * num_labels : (i + 1) * num_labels])
        impressions.append(Impression(sample_id, of_sample, tuple(user_part), tuple(own[begin : begin + count])))
        begin += count
    assert begin == len(own)
    return impressions


def _features(lists: Mapping[str, object], part: str, names: list[str]) -> list[tuple[str, int, float]]:
    lengths = list(lists[f"{part}_lengths"].int64_list.value)  # type: ignore[attr-defined]
    ids = list(lists[f"{part}_ids"].int64_list.value)  # type: ignore[attr-defined]
    weights = list(lists[f"{part}_weights"].float_list.value)  # type: ignore[attr-defined]
    weights = weights or [1.0] * len(ids)  # without a weighted field there is no list of weights
    field_of = [name for name, length in zip(names, lengths, strict=True) for _ in range(length)]
    return list(zip(field_of, ids, weights, strict=True))


def in_schema_order(features: Features, schema_path: str, owner_is_user: bool) -> tuple[tuple[str, int, float], ...]:
    """Return features as a record holds them: by field in schema order, else in log order."""
    schema = load_schema(schema_path)
    fields = schema.user_fields if owner_is_user else schema.impression_fields
    return tuple(f for field in fields for f in features if f[0] == field.name)


def shard_bytes(out: Path, manifest: DatasetManifest) -> dict[str, bytes]:
    """Return the bytes of every shard and of the vocabulary."""
    paths = [shard.path for split in manifest.splits.values() for shard in split.shards]
    return {path: (out / path).read_bytes() for path in [*paths, manifest.vocabulary_file]}


class Messages(NoProgress):
    """Keeps what a run says."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def message(self, text: str) -> None:
        self.texts.append(text)


def rejects(out: Path, split: str = "train") -> list[tuple[str, int, str]]:
    lines = (out / "rejects" / f"{split}.jsonl").read_text().splitlines()
    return [(r["file"], r["line"], r["reason"]) for r in map(json.loads, lines)]


def files(out: Path) -> dict[str, bytes]:
    return {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}
