"""What a trained model uses, on a flat log: measured again by hand, and by scoring the log with values taken out."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score

from esmm_dist.errors import ConfigError, InputDataError
from esmm_dist.inference.evaluate import EvaluateConfig, evaluate
from esmm_dist.inference.predict import PredictConfig
from esmm_dist.inference.trained_model import TrainedModel, open_split
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.progress import NoProgress
from esmm_dist.ranks.solo import SoloWorld
from esmm_dist.raw_scoring.predict_or_score import predict_or_score_raw
from esmm_dist.report.importance.config import ExplainConfig, ImportanceConfig
from esmm_dist.report.importance.explain import explain
from esmm_dist.report.importance.explanation import Explanation
from esmm_dist.report.importance.field_importance import Importance
from esmm_dist.report.importance.lists_of_batch import joined_batches
from esmm_dist.report.importance.measure import measure_importance, permutation
from esmm_dist.report.importance.stored import read_importance
from esmm_dist.schema.fields import Schema
from esmm_dist.storage.folder import Folder
from launcher.commands.importance import explain_command, importance_command
from tests.support.shop_log import write_shop_csv
from tests.support.shop_run import TEST
from tests.unit.launcher.commands.played_context import CONTEXT

MEASURED = ("interests", "item", "age")


@pytest.fixture(scope="module")
def found(shop: Path) -> Importance:
    """Return the importance of some fields."""
    return measure_importance(
        ImportanceConfig(run=str(shop / "run"), data=shop / "data", fields=MEASURED, repeats=2), NoProgress()
    )


def rows_of(batch: GroupedBatch, schema: Schema) -> tuple[list[Any], list[Any], list[int]]:
    """Return the (ids, weights) of each group by user field, of each impression by its own, and impressions a group."""
    parts = []
    for fields, lengths, ids, weights in (
        (schema.user_fields, batch.user_lengths, batch.user_ids, batch.user_weights),
        (schema.impression_fields, batch.impression_lengths, batch.impression_ids, batch.impression_weights),
    ):
        begins = np.cumsum(lengths) - lengths
        w = np.ones(len(ids), np.float32) if weights is None else weights
        lists = [(ids[b : b + n], w[b : b + n]) for b, n in zip(begins, lengths, strict=True)]
        parts.append([lists[first : first + len(fields)] for first in range(0, len(lists), len(fields))])
    return parts[0], parts[1], batch.impressions_per_group.tolist()


def batch_of(users: list[Any], own: list[Any], per_group: list[int], like: GroupedBatch) -> GroupedBatch:
    """Return the batch of such rows, with the labels of another."""
    flat_users, flat_own = [each for row in users for each in row], [each for row in own for each in row]
    return GroupedBatch(
        user_ids=np.concatenate([ids for ids, _ in flat_users]),
        user_lengths=np.array([len(ids) for ids, _ in flat_users]),
        user_weights=np.concatenate([weights for _, weights in flat_users]),
        impression_ids=np.concatenate([ids for ids, _ in flat_own]),
        impression_lengths=np.array([len(ids) for ids, _ in flat_own]),
        impression_weights=None,
        impressions_per_group=np.array(per_group),
        sample_ids=like.sample_ids,
        labels=like.labels,
    )


def aucs_by_hand(model: TrainedModel, batch: GroupedBatch) -> dict[str, float]:
    """Return scikit-learn's AUCs of the three tasks."""
    logits = model.scorer.score(model.scorer.pull(batch))
    p = 1 / (1 + np.exp(-logits))
    click, conversion = batch.labels[:, 0], batch.labels[:, 0] * batch.labels[:, 1]
    return {
        "ctr": roc_auc_score(click, p[:, 0]),
        "cvr": roc_auc_score(conversion[click == 1], p[click == 1, 1]),
        "ctcvr": roc_auc_score(conversion, p[:, 0] * p[:, 1]),
    }


def test_auc_as_it_is_is_that_of_evaluate(shop: Path, found: Importance) -> None:
    tasks = evaluate(EvaluateConfig(run=str(shop / "run"), data=shop / "data", baseline=False), NoProgress()).tasks
    assert found.auc == {name: pytest.approx(task.auc, abs=1e-12) for name, task in tasks.items()}
    assert found.impressions == found.of_impressions == len(TEST)


@pytest.mark.parametrize("name", MEASURED)
def test_drop_is_that_of_rows_whose_values_are_exchanged_by_hand(
    shop: Path, model: TrainedModel, found: Importance, name: str
) -> None:
    reader, manifest = open_split(model, shop / "data", "test", SoloWorld())
    schema = manifest.schema
    whole = joined_batches([each for each in reader.epoch(0, seed=None) if each.num_groups])
    users, own, per_group = rows_of(whole, schema)
    field = schema.field(name)
    rows, fields = (users, schema.user_fields) if field.owner == "user" else (own, schema.impression_fields)
    column = fields.index(field)
    drops = []
    for repeat in range(2):
        order = permutation(whole, schema, field, 1, repeat)
        mixed = [list(row) for row in rows]
        for place, source in enumerate(order):
            mixed[place][column] = rows[source][column]
        of_users, of_own = (mixed, own) if field.owner == "user" else (users, mixed)
        after = aucs_by_hand(model, batch_of(of_users, of_own, per_group, whole))
        drops.append({task: auc - after[task] for task, auc in aucs_by_hand(model, whole).items()})
    (of_field,) = [each for each in found.fields if each.field == name]
    for task, drop in of_field.auc_drop.items():
        assert drop == pytest.approx(np.mean([each[task] for each in drops]), abs=1e-9)
    assert of_field.owner == field.owner


