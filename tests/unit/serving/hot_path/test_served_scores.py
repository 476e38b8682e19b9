"""What a served model says is what predict says, in every form, alone and joined, before and after a delta."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from esmm_dist.checkpoint.choice import CheckpointChoice
from esmm_dist.inference.trained_model import open_model
from esmm_dist.input.record_decoding import RecordDecoder
from esmm_dist.parameter_server.config import ConnectionConfig
from esmm_dist.progress import NoProgress
from esmm_dist.ranks.solo import SoloWorld
from esmm_dist.raw_scoring.score_table import score_table
from esmm_dist.serving.requests.asked_request import AskedRequest, joined, read_request, scores_of_users, split_scores
from esmm_dist.serving.requests.found_rows import RowPlaces
from esmm_dist.serving.scoring.served_scorer import ServedScorer
from tests.support.network_cases import NETWORK_CASES
from tests.support.saved_models import saved_rows
from tests.support.shop_log import Row, write_shop_parquet
from tests.support.shop_run import TEST as SHOP_TEST
from tests.support.shop_run import train_shop_run
from tests.support.tiny_dataset import ITEMS, USERS, serialized
from tests.support.vocabulary import write_vocabulary
from tests.unit.inference.test_export import SCHEMA, TEST, UNSEEN
from tests.unit.serving.hot_path.served_runs import (
    assert_scores,
    exported,
    packed,
    predicted,
    short_of,
    train_tiny,
)

RECORDS = [serialized(group, SCHEMA) for group in TEST]
SAMPLES = [impression.sample_id for group in TEST for impression in group.impressions]
SHOP_USER = ("user id", "gender", "age", "history")
SHOP_ITEM = ("item", "price", "views", "category", "shown at")
CASES: dict[str, dict[str, Any]] = {
    "norms of the linear term": {"network": ["mlp"], "linear_scale": 0.5, "linear_lists": "unit"},
    "a table and a field that are not seen": {"fields": ["user", "tags"]},
    "a network a label": {"network": ["mlp", "dcn"], "cross_rank": 3},
    **NETWORK_CASES,
}
SHORT_CASE = "norms of the linear term"
"""din is that of all other tests"""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    train_tiny(folder, SCHEMA, TEST, {"network": ["din"], "attend": ["history=item"], "attention_units": [3]})
    exported(folder / "din", folder / "1", step=3)
    exported(folder / "din", folder / "2", step=5)
    exported(folder / "din", folder / "2.delta", step=5, delta_since="1")
    return folder


@pytest.fixture(scope="module")
def scorer(tiny: Path) -> ServedScorer:
    scorer = ServedScorer.open([tiny / "1"])
    scorer.warm_up()
    return scorer


def read(form: Any, body: Any, scorer: ServedScorer) -> AskedRequest:
    return read_request(form, body, scorer)


def test_records_and_packed_ids_have_the_scores_of_predict(tiny: Path, scorer: ServedScorer):
    expected = predicted(tiny / "din", tiny / "data", 3)
    asked = read("records", RECORDS, scorer)
    assert asked.batch.sample_ids.tolist() == SAMPLES
    assert_scores(scorer.score(asked.batch), SAMPLES, expected)
    as_features = read("features", packed(RecordDecoder(SCHEMA).batch(RECORDS)), scorer)
    assert_scores(scorer.score(as_features.batch), SAMPLES, expected)
    assert as_features.unknown == asked.unknown
    rows = {table: set(saved_rows(tiny / "din", 3, table)["ids"].tolist()) for table in SCHEMA.tables}
    first, second = (impression.fields for impression in UNSEEN.impressions)
    values = [*UNSEEN.fields, *(a + b for a, b in zip(first, second, strict=True))]
    unseen = read("records", [serialized(UNSEEN, SCHEMA)], scorer)
    assert unseen.unknown == {
        field.name: sum(id_ not in rows[field.table] for id_, _ in of_field)
        for field, of_field in zip(SCHEMA.fields, values, strict=True)
    }
    assert unseen.unknown["item"] == 2


def test_ids_of_a_user_with_candidates_have_the_scores_of_predict(tiny: Path, scorer: ServedScorer):
    expected = predicted(tiny / "din", tiny / "data", 3)
    checked = 0
    for group in TEST:
        asked = read("short", short_of(group, SCHEMA), scorer)
        if asked.unknown:  # which predict of a data set reads start values of
            continue
        assert_scores(scorer.score(asked.batch), [each.sample_id for each in group.impressions], expected)
        checked += 1
    assert checked > 20
    unseen = read("short", short_of(UNSEEN, SCHEMA), scorer)
    history = [(id_, weight) for id_, weight in UNSEEN.fields[1] if scorer.model.tables["main"].knows(np.array([id_]))]
    without = {
        "history": [id_ for id_, _ in history],
        "history_weights": [weight for _, weight in history],
        "candidates": [{}, {"tags": [4_000, 4_000]}],
    }
    found, left = scorer.score(unseen.batch), scorer.score(read("short", without, scorer).batch)
    assert {name: column.tolist() for name, column in found.items()} == {n: c.tolist() for n, c in left.items()}


def test_requests_that_are_joined_get_the_scores_that_they_get_alone(scorer: ServedScorer):
    bodies: list[Any] = [[short_of(group, SCHEMA) for group in TEST[begin : begin + 3]] for begin in range(0, 30, 3)]
    bodies[2].insert(1, {"user": USERS + 1, "candidates": []})
    bodies.insert(4, {"user": USERS + 1, "candidates": []})
    asked = [read("short", body, scorer) for body in bodies] + [read("records", RECORDS[:2], scorer)]
    alone = [scorer.score(each.batch) for each in asked]
    together = split_scores(scorer.score(joined(asked)), asked)
    for found, expected in zip(together, alone, strict=True):
        for name, column in expected.items():
            np.testing.assert_allclose(found[name], column, rtol=1e-6)
    assert alone[4]["pctr"].shape == (0,)
    assert [len(each["pctr"]) for each in scores_of_users(alone[2], asked[2])] == [
        len(TEST[6].impressions),
        0,
        len(TEST[7].impressions),
        len(TEST[8].impressions),
    ]
    with ThreadPoolExecutor(4) as threads:
        again = list(threads.map(lambda each: scorer.score(each.batch), asked))
    assert all((a["pctcvr"] == b["pctcvr"]).all() for a, b in zip(again, alone, strict=True))


def test_rows_that_were_found_when_requests_were_read_are_not_looked_up_again(scorer: ServedScorer):
    requests = [read("short", short_of(group, SCHEMA), scorer) for group in TEST]
    expected = scorer.score(joined(requests))
    for name, column in scorer.score(joined(requests), [each.found for each in requests]).items():
        np.testing.assert_array_equal(column, expected[name])
    differs = []
    for asked in requests:
        alone = scorer.score(asked.batch)["pctr"]
        np.testing.assert_array_equal(scorer.score(asked.batch, [asked.found])["pctr"], alone)
        moved = {table: [at_one_row(part) for part in parts] for table, parts in asked.found.items()}
        differs.append(not np.array_equal(scorer.score(asked.batch, [moved])["pctr"], alone))
    assert any(differs)  # a request of one row stays as it is


def at_one_row(part: RowPlaces) -> RowPlaces:
    """Return all that have a row at the place of the first."""
    has_row = part.places[0] != 0
    if not has_row.any():
        return part
    return RowPlaces(ids=part.ids, places=np.where(has_row, part.places[:, has_row][:, :1], part.places))


def test_a_delta_says_what_a_full_version_says_and_the_old_model_goes_on(tiny: Path, scorer: ServedScorer):
    whole = ServedScorer.open([tiny / "2"])
    changed = scorer.with_delta(tiny / "2.delta")
    body = [short_of(group, SCHEMA) for group in TEST]
    answers = []
    for each in (whole, changed, ServedScorer.open([tiny / "1", tiny / "2.delta"], verify=False)):
        asked = read("short", body, each)
        answers.append((asked.unknown, {name: column.tolist() for name, column in each.score(asked.batch).items()}))
    assert answers[0] == answers[1] == answers[2]  # to the last bit
    records = read("records", RECORDS, changed)
    assert_scores(changed.score(records.batch), SAMPLES, predicted(tiny / "din", tiny / "data", 5))
    before = read("records", RECORDS, scorer)
    assert_scores(scorer.score(before.batch), SAMPLES, predicted(tiny / "din", tiny / "data", 3))


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=() if case == SHORT_CASE else pytest.mark.slow) for case in CASES]
)
def test_every_network_has_the_scores_of_predict(tmp_path: Path, case: str):
    run = train_tiny(tmp_path, SCHEMA, TEST, CASES[case])
    write_vocabulary(tmp_path / "data", [("user", USERS + 1, 5), ("item", ITEMS + 1, 5)])
    scorer = ServedScorer.open([exported(run, tmp_path / "1")])
    scorer.warm_up()
    asked = read("records", RECORDS, scorer)
    assert_scores(scorer.score(asked.batch), SAMPLES, predicted(run, tmp_path / "data"))
    assert set(asked.unknown) <= {field.name for field in SCHEMA.fields} & set(scorer.model.manifest.seen_fields)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    exported(train_shop_run(folder), folder / "1")
    return folder


def shop_user(row: Row) -> dict[str, Any]:
    names, weights = [name for name, _ in row["interests"]], [weight for _, weight in row["interests"]]
    return {**{name: row[name] for name in SHOP_USER}, "interests": names, "interests_weights": weights}


def shop_item(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in SHOP_ITEM}


def by_raw_scoring(shop: Path, rows: list[Row], folder: Path) -> dict[str, list[float]]:
    """Return what ``esmm predict --raw`` says of rows."""
    write_shop_parquet(folder / "rows.parquet", rows)
    table = pq.read_table(folder / "rows.parquet").drop_columns(["row", "click", "buy"])
    choice = CheckpointChoice(run=str(shop / "run"))
    with open_model(choice, NoProgress(), connection=ConnectionConfig(), world=SoloWorld()) as trained:
        found: dict[str, list[float]] = score_table(trained, table).to_pydict()
    return found


def test_raw_values_have_the_scores_of_predict_raw(shop: Path, tmp_path: Path):
    scorer = ServedScorer.open([shop / "1"])
    rows = [*SHOP_TEST, *({**row, **shop_user_columns(SHOP_TEST[0])} for row in SHOP_TEST)]
    expected = by_raw_scoring(shop, rows, tmp_path)
    one_each = [{**shop_user(row), "candidates": [shop_item(row)]} for row in SHOP_TEST]
    one_user = {**shop_user(SHOP_TEST[0]), "candidates": [shop_item(row) for row in SHOP_TEST]}
    asked = [read("short", one_each, scorer), read("short", one_user, scorer)]
    whole = scorer.score(joined(asked))
    alone = [scorer.score(each.batch) for each in asked]
    assert len({round(score, 6) for score in expected["pctr"]}) > 30
    for name, column in expected.items():
        np.testing.assert_allclose(whole[name], column, rtol=1e-6, err_msg=name)
        np.testing.assert_allclose(np.concatenate([each[name] for each in alone]), column, rtol=1e-6, err_msg=name)
    unheard = read("short", [one_each[-1]], scorer).unknown  # its item and its history are rare ones
    assert unheard["item"] == 1
    assert unheard["history"] == 2
    assert "gender" not in unheard


def shop_user_columns(row: Row) -> Row:
    return {name: row[name] for name in (*SHOP_USER, "interests")}


def test_records_of_a_flat_log_have_the_scores_of_predict(shop: Path):
    import tensorflow as tf

    scorer = ServedScorer.open([shop / "1"])
    files = sorted(map(str, (shop / "data" / "test").iterdir()))
    records = [record.numpy() for record in tf.data.TFRecordDataset(files, compression_type="ZLIB")]
    asked = read("records", records, scorer)
    expected = predicted(shop / "run", shop / "data")
    assert len(expected) == len(SHOP_TEST)
    assert_scores(scorer.score(asked.batch), asked.batch.sample_ids.tolist(), expected)


def test_fields_that_an_export_does_not_use_are_not_counted_as_unknown(shop: Path, tmp_path: Path):
    scorer = ServedScorer.open([exported(shop / "run", tmp_path / "1", fields=("item", "age"), data=shop / "data")])
    body = {"user id": "nobody", "age": -1, "candidates": [{"item": "unheard", "category": "unheard"}]}
    asked = read("short", body, scorer)
    assert asked.unknown == {"item": 1}
    without = read("short", {"age": -1, "candidates": [{}]}, scorer)
    assert scorer.score(asked.batch)["pctr"] == scorer.score(without.batch)["pctr"]
