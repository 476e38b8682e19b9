"""Each network, saved for plain TensorFlow, gives the predictions of ``esmm predict``."""

from typing import Any

import pytest

from esmm_dist.config import build
from esmm_dist.inference.evaluate import EvaluateConfig, evaluate
from esmm_dist.inference.export import ExportConfig, export
from esmm_dist.inference.predict import PredictConfig, predict
from esmm_dist.progress import NoProgress
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.run import train
from tests.support.network_cases import NETWORK_CASES
from tests.support.saved_models import saved_rows
from tests.support.tiny_dataset import ITEMS, TAGS, USERS, tiny_groups, write_dataset
from tests.support.vocabulary import write_vocabulary
from tests.unit.inference.test_export import RECORDS, SCHEMA, TEST, assert_equal_scores, expected_scores, scores_of

pytestmark = pytest.mark.usefixtures("without_examples")

CASES: dict[str, dict[str, Any]] = {
    "fields": {"fields": ["history", "tags"], "linear_scale": 0.5, "linear_lists": "unit"},
    "fields of one owner": {"fields": ["item"]},
    "fields of users alone": {"fields": ["user"], "network": ["mmoe"]},
    "a network that leaves a table and a weight alone": {"network": ["tests.unit.model.own_networks:UserAlone"]},
    "a network a label": {"network": ["mlp", "tests.unit.model.own_networks:UserAlone"]},
    **NETWORK_CASES,
}

IN_SHORT = ("fields", "a network that leaves a table and a weight alone", "a network a label")
"""For the other networks, test_exported_objectives.py compares the exported graph with the model at each run."""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_dataset(folder, {"train": tiny_groups(80), "test": TEST}, schema=SCHEMA)
    write_vocabulary(folder, [("user", USERS + 1, 5), ("item", ITEMS + 1, 5)])
    return folder


def trained(data, folder, model: dict[str, Any]) -> str:
    items = 4 if model.get("network") in (["din"], ["deepfm"]) else 6  # these multiply rows of both tables
    settings = {
        "data": data,
        "run": str(folder / "run"),
        "input": {"global_batch_records": 16, "epochs": 1},
        "embedding": {"embedding_dim": 4, "embedding_dim_by_table": {"items": items}, "start_scale": 0.5},
        "model": {"hidden_units": [8, 4], "dropout": 0.3, **model},
        "evaluation": {"baseline": False},
    }
    train(build(TrainConfig, settings, where="test"), NoProgress())
    return str(folder / "run")


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=() if case in IN_SHORT else pytest.mark.slow) for case in CASES]
)
def test_scores_are_those_of_predict(data, tmp_path, case):
    run = trained(data, tmp_path, CASES[case])
    predict(PredictConfig(run=run, data=data, out=tmp_path / "scores.parquet"), NoProgress())
    export(ExportConfig(run=run, out=tmp_path / "model"), NoProgress())
    assert_equal_scores(scores_of(tmp_path / "model", RECORDS), expected_scores(tmp_path))


def test_fields_that_a_model_does_not_see_have_no_rows_and_no_line_in_an_evaluation(data, tmp_path):
    run = trained(data, tmp_path, {"fields": ["user", "tags"]})
    assert len(saved_rows(tmp_path / "run", 5, "items")["ids"]) == 0
    ids = saved_rows(tmp_path / "run", 5)["ids"]
    assert {int(id_) // 1000 for id_ in ids} == {USERS // 1000, TAGS // 1000}
    found = evaluate(EvaluateConfig(run=run, data=data, baseline=False, segments=True), NoProgress())
    assert [field.name for field in found.fields] == ["user", "tags"]
    assert not any("item" in line for line in found.warnings)
    assert {table.name for table in found.segments} >= {"users"}


def test_users_are_not_told_apart_by_a_field_that_the_model_does_not_see(data, tmp_path):
    run = trained(data, tmp_path, {"fields": ["item"]})
    found = evaluate(EvaluateConfig(run=run, data=data, baseline=False, segments=True), NoProgress())
    assert "users" not in {table.name for table in found.segments}
