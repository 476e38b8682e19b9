"""``esmm evaluate --segments --by``: a flat log, from CSV to the segments, counted again from the log."""

import csv
import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from esmm_dist.config import build
from esmm_dist.errors import ConfigError
from esmm_dist.inference.evaluate import EvaluateConfig, evaluate
from esmm_dist.inference.impression_keys import ImpressionKeys, ValueKeys
from esmm_dist.inference.predict import PredictConfig, predict
from esmm_dist.inference.segments import SegmentRequest, named_segments, requested_keys
from esmm_dist.inference.value_texts import KeptTexts
from esmm_dist.model.metrics import TaskMetrics, calibration, exact_auc
from esmm_dist.model.metrics.segment_sums import SegmentMetrics
from esmm_dist.model.metrics.task_report import TaskReport
from esmm_dist.progress import NoProgress
from esmm_dist.schema.feature_id import feature_id
from esmm_dist.schema.fields import Field
from esmm_dist.schema.manifest import read_manifest
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.run import train
from tests.support.tiny_dataset import tiny_groups, tiny_schema, write_dataset
from tests.support.vocabulary import write_vocabulary
from tests.unit.inference.two_ranks import on_all_ranks
from tests.unit.preprocess.raw_logs import run

SCHEMA = """
name: shop
labels: [click, conversion]
source:
  form: flat
  files: {train: train.csv, test: test.csv}
  labels: {click: click, conversion: order}
  sample_id: id
  keep: [user]
  weight: weight
fields:
  - {name: user, owner: user}
  - {name: seen, owner: user, multi_hot: true, ids_of: item}
  - {name: item, owner: item, alias: product}
  - {name: age, owner: user, numeric: {buckets: [20, 40]}}
  - {name: day, owner: context}
"""


def rows_of(split, number, seed):
    random = np.random.default_rng(seed)
    users = 12 if split == "train" else 18  # u12 .. u17 are new in test
    rows = []
    for n in range(number):
        user = int(random.integers(users))
        item = int(random.zipf(1.3) % (20 if split == "train" else 26))
        click = int(random.random() < (0.6 if item % 2 else 0.25))
        rows.append(
            {
                "id": n,
                "user": "" if user == 3 else f"u{user}",
                "seen": f"i{item}|i1",
                "item": f"i{item}",
                "age": "" if user % 4 == 0 else 10 + 5 * user,
                "day": f"2024-03-0{1 + n % 3}",
                "click": click,
                "order": int(click and random.random() < 0.4),
                "weight": 0.5 + n % 2,
            }
        )
    return rows


