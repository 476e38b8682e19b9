"""Several ranks evaluate and predict as one process does: the same rows in the same order, written by rank 0 alone."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from esmm_dist.config import build
from esmm_dist.inference.evaluate import EvaluateConfig, evaluate
from esmm_dist.inference.predict import PredictConfig, predict
from esmm_dist.parameter_server.config import ConnectionConfig
from esmm_dist.progress import NoProgress
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.run import train
from launcher.terminal.json_line import json_value
from tests.parallel.horovod_ranks import RanksResult, run_ranks
from tests.support.tiny_dataset import ITEMS, flat_schema, sample_name, tiny_groups, write_dataset
from tests.support.vocabulary import write_vocabulary

pytestmark = pytest.mark.timeout(300)

TEST = tiny_groups(101, seed=2, first_sample=5000)
ESMM = Path(sys.executable).with_name("esmm")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A trained run, and the predictions of one process: 101 records in lanes of 26, 25, 25, 25, 16 of each a batch.

    The impressions of ``data`` are named by texts; ``numbered`` has the same records, without the texts.
    """
    folder = tmp_path_factory.mktemp("scoring")
    splits = {"train": tiny_groups(160), "validation": tiny_groups(80, seed=3, first_sample=9000), "test": TEST}
    write_dataset(folder / "data", splits, schema=flat_schema("text"))
    write_vocabulary(folder / "data", [("item", ITEMS + item, 1 + item) for item in range(12)])
    write_dataset(folder / "numbered", splits, schema=flat_schema("number"))
    settings = {
        "data": folder / "data",
        "run": str(folder / "run"),
        "input": {"global_batch_records": 16, "epochs": 1},
        "embedding": {"embedding_dim": 4},
        "model": {"hidden_units": [8]},
        "evaluation": {"eval_split": "validation", "calibrate": "isotonic"},
    }
    train(build(TrainConfig, settings, where="test"), NoProgress())
    out = folder / "alone.parquet"
    predict(PredictConfig(run=str(folder / "run"), data=folder / "data", out=out), NoProgress())
    return folder


def ranks(number: int, folder: Path, *command: str | Path, data: str = "data") -> RanksResult:
    output = folder / f"output-{len(list(folder.glob('output-*')))}"
    line = [*command, "--run", folder / "run", "--data", folder / data, "--json"]
    result = run_ranks(number, ESMM, *line, folder=output)
    assert result.status == 0, result.err
    assert result.out[1:] == result.err[1:] == [""] * (number - 1)
    return result


def assert_same_predictions(folder: Path, out: Path, *, names: dict[str, int] | None = None) -> None:
    """Compare with one process; ``names`` turns its texts to the numbers that ``out`` has."""
    found, expected = pq.read_table(out), pq.read_table(folder / "alone.parquet")
    ids = expected["sample_id"].to_pylist()
    assert found["sample_id"].to_pylist() == (ids if names is None else [names[name] for name in ids])
    for name in ("pctr", "pcvr", "pctcvr"):
        # a matrix product of other shapes may add in another order
        np.testing.assert_allclose(found[name].to_numpy(), expected[name].to_numpy(), rtol=1e-5)


def without_floats(value: Any) -> Any:
    """Return a mapping without the figures that the last bit of a score may change."""
    if isinstance(value, dict):
        return {name: without_floats(each) for name, each in value.items() if isinstance(each, dict | list | int | str)}
    return [without_floats(each) for each in value] if isinstance(value, list) else value


@pytest.mark.slow  # its short form: two ranks, below, and test_score_raw.py
def test_three_ranks_write_the_predictions_of_one_process_in_its_order(folder):
    out = folder / "three.parquet"
    result = ranks(3, folder, "predict", "--out", out)  # four lanes do not divide by three
    assert json.loads(result.out[0])["impressions"] == pq.read_metadata(out).num_rows
    assert_same_predictions(folder, out)


@pytest.mark.slow
def test_ranks_without_a_lane_score_nothing_and_wait_for_the_others(folder):
    out = folder / "five.parquet"
    ranks(5, folder, "predict", "--out", out, data="numbered")
    numbers = [i.sample_id for group in TEST for i in group.impressions]
    assert_same_predictions(folder, out, names={sample_name(number).decode(): number for number in numbers})


def test_two_ranks_find_the_metrics_of_one_process_with_rows_on_two_servers(folder, two_servers):
    config = EvaluateConfig(
        run=str(folder / "run"), data=folder / "data", segments=True, by=("user", "item"), by_values=4
    )
    expected = evaluate(config, NoProgress())
    segments = ["--segments", "--by", "user,item", "--by-values", "4"]
    result = ranks(2, folder, "evaluate", "--servers", two_servers.servers, *segments)
    # the servers have forgotten the rows, and serve another run at once
    again = evaluate(replace(config, store=ConnectionConfig(servers=two_servers.servers)), NoProgress())
    assert again == expected
    found = json.loads(result.out[0])
    assert found.keys() == {
        *expected.tasks,
        "fields",
        "warnings",
        "baseline",
        "split",
        "calibrated_by",
        "by",
        "segments",
    }
    assert without_floats(found["by"]) == without_floats(expected.to_mapping()["by"])
    assert without_floats(found["segments"]) == without_floats(expected.to_mapping()["segments"])
    assert [each["name"] for each in found["segments"]["users"]] == ["known"]
    assert len(found["segments"]["items"]) >= 3
    assert len(found["by"]["item"]) == 5
    assert found["calibrated_by"] == json_value(expected.to_mapping())["calibrated_by"] is not None
    assert found["fields"] == json_value(expected.to_mapping())["fields"]
    for task, metrics in expected.tasks.items():
        assert found[task]["impressions"] == metrics.impressions
        assert found[task]["positives"] == metrics.positives
        assert found[task]["auc"] == pytest.approx(metrics.auc, rel=1e-3)  # ties but for the last bit
        assert found[task]["gauc"] == pytest.approx(metrics.gauc, rel=1e-3)
        assert found[task]["gauc_users"] == metrics.gauc_users > 5
        assert [each["impressions"] for each in found[task]["deciles"]] == [
            each.impressions for each in expected.deciles[task]
        ]
        assert found[task]["expected_calibration_error"] == pytest.approx(metrics.expected_calibration_error, rel=1e-4)
        assert found[task]["log_loss"] == pytest.approx(metrics.log_loss, rel=1e-6)
