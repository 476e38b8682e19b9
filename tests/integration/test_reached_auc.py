"""What the shipped settings reach, on real impressions and on a log whose best possible AUC is known. Minutes each."""

import json
import statistics
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from esmm_dist.api.shipped_settings import settings_path
from esmm_dist.config import build
from esmm_dist.inference.predict import PredictConfig, predict
from esmm_dist.model.metrics.auc import paired_auc_difference
from esmm_dist.progress import NoProgress
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.run import train
from esmm_dist.yaml_text import read_yaml
from preprocess.config import PreprocessConfig
from preprocess.run import preprocess
from preprocess.synthetic.config import SynthConfig
from preprocess.synthetic.synthesize import synthesize

KUAIRAND = Path(__file__).parents[3] / "shared/data/kuairand"
needs_kuairand = pytest.mark.skipif(not KUAIRAND.is_dir(), reason=f"the KuaiRand logs are not at {KUAIRAND}")
SEEDS = (1, 2, 3)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def reached(data: Path, run: Path, settings: dict, seed: int) -> dict[str, float]:
    config = build(TrainConfig, {**settings, "data": data, "run": str(run), "seed": seed}, where="test")
    return {task: metrics.auc for task, metrics in train(config, NoProgress()).metrics.items()}


def kuairand_medians(folder: Path, schema: str) -> dict[str, float]:
    """Return the median AUC over the seeds with the settings shipped for small data."""
    data = folder / "data"
    preprocess(PreprocessConfig(raw=KUAIRAND, out=data, schema=schema, min_count=1), NoProgress())
    settings = read_yaml(settings_path("small-data", TrainConfig))
    runs = [reached(data, folder / f"run-{seed}", settings, seed) for seed in SEEDS]
    return {task: statistics.median(run[task] for run in runs) for task in runs[0]}


@pytest.fixture(scope="module")
def raw_form_medians(tmp_path_factory):
    return kuairand_medians(tmp_path_factory.mktemp("kuairand"), "aliccp")


@needs_kuairand
@pytest.mark.parametrize(("task", "least"), [("ctr", 0.725), ("cvr", 0.630), ("ctcvr", 0.725)])
def test_real_impressions_in_the_raw_form_are_learned(raw_form_medians, task, least):
    # Logistic regression on one-hot ids, trained on clicks alone for CVR, reaches 0.724 / 0.630 / 0.723
    assert raw_form_medians[task] >= least


@needs_kuairand
@pytest.mark.parametrize("schema", ["aliccp", "kuairand-flat"])
def test_real_impressions_are_learned_without_a_flag(tmp_path, schema):
    preprocess(PreprocessConfig(raw=KUAIRAND, out=tmp_path / "data", schema=schema), NoProgress())
    aucs = reached(tmp_path / "data", tmp_path / "run", {}, seed=1)
    # What small-data reaches in the raw form (0.728, 0.631, 0.727), less one standard error; the flat log lacks lists
    lists = 0.005 if schema == "kuairand-flat" else 0.0
    assert aucs["ctr"] >= 0.728 - 0.003 - lists
    assert aucs["cvr"] >= 0.631 - 0.005 - lists
    assert aucs["ctcvr"] >= 0.727 - 0.003 - lists


@needs_kuairand
def test_the_flat_log_of_the_same_impressions_is_learned_as_well(raw_form_medians, tmp_path):
    flat = kuairand_medians(tmp_path, "kuairand-flat")
    for task in ("ctr", "ctcvr"):
        assert flat[task] == pytest.approx(raw_form_medians[task], abs=0.01)


def test_a_synthetic_log_is_learned_most_of_the_way_with_default_settings(tmp_path):
    raw, data, run, out = tmp_path / "raw", tmp_path / "data", tmp_path / "run", tmp_path / "scores.parquet"
    best = synthesize(SynthConfig(out=raw, impressions=300_000), NoProgress()).best_auc
    preprocess(PreprocessConfig(raw=raw, out=data, schema="aliccp"), NoProgress())
    aucs = reached(data, run, {}, seed=1)
    assert (aucs["ctr"] - 0.5) / (best["ctr"] - 0.5) >= 0.65
    assert (aucs["ctcvr"] - 0.5) / (best["ctcvr"] - 0.5) >= 0.60

    # pCTCVR ranks conversions better than pCTR alone, by more than three standard errors
    predict(PredictConfig(run=str(run), data=data, out=out), NoProgress())
    scores = pq.read_table(out)
    converted = conversions_by_sample(raw / "truth_test.parquet")
    labels = np.array([converted[sample] for sample in scores["sample_id"].to_pylist()])
    difference, error = paired_auc_difference(scores["pctcvr"].to_numpy(), scores["pctr"].to_numpy(), labels)
    assert difference > 3 * error
    assert json.loads((run / "metrics.json").read_text())["newest"]["metrics"]["ctcvr"]["positives"] == labels.sum()


def conversions_by_sample(path: Path) -> dict[int, int]:
    truth = pq.read_table(path)
    happened = truth["click"].to_numpy() * truth["conversion"].to_numpy()
    return dict(zip(truth["sample_id"].to_pylist(), happened.tolist(), strict=True))