TRAIN, TEST = rows_of("train", 500, 1), rows_of("test", 400, 2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("segments")
    (folder / "raw").mkdir()
    (folder / "shop.yaml").write_text(SCHEMA)
    for split, rows in (("train", TRAIN), ("test", TEST)):
        with (folder / f"raw/{split}.csv").open("w", newline="") as file:
            table = csv.DictWriter(file, rows[0])
            table.writeheader()
            table.writerows(rows)
    run(folder / "raw", folder / "data", schema=str(folder / "shop.yaml"))
    settings = {
        "data": folder / "data",
        "run": str(folder / "run"),
        "input": {"global_batch_records": 9, "epochs": 2},
        "embedding": {"embedding_dim": 4},
        "model": {"hidden_units": [8]},
    }
    train(build(TrainConfig, settings, where="test"), NoProgress())
    return folder


@pytest.fixture(scope="module")
def config(folder):
    return EvaluateConfig(run=str(folder / "run"), data=folder / "data", baseline=False)


@pytest.fixture(scope="module")
def scores(folder):
    """pCTR, pCVR and pCTCVR of each impression of the test split."""
    out = folder / "scores.parquet"
    predict(PredictConfig(run=str(folder / "run"), data=folder / "data", out=out), NoProgress())
    rows = {row["sample_id"]: row for row in pq.read_table(out).to_pylist()}
    return {task: np.array([rows[n][f"p{task}"] for n in range(len(TEST))]) for task in ("ctr", "cvr", "ctcvr")}


def check(segment, mask, scores):
    """Compare a segment with the log and the predictions; float32 has lost a last bit of these."""
    clicks, orders = (np.array([row[name] for row in TEST]) for name in ("click", "order"))
    weights = np.array([row["weight"] for row in TEST])
    for task, labels, among in (("ctr", clicks, mask), ("cvr", orders, mask & (clicks == 1)), ("ctcvr", orders, mask)):
        if not among.any():
            assert task not in segment.tasks
            continue
        found = segment.tasks[task]
        assert (found.impressions, found.positives) == (among.sum(), labels[among].sum())
        auc = exact_auc(scores[task][among], labels[among], weights[among])
        assert found.auc == pytest.approx(auc, rel=1e-3, nan_ok=True)
        ratio = calibration(scores[task][among], labels[among], weights[among])
        assert found.calibration == pytest.approx(ratio, rel=1e-5, nan_ok=True)


def bucket(age):
    if not age:
        return "no value"
    return "[-inf, 20)" if int(age) < 20 else "[20, 40)" if int(age) < 40 else "[40, inf)"


def column(name):
    return np.array([str(row[name]) for row in TEST])


def test_known_and_unseen_users_are_those_of_the_train_split(config, scores):
    users, _ = evaluate(replace(config, segments=True), NoProgress()).segments
    known = np.isin(column("user"), [row["user"] for row in TRAIN if row["user"]])
    assert [each.name for each in users.segments] == ["known", "unseen"]
    for segment, mask in zip(users.segments, (known, ~known), strict=True):
        assert 50 < mask.sum() < 350
        check(segment, mask, scores)


def test_items_are_cut_by_their_train_impressions(config, scores):
    _, items = evaluate(replace(config, segments=True), NoProgress()).segments
    assert items.title == "item (item product)"
    counts = Counter(row["item"] for row in TRAIN)
    for row in TRAIN:  # the history has the item's ids, and its impressions count too
        counts.update(set(row["seen"].split("|")))
    middles = {}
    for count in sorted(set(counts.values())):
        below = sum(each for each in counts.values() if each < count)
        tie = sum(each for each in counts.values() if each == count)
        middles[count] = (below + tie / 2) / sum(counts.values())
    names = ["rare", "middle", "popular"]
    group = np.array([names[int(3 * middles[counts[item]])] if item in counts else "unseen" for item in column("item")])
    assert [each.name for each in items.segments] == [name for name in ("unseen", *names) if (group == name).any()]
    assert len(items.segments) >= 3
    for segment in items.segments:
        check(segment, group == segment.name, scores)


def test_values_of_a_field_come_by_impressions_with_their_texts_where_these_are_known(config, scores):
    user, item, age, day = evaluate(
        replace(config, by=("user", "product", "age", "day"), by_values=3), NoProgress()
    ).segments

    ranked = Counter(each for each in column("user") if each and int(each[1:]) < 12)
    expected = sorted(ranked.items(), key=lambda each: (-each[1], feature_id("user", each[0])))
    assert [each.name for each in user.segments] == [*(name for name, _ in expected[:3]), "all others", "no id"]
    assert (user.segments[0].id, user.segments[3].id) == (feature_id("user", expected[0][0]), None)
    assert user.segments[3].note == f"{len(ranked) - 3} values"
    for segment in user.segments[:3]:
        check(segment, column("user") == segment.name, scores)
    others = np.isin(column("user"), [name for name, _ in expected[3:]])
    check(user.segments[3], others, scores)
    check(user.segments[4], ~np.isin(column("user"), list(ranked)), scores)  # new ones are not in the records

    top = Counter(each for each in column("item") if each in {row["item"] for row in TRAIN}).most_common(1)[0][0]
    assert item.name == "item"
    assert item.segments[0].name == f"id {feature_id('item', top)}"  # neither kept nor a number
    check(item.segments[0], column("item") == top, scores)

    buckets = np.array([bucket(each) for each in column("age")])
    top_buckets = [name for name, _ in Counter(buckets).most_common(3)]
    assert [each.name for each in age.segments] == [*top_buckets, "all others"]
    for segment in age.segments[:3]:
        check(segment, buckets == segment.name, scores)

    assert sorted(each.name for each in day.segments) == ["2024-03-01", "2024-03-02", "2024-03-03"]
    for segment in day.segments:
        check(segment, column("day") == segment.name, scores)


def test_segments_change_nothing_else_and_stand_beside_it_in_the_mapping(config):
    plain = evaluate(config, NoProgress())
    found = evaluate(replace(config, segments=True, by=("day",)), NoProgress())
    assert (found.tasks, found.deciles, found.fields) == (plain.tasks, plain.deciles, plain.fields)
    assert (plain.to_mapping()["by"], plain.to_mapping()["segments"]) == ({}, {})
    mapping = found.to_mapping()
    assert [list(mapping[key]) for key in ("by", "segments")] == [["day"], ["users", "items"]]
    first = mapping["by"]["day"][0]
    assert (first["name"], first["id"]) == ("2024-03-01", feature_id("day", "2024-03-01"))
    assert list(first["tasks"]["ctr"]) == [
        "impressions", "positives", "auc", "auc_standard_error", "log_loss", "calibration", "calibration_standard_error"
    ]  # fmt: skip
    # Together the segments are all impressions
    for table in found.segments:
        assert sum(each.tasks["ctr"].impressions for each in table.segments) == len(TEST)


def test_another_item_field_and_another_user_field_are_used(config):
    users, items = evaluate(replace(config, segments=True, gauc_field="item", item_field="day"), NoProgress()).segments
    assert (users.title, items.title) == ("user (item product)", "item (day)")
    assert sum(each.tasks["ctr"].impressions for each in items.segments) == len(TEST)


def test_a_segment_without_both_classes_has_no_auc(config, folder):
    table = evaluate(replace(config, by=("product",), by_values=1000), NoProgress()).segments[0]
    one_class = [each.tasks["cvr"] for each in table.segments if "cvr" in each.tasks]
    one_class = [each for each in one_class if each.positives in (0, each.impressions)]
    assert one_class
    assert all(math.isnan(each.auc) for each in one_class)


class Told(NoProgress):
    """Remembers the messages."""

    def __init__(self):
        self.lines = []

    def message(self, line):
        self.lines.append(line)


def test_segments_that_there_cannot_be_are_named(tmp_path):
    fields = (Field(name="tags", owner="user", multi_hot=True), Field(name="hour", owner="context"))
    told, request = Told(), SegmentRequest(by=(), by_values=1, segments=True, item_field=None)
    (tmp_path / "a").mkdir()
    manifest = write_dataset(tmp_path / "a", {}, schema=tiny_schema(fields=fields))
    assert requested_keys(request, tmp_path / "a", manifest, told, user_field=None).kinds == {}
    manifest = write_dataset(tmp_path / "b", {"test": tiny_groups(1)})
    write_vocabulary(tmp_path / "b", [("user", 1, 5), ("item", 7, 0)])
    assert list(requested_keys(request, tmp_path / "b", manifest, told, user_field="user").kinds) == ["users"]
    assert told.lines == [
        "No segments of users: the model sees no one-hot user field. --gauc-field names another.",
        "No segments of items: the schema has no one-hot item field. --item-field names another.",
        f"No segments of items: {tmp_path / 'b'} counts no train impression of an id of 'item'.",
    ]


def test_a_text_that_one_rank_has_seen_is_shown_by_all(folder):
    schema = read_manifest(folder / "data").schema
    ids = [feature_id("user", name) for name in ("u1", "u2")]

    def metrics(id_):
        return SegmentMetrics(
            kind="key", key=id_, distinct_keys=1, impressions=5, positives=1, auc=0.5, auc_standard_error=0.1,
            log_loss=0.1, calibration=1.0, calibration_standard_error=0.1,
        )  # fmt: skip

    task = TaskMetrics(auc=0.5, auc_standard_error=0.1, log_loss=0.1, calibration=1.0, positives=2, impressions=10)
    reports = {"ctr": TaskReport(metrics=task, deciles=(), segments=(tuple(map(metrics, ids)),))}

    def names(world):
        texts = KeptTexts(schema, schema.field("user"))
        texts.by_id = {ids[world.rank]: f"u{1 + world.rank}", 7: "of no segment"}
        keys = ImpressionKeys({"by user": ValueKeys(schema, schema.field("user"), 2, texts)})
        (table,) = named_segments(keys, reports, schema, world)
        return [each.name for each in table.segments]

    assert on_all_ranks(names, size=2) == [["u1", "u2"]] * 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"by": ("agee",)}, r"has no field 'agee'\. Did you mean 'age'"),
        (
            {"by": ("seen",)},
            r"by names 'seen', a multi-hot field of schema 'shop'.* one-hot field: user, item, ",
        ),
        ({"by": ("item", "product")}, r"by names field 'item' twice\. Name it once"),
        ({"segments": True, "item_field": "seen"}, r"item_field names 'seen', a multi-hot field"),
    ],
)
def test_a_field_that_cannot_be_cut_by_is_refused(config, settings, message):
    with pytest.raises(ConfigError, match=message):
        evaluate(replace(config, **settings), NoProgress())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"by_values": 0}, r"by_values is 0\. Set 1 \.\. 1000\."),
        ({"by_values": 1001}, r"by_values is 1001\. Set 1 \.\. 1000\."),
        ({"item_field": "item"}, r"item_field is 'item', which is for segments.*--segments"),
    ],
)
def test_a_setting_without_a_meaning_is_refused(config, settings, message):
    with pytest.raises(ConfigError, match=message):
        replace(config, **settings)