def test_fields_stand_in_the_order_of_the_last_task(found: Importance) -> None:
    drops = [each.auc_drop["ctcvr"] for each in found.fields]
    assert drops == sorted(drops, reverse=True)
    assert sorted(each.field for each in found.fields) == sorted(MEASURED)


def test_command_keeps_the_result_in_the_run_and_writes_page_and_picture(shop: Path, tmp_path: Path) -> None:
    settings = ImportanceConfig(
        run=str(shop / "run"), fields=("item",), repeats=2, html=tmp_path / "page.html", png=tmp_path / "png"
    )
    outcome = importance_command(settings, CONTEXT)
    kept = read_importance(Folder.open(shop / "run"), "test")
    assert kept is not None
    assert json.loads(json.dumps(outcome.result)) == json.loads(json.dumps(kept.to_mapping()))
    assert [each.field for each in kept.fields] == ["item"]
    assert "field-importance" in (tmp_path / "page.html").read_text()
    assert (tmp_path / "png/field-importance.png").stat().st_size > 10_000
    assert any(line.endswith("report/importance-test.json.") for line in outcome.lines)


@pytest.mark.parametrize(
    ("fields", "message"),
    [(("itm",), r"fields: .*'itm'"), (("item", "nosuch"), r"fields: .*'nosuch'")],
)
def test_unknown_field_is_refused_by_name(shop: Path, fields: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        measure_importance(ImportanceConfig(run=str(shop / "run"), fields=fields), NoProgress())


# ---- one impression

VARIANTS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "views": {"views": None},
    "interests": {"interests": []},
    "user id": {"user id": None},
}
"""Fields that no cross is made of, taken out of the log"""

EXPLAINED = next(
    row for row in TEST if row["views"] is not None and len(row["interests"]) > 1 and row["user id"] != "nobody"
)


@pytest.fixture(scope="module")
def explained(shop: Path) -> Explanation:
    """Return the explanation of one impression."""
    return explain(ExplainConfig(run=str(shop / "run"), sample_id=str(EXPLAINED["row"])), NoProgress())


def test_without_a_field_is_the_score_of_the_log_without_its_value(
    shop: Path, explained: Explanation, tmp_path: Path
) -> None:
    rows = [{**EXPLAINED, **change, "row": n} for n, change in enumerate(VARIANTS.values())]
    write_shop_csv(tmp_path / "raw.csv", rows)
    config = PredictConfig(run=str(shop / "run"), raw=str(tmp_path / "raw.csv"), out=tmp_path / "out.parquet")
    predict_or_score_raw(config, NoProgress())
    scores = {row["sample_id"]: row for row in pq.read_table(tmp_path / "out.parquet").to_pylist()}
    as_it_is = {each.column: each.probability for each in explained.predictions}
    assert as_it_is == {column: pytest.approx(scores[0][column], rel=1e-5) for column in as_it_is}
    of_field = {each.field: each for each in explained.fields}
    for number, name in enumerate(VARIANTS):
        if number:
            without = of_field[name].without
            assert without == {column: pytest.approx(scores[number][column], rel=1e-5) for column in without}
            before, after = (math.log(p / (1 - p)) for p in (as_it_is["pctr"], without["pctr"]))
            assert of_field[name].logit_change["ctr"] == pytest.approx(before - after, abs=1e-4)


def test_explanation_says_labels_rates_and_values(shop: Path, explained: Explanation) -> None:
    assert (explained.split, explained.sample_id, explained.name) == ("test", EXPLAINED["row"], None)
    by_task = {each.task: each for each in explained.predictions}
    assert by_task["ctr"].label == EXPLAINED["click"]
    assert by_task["cvr"].label == (EXPLAINED["buy"] if EXPLAINED["click"] else None)
    clicks = sum(row["click"] for row in TEST)
    assert by_task["ctr"].rate == clicks / len(TEST)
    assert by_task["cvr"].rate == sum(row["buy"] * row["click"] for row in TEST) / clicks
    assert by_task["ctcvr"].logit is None
    of_field = {each.field: each for each in explained.fields}
    assert len(of_field) == 15
    low, high = of_field["views"].shown.strip("[)").split(", ")
    assert float(low) <= EXPLAINED["views"] < float(high)
    assert [each.weight for each in of_field["interests"].values] == [weight for _, weight in EXPLAINED["interests"]]


def test_command_shows_the_strongest_fields_and_what_is_learned(shop: Path) -> None:
    settings = ExplainConfig(run=str(shop / "run"), sample_id="6001", split="test", most_fields=2)
    outcome = explain_command(settings, CONTEXT)
    fields = {each["field"]: each for each in outcome.result["fields"]}
    assert len(fields) == 15
    moved = sorted(fields, key=lambda name: -abs(fields[name]["logit_change"]["cvr"]))
    after_head = outcome.lines[[line.startswith("pcvr 0.") for line in outcome.lines].index(True) + 2 :]
    assert [line.split("  ")[0] for line in after_head[:2]] == moved[:2]
    assert after_head[2].startswith("13 more, by 0.")
    assert fields["gender"]["values"][0]["learned"]
    assert not any(each["learned"] for each in fields["item"]["values"])  # i999 is in no train impression


def test_unknown_impression_is_an_error_that_says_where_was_looked(shop: Path) -> None:
    ids = sorted(row["row"] for row in TEST)
    with pytest.raises(
        InputDataError, match=rf"No impression has sample_id '77' in test \(62 impressions: {ids[0]} \.\. {ids[-1]}\)"
    ):
        explain(ExplainConfig(run=str(shop / "run"), sample_id="77", split="test"), NoProgress())
    with pytest.raises(InputDataError, match="has no split 'nosuch'"):
        explain(ExplainConfig(run=str(shop / "run"), sample_id="77", split="nosuch"), NoProgress())
